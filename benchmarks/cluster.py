"""What a cluster costs: photos/s of `cluster encode` with 1 and 2 actors to `index --bundle` on the same cores.

    python benchmarks/cluster.py [--photos 300] [--megapixels 12] [--cores N] [--rounds 3] [--made FOLDER]

Whole processes in turns, pinned to the same cores, which actors share evenly, all with one backend. Two rates:

    without_start   the photos beyond the first few, by the time beyond a run over those few alone: what a long run has.
                    Its ratio is what must not fall below 0.85
    wall            all photos by wall time from start to end, in which a Ray starts and stops

JSON lines; ratios are medians over the rounds, each with its own `index`. Needs the extra [cluster].
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from camera_photos import SHARED_PHOTOS, SIDES, camera_photos

LEAST_RATIO = 0.85
FEW = 16  # photos of the run that tells what starting costs: a batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--megapixels", type=int, choices=sorted(SIDES), default=12)
    parser.add_argument("--source", type=Path, default=SHARED_PHOTOS, metavar="PHOTOS")
    parser.add_argument("--cores", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", default="openvino")
    parser.add_argument("--made", type=Path, help="where the photos are kept for the next time")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])  # children keep it
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = arguments.made or Path(scratch, "photos")
        made = camera_photos(folder, arguments.photos, arguments.megapixels, arguments.source)
        few, many = Path(scratch, "few"), Path(scratch, "many")
        for target, paths in ((few, made[:FEW]), (many, made)):
            target.mkdir()
            for path in paths:
                (target / path.name).symlink_to(path.absolute())
        measure(arguments, few, many, Path(scratch))


def measure(arguments: argparse.Namespace, few: Path, many: Path, scratch: Path) -> None:
    options = ["--model", "starter", "--backend", arguments.backend, "--progress", "none"]
    ways = {"index": ["index", "--bundle"]}
    ways |= {f"{n} actor{'s' * (n > 1)}": ["cluster", "encode", "--actors", str(n), "--out"] for n in (1, 2)}
    rates: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for number in range(arguments.rounds):
        for way, command in ways.items():
            start_s = run([*command, scratch / f"{way}-{number}-few", few, *options], scratch)
            whole_s = run([*command, scratch / f"{way}-{number}", many, *options], scratch)
            beyond = (arguments.photos - FEW) / max(whole_s - start_s, 1e-3)
            rates[way].append({"without_start": beyond, "wall": arguments.photos / whole_s})
            print(json.dumps({"round": number, "way": way, **_rounded(rates[way][-1])}), flush=True)
    for way in list(ways)[1:]:
        ratios = {
            kind: median(own[kind] / base[kind] for own, base in zip(rates[way], rates["index"], strict=True))
            for kind in ("without_start", "wall")
        }
        good = ratios["without_start"] >= LEAST_RATIO
        print(
            json.dumps({"way": way, "ratio_to_index": _rounded(ratios), "least": LEAST_RATIO, "good": good}), flush=True
        )


def run(arguments: list[str | Path], scratch: Path) -> float:
    """Seconds of one process from its start to its end."""
    places = {"CLIPSEARCH_LIBRARY": str(scratch / "library"), "CLIPSEARCH_CACHE": str(scratch / "cache")}
    command = [sys.executable, "-m", "clipsearch", *arguments]
    started = time.monotonic()
    subprocess.run(command, env=os.environ | places, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def _rounded(rates: dict[str, float]) -> dict[str, float]:
    return {kind: round(rate, 2) for kind, rate in rates.items()}


if __name__ == "__main__":
    main()
