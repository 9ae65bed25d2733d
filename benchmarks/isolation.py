"""What it costs to decode in worker processes instead of in the process that asks, as a ratio.

    python benchmarks/isolation.py [--photos N] [--runs N]

N JPEGs of 12 and as many of 24 megapixels, made as in memory.py, are decoded for the starter in this process, by one
thread, and by one worker that has started, in alternating runs over the same files. One JSON line a size: the median of
the pairs' ratios of wall time, minus 1, is the cost; the cost in core-seconds is what a busy machine leaves to be seen.
A third line is the pipe alone: a path to a child and the pixels of one picture back, pickled, which is more than shared
memory could save.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from memory import new_block, write_photo

from clipsearch.decoding.decode import decode
from clipsearch.decoding.messages import receive, send
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.engine.cards import read_card
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.types import Decoded

TARGET = 0.10
SIDES = {"12 megapixels": (4000, 3000), "24 megapixels": (6000, 4000)}
ECHO = """
import sys
from clipsearch.decoding.messages import Answer, receive, send
from clipsearch.types import Decoded, Metadata
side = int(sys.argv[1])
answer = Answer(Decoded(bytes(range(256)) * (side * side * 3 // 256), Metadata(1, 1, "JPEG")), 0.0, 0.0, False)
while True:
    receive(sys.stdin.buffer)
    send(sys.stdout.buffer, answer)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--photos", type=int, default=24)
    arguments.add_argument("--runs", type=int, default=7)
    asked = arguments.parse_args()
    prepare = Preprocess(read_card(STARTER_FOLDER).image)
    with tempfile.TemporaryDirectory(prefix="clipsearch-isolation-") as folder:
        for name, sides in SIDES.items():
            paths = write_photos(Path(folder) / name, sides, asked.photos)
            compare(name, paths, prepare, asked.runs)
    pipe(prepare.size, 1000)


def write_photos(folder: Path, sides: tuple[int, int], count: int) -> list[bytes]:
    folder.mkdir()
    noise = np.random.default_rng(0)
    blocks = [new_block(noise) for _ in range(6)]
    for number in range(count):
        write_photo(folder / f"{number:03}.jpg", sides, blocks, np.random.default_rng(number), quality=88)
    return [os.fsencode(path) for path in sorted(folder.iterdir())]


def compare(name: str, paths: list[bytes], prepare: Preprocess, runs: int) -> None:
    here: list[float] = []
    apart: list[float] = []
    with DecodeWorkers(prepare, 1) as workers:

        def decode_apart() -> None:
            assert all(isinstance(outcome, Decoded) for outcome in workers.decode_all(paths))

        def decode_here() -> None:
            assert all(isinstance(decode(path, prepare), Decoded) for path in paths)

        decode_apart()  # files in the page cache, the worker started
        cores: list[float] = []
        for _ in range(runs):
            worked, own = sum(workers.spent), time.process_time()
            apart.append(seconds(decode_apart))
            taken_apart = sum(workers.spent) - worked + time.process_time() - own
            own = time.process_time()
            here.append(seconds(decode_here))
            cores.append(taken_apart / (time.process_time() - own))
    cost = statistics.median(one / other for one, other in zip(apart, here, strict=True)) - 1
    row = {
        "benchmark": f"isolation, {name}",
        "cost": round(cost, 3),
        "cost_of_minima": round(min(apart) / min(here) - 1, 3),
        "cost_in_core_seconds": round(statistics.median(cores) - 1, 3),
        "target": TARGET,
        "met": cost <= TARGET,
        "here_ms_a_photo": round(statistics.median(here) / len(paths) * 1000, 1),
        "apart_ms_a_photo": round(statistics.median(apart) / len(paths) * 1000, 1),
        "photos": len(paths),
        "runs": runs,
    }
    print(json.dumps(row), flush=True)


def pipe(side: int, count: int) -> None:
    command = [sys.executable, "-c", ECHO, str(side)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        times = []
        for _ in range(count):
            started = time.perf_counter()
            send(child.stdin, b"/photos/IMG_0001.jpg")
            receive(child.stdout)
            times.append(time.perf_counter() - started)
        child.kill()
    row = {"benchmark": "pipe, there and back", "median_ms": round(statistics.median(times) * 1000, 3), "side": side}
    print(json.dumps(row), flush=True)


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
