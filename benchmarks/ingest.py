"""Photos a second of a first index run, against rclip and against what this machine can give at most.

    python benchmarks/peers/prepare.py PEERS --photos ../shared/data/photos     once: rclip, and the models
    python benchmarks/ingest.py PEERS [--photos N] [--megapixels 12] [--rounds N] [--made FOLDER]

Whole processes over a fresh library each, in turns: rclip, clipsearch with the same architecture in fp32 and in int8,
and with the starter. The rate is photos by wall time from start to end; another process over a single photo tells
what starting costs, and `without_start` is the rate of the rest. rclip has no command that only indexes: its runs end
with a query, which is part of that start.

The bound of each model is cores / (decode core-seconds + encode core-seconds) of a photo, measured alone between the
runs of the same round: `decoding.decode.decode` on one core, `encode_pixels` on all, both as CPU time. Hashing, the
processes around the decoder, SQLite and the start are what the share of the bound pays for.

A machine that others use gives a process less than its cores: `cpu_ms_a_photo` is what the whole run took of them,
and `cpu_ratio_to_rclip` compares that, which hardly depends on what else is running.

At last a text asked for the first time, in a cold process, of both programs, and the same text again of clipsearch.
JSON lines; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from camera_photos import SHARED_PHOTOS, SIDES, camera_photos

from clipsearch.decoding.decode import decode
from clipsearch.engine.backends import usable_cores
from clipsearch.engine.cards import read_card
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower
from clipsearch.types import Decoded

TARGET_RATIO = 3.0  # of rclip's photos a second
TARGET_SHARE = 0.8  # of the bound
SAMPLE = 24  # photos that the bound is measured with, others each round
TEXT = "photograph number {} of a dog on a beach"


class Run(NamedTuple):
    seconds: float  # from the start of the process to its end
    cpu_seconds: float  # of it and the processes it started


@dataclass
class Peer:
    """rclip, in the environment that prepare.py made."""

    peers: Path
    name: str = "rclip"

    def index(self, photos: Path, library: Path) -> Run:
        """A whole run over a fresh library."""
        library.mkdir()
        for part in (self.peers / "rclip-data").iterdir():
            (library / part.name).symlink_to(part)
        taken = run([*self._command, "-t", "1", TEXT.format(0)], self._environment(library), photos)
        with contextlib.closing(sqlite3.connect(library / "db.sqlite3")) as database:
            (indexed,) = database.execute("SELECT count(*) FROM images").fetchone()
        check(indexed, photos)
        return taken

    def query(self, text: str, photos: Path, library: Path) -> float:
        return run([*self._command, "--no-indexing", text], self._environment(library), photos).seconds

    @property
    def _command(self) -> list[str]:
        return [str(self.peers / "rclip" / ("Scripts" if os.name == "nt" else "bin") / "rclip"), "--filepath-only"]

    def _environment(self, library: Path) -> dict[str, str]:
        return os.environ | {"RCLIP_DATADIR": str(library), "HF_HUB_OFFLINE": "1"}


@dataclass
class Clipsearch:
    name: str
    model: Path
    backend: str
    _tower: ImageTower | None = field(default=None, repr=False)

    def index(self, photos: Path, library: Path) -> Run:
        command = ["index", str(photos), "--model", str(self.model), "--backend", self.backend, "--strict"]
        taken = run([*self._command, *command, "--progress", "none"], self._environment(library), photos)
        status = [*self._command, "status", "--json"]
        answer = subprocess.run(status, env=self._environment(library), check=True, stdout=subprocess.PIPE).stdout
        check(json.loads(answer)["photos"], photos)
        return taken

    def query(self, text: str, photos: Path, library: Path) -> float:
        return run([*self._command, "search", "--all", text], self._environment(library), photos).seconds

    def core_seconds(self, photos: list[Path]) -> tuple[float, float]:
        """CPU time of decoding and of encoding a photo, each with nothing else running here."""
        if self._tower is None:
            card = read_card(self.model)
            self._tower = ImageTower(card, default_candidate(card, self.backend))
        tower, side = self._tower, self._tower.prepare.size
        decode(os.fsencode(photos[0]), tower.prepare)  # imports
        started = time.process_time()
        decoded = [decode(os.fsencode(photo), tower.prepare) for photo in photos]
        decoding = time.process_time() - started
        pixels = [np.frombuffer(one.pixels, np.uint8) for one in decoded if isinstance(one, Decoded)]
        batch = np.resize(np.concatenate(pixels), (tower.batch_size, side, side, 3))
        tower.encode_pixels(batch)  # the first run of a shape plans it
        runs = max(2, 3 * SAMPLE // len(batch))
        started = time.process_time()
        for _ in range(runs):
            tower.encode_pixels(batch)
        encoding = time.process_time() - started
        return decoding / len(photos), encoding / runs / len(batch)

    @property
    def _command(self) -> list[str]:
        return [sys.executable, "-m", "clipsearch"]

    def _environment(self, library: Path) -> dict[str, str]:
        return os.environ | {
            "CLIPSEARCH_LIBRARY": str(library),
            "CLIPSEARCH_CACHE": str(library.with_name("cache")),
            "CLIPSEARCH_MODELS": str(library.with_name("models")),
        }


@dataclass
class Figures:
    """Of one program, a value each round."""

    whole: list[Run] = field(default_factory=list)
    start: list[Run] = field(default_factory=list)  # runs over one photo
    decode: list[float] = field(default_factory=list)  # core-seconds a photo
    encode: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [run.seconds for run in self.whole]

    @property
    def steady(self) -> list[float]:
        """Seconds of all photos but the first, without the start."""
        return [whole.seconds - start.seconds for whole, start in zip(self.whole, self.start, strict=True)]

    @property
    def cpu(self) -> list[float]:
        """CPU seconds of the same."""
        return [whole.cpu_seconds - start.cpu_seconds for whole, start in zip(self.whole, self.start, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path, help="the folder that peers/prepare.py filled")
    parser.add_argument("--photos", type=int, default=300, metavar="N", help="how many (default 300)")
    parser.add_argument("--megapixels", type=int, choices=sorted(SIDES), default=12)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each program (default 3)")
    parser.add_argument("--queries", type=int, default=7, metavar="N", help="cold texts of each program (default 7)")
    parser.add_argument("--source", type=Path, default=SHARED_PHOTOS, metavar="PHOTOS", help="to make photos of")
    parser.add_argument("--made", type=Path, metavar="FOLDER", help="keeps made photos (default: PEERS/photos)")
    arguments = parser.parse_args()
    peers: Path = arguments.peers.absolute()
    made = (arguments.made or peers / "photos") / str(arguments.megapixels)
    photos = camera_photos(made.absolute(), arguments.photos, arguments.megapixels, arguments.source)
    rclip = Peer(peers)
    ours = [
        Clipsearch("clipsearch fp32", peers / "models" / "vit-b-32-256-fp32", "openvino"),
        Clipsearch("clipsearch int8", peers / "models" / "vit-b-32-256-int8", "openvino"),
        Clipsearch("clipsearch starter", STARTER_FOLDER, "auto"),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        all_photos, one_photo = linked(photos, folder / "all"), linked(photos[:1], folder / "one")
        figures = measured(rclip, ours, photos, all_photos, one_photo, folder, arguments.rounds)
        report(figures, arguments.photos, arguments.megapixels)
        for runs in texts(rclip, ours[1], all_photos, folder, arguments.queries):
            print(json.dumps(runs), flush=True)


def measured(
    rclip: Peer, ours: list[Clipsearch], photos: list[Path], every: Path, one: Path, folder: Path, rounds: int
) -> dict[str, Figures]:
    """All programs in turns, the bounds between them. The library of each one's last run is left in `folder`."""
    figures = {program.name: Figures() for program in (rclip, *ours)}
    read_once(photos)
    for number in range(rounds):
        for program in (rclip, *ours):
            figure = figures[program.name]
            figure.start.append(program.index(one, fresh(folder, "start")))
            figure.whole.append(program.index(every, fresh(folder, program.name)))
            if isinstance(program, Clipsearch):
                decoding, encoding = program.core_seconds(sample(photos, number))
                figure.decode.append(decoding)
                figure.encode.append(encoding)
    return figures


def report(figures: dict[str, Figures], count: int, megapixels: int) -> None:
    peer = figures["rclip"]
    for name, one in figures.items():
        row: dict[str, object] = {
            "benchmark": "ingest",
            "program": name,
            "photos": count,
            "megapixels": megapixels,
            "rounds": len(one.whole),
            "photos_per_s": round(count / median(one.seconds), 2),
            "photos_per_s_best": round(count / min(one.seconds), 2),
            "without_start": round((count - 1) / median(one.steady), 2),
            "start_s": round(median([run.seconds for run in one.start]), 2),
            "cpu_ms_a_photo": round(median(one.cpu) / (count - 1) * 1000, 1),
        }
        if one is not peer:
            ratio = median(divided(peer.seconds, one.seconds))
            bounds = [usable_cores() / (d + e) for d, e in zip(one.decode, one.encode, strict=True)]
            share = median([count / taken / bound for taken, bound in zip(one.seconds, bounds, strict=True)])
            steady_share = median(
                [(count - 1) / taken / bound for taken, bound in zip(one.steady, bounds, strict=True)]
            )
            row |= {
                "ratio_to_rclip": round(ratio, 2),
                "ratio_without_start": round(median(divided(peer.steady, one.steady)), 2),
                "cpu_ratio_to_rclip": round(median(divided(peer.cpu, one.cpu)), 2),
                "target": TARGET_RATIO,
                "met": ratio >= TARGET_RATIO,
                "decode_core_ms": round(median(one.decode) * 1000, 1),
                "encode_core_ms": round(median(one.encode) * 1000, 1),
                "cores": usable_cores(),
                "bound_photos_per_s": round(median(bounds), 1),
                "share_of_bound": round(share, 2),
                "share_without_start": round(steady_share, 2),
                "target_share": TARGET_SHARE,
                "met_share": share >= TARGET_SHARE,
            }
        print(json.dumps(row), flush=True)


def divided(above: list[float], below: list[float]) -> list[float]:
    return [one / other for one, other in zip(above, below, strict=True)]


def texts(rclip: Peer, ours: Clipsearch, photos: Path, folder: Path, runs: int) -> Iterator[dict[str, object]]:
    """Cold processes with a text never asked before, of both, and the same text once more of ours."""
    theirs: list[float] = []
    new: list[float] = []
    again: list[float] = []
    ours.query(TEXT.format("one"), photos, folder / ours.name)  # the first of a model encodes its bank, once
    for number in range(runs):
        text = TEXT.format(number + 1)
        theirs.append(rclip.query(text, photos, folder / rclip.name))
        new.append(ours.query(text, photos, folder / ours.name))
        again.append(ours.query(text, photos, folder / ours.name))
    for kind, own in (("cold new text", new), ("cold text asked before", again)):
        ratio = median(divided(own, theirs))
        yield {
            "benchmark": kind,
            "ratio_to_rclip": round(ratio, 2),
            "runs": runs,
            "median_ms": round(median(own) * 1000),
            "min_ms": round(min(own) * 1000),
            "rclip_median_ms": round(median(theirs) * 1000),
            "rclip_min_ms": round(min(theirs) * 1000),
        }


def run(command: list[str], environment: dict[str, str], folder: Path) -> Run:
    """One process in that folder. Raises CalledProcessError, for a failure is no measurement."""
    before, started = cpu_of_children(), time.perf_counter()
    subprocess.run(
        command, env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return Run(time.perf_counter() - started, cpu_of_children() - before)


def cpu_of_children() -> float:
    """Of those that have ended, with theirs."""
    times = os.times()
    return times.children_user + times.children_system


def check(indexed: int, photos: Path) -> None:
    wanted = len(list(photos.iterdir()))
    if indexed != wanted:
        raise SystemExit(f"{indexed} of {wanted} photos were indexed; a run that leaves some out is no measurement")


def linked(photos: list[Path], folder: Path) -> Path:
    folder.mkdir()
    for photo in photos:
        (folder / photo.name).symlink_to(photo)
    return folder


def fresh(folder: Path, name: str) -> Path:
    shutil.rmtree(folder / name, ignore_errors=True)
    return folder / name


def read_once(photos: list[Path]) -> None:
    """So that the first program does not pay for the disk."""
    for photo in photos:
        photo.read_bytes()


def sample(photos: list[Path], number: int) -> list[Path]:
    """SAMPLE photos spread over all, others in each round."""
    step = max(1, len(photos) // SAMPLE)
    return photos[number % step :: step][:SAMPLE]


if __name__ == "__main__":
    main()
