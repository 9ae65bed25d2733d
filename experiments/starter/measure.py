"""Measures the starter with clipsearch's own commands; every figure has its 95 % interval, by resampling.

    python experiments/starter/measure.py CAPTIONS [--cifar TAR] [--model FOLDER] [--backend NAME] [--write]

CAPTIONS is a folder with captions.tsv and objects.tsv (`eval retrieval` and `eval words` say what these are) and the
photos that they name. TAR holds `test/CLASS/NNNN.jpg`, CIFAR-10's test pictures as JPEG copies. `--write` puts the
figures into the [measured] table of the model's card.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STARTER = Path(__file__).parents[2] / "clipsearch" / "starter"


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    low: float
    high: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--cifar", type=Path, metavar="TAR")
    parser.add_argument("--model", type=Path, default=STARTER, metavar="FOLDER", help="a folder with card.toml")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--write", action="store_true", help="put the figures into the card")
    arguments = parser.parse_args()
    how = ("--model", str(arguments.model), "--backend", arguments.backend)
    figures = [*recall(arguments.captions, how), words(arguments.captions, how)]
    if arguments.cifar:
        figures.append(cifar(arguments.cifar, how))
    for one in figures:
        print(f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]  {one.name}")
    if arguments.write:
        write_measured(arguments.model / "card.toml", figures)


def recall(captions: Path, how: tuple[str, ...]) -> Iterator[Figure]:
    found = said("retrieval", captions / "captions.tsv", *how)
    asked = f"{found['photos']} photos, {found['captions']:,} captions"
    for one in found["text_to_image"]:
        yield Figure(f"text-to-image R@{one['k']} ({asked})", one["share"], one["low"], one["high"])


def words(captions: Path, how: tuple[str, ...]) -> Figure:
    found = said("words", captions / "objects.tsv", *how)
    name = f"word mAP ({len(found['words'])} words alone, {found['photos']} photos)"
    return Figure(name, found["mean"], found["low"], found["high"])


def cifar(tar: Path, how: tuple[str, ...]) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(tar) as archive:
            archive.extractall(folder, filter="data")
        found = said("zero-shot", Path(folder, "test"), "--set", "cifar10", *how)
    name = f"zero-shot CIFAR-10 ({found['photos']:,} JPEG copies, {len(found['templates'])} templates)"
    return Figure(name, found["acc1"], *found["acc1_interval"])


def said(*command: str | Path) -> Any:
    """What `clipsearch eval` prints as JSON."""
    call = [sys.executable, "-m", "clipsearch", "eval", *command, "--json"]
    return json.loads(subprocess.run(call, stdout=subprocess.PIPE, check=True).stdout)


def write_measured(card: Path, figures: list[Figure]) -> None:
    """Replaces the [measured] table, which is the last one of a card."""
    table = "[measured]\n" + "".join(f'"{one.name}" = {one.value:.3f}\n' for one in figures)
    source = card.read_text("utf-8")
    written, count = re.subn(r"^\[measured\]\n[^\[]*\Z", lambda match: table, source, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{card}: [measured] is not its last table; nothing was written")
    card.write_text(written, "utf-8")


if __name__ == "__main__":
    main()
