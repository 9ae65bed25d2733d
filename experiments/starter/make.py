"""Makes the starter from nothing: one step after the other, each a program that can be run by itself.

    python experiments/starter/make.py WORK CAPTIONS [--cifar TAR] [--repositories FOLDER]

WORK takes some 20 GB. A step whose output is there is not run again. CAPTIONS and TAR are what measure.py measures
with. Needs the extra [quantize], torch, safetensors, git, network, and on two cores some two hours, one of training.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
STEPS = (
    ("parts", "teacher.onnx"),
    ("photos", "photos.done"),
    ("crops", "crops/round1.npz"),
    ("texts", "texts.npz"),
    ("teach", "vectors.npz"),
    ("adapt", "tower.pt"),
    ("text_tower", "text.pt"),
)
FETCHING = ("photos", "texts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--cifar", type=Path, metavar="TAR")
    parser.add_argument("--repositories", type=Path, help="a folder of repositories that need not be fetched")
    arguments = parser.parse_args()
    for step, output in STEPS:
        if not (arguments.work / output).exists():
            here = ["--repositories", arguments.repositories] if arguments.repositories and step in FETCHING else []
            run(step, arguments.work, *here)
            (arguments.work / output).touch()
    run("build", arguments.work)
    run("bank")
    run("measure", arguments.captions, *(["--cifar", arguments.cifar] if arguments.cifar else []), "--write")


def run(step: str, *arguments: str | Path) -> None:
    print(f"== {step}", flush=True)
    subprocess.run([sys.executable, HERE / f"{step}.py", *arguments], check=True)


if __name__ == "__main__":
    main()
