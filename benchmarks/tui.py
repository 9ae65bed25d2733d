"""How much work a key press is for the interface's event loop while 5,000 photos are being indexed.

    python benchmarks/tui.py [--photos N] [--keys N]

The real interface, without a terminal but drawing all that it would send to one, over a library that holds
sample_images already; `clipsearch index` runs as its child over N generated photos. A key comes every 60 ms, as when
somebody types fast or holds an arrow down: typing a question, moving, paging, selecting, another view. The work of a
key press is all that the event loop does until the next key: the key itself, and what arrives in between (answers,
thumbnails, progress, new counts). Times are wall time, so they hold the moments when another process had the core;
`cpu` is the thread's own time. One JSON line; the target is for the 95th percentile.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from asyncio import Handle
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from clipsearch.config import Paths
from clipsearch.library import Library
from clipsearch.tui.app import ClipsearchApp

SAMPLES = Path(__file__).parents[1] / "sample_images"
SIZE = (120, 40)  # columns and lines: the preview is there too
EVERY_S = 0.06
TARGET_MS = 16.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=5_000, metavar="N", help="photos to index (default 5,000)")
    parser.add_argument("--keys", type=int, default=400, metavar="N", help="key presses (default 400)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = Paths(folder / "library", folder / "cache", folder / "models")
        make_photos(folder / "photos", arguments.photos)
        with Library(paths) as library:
            for _ in library.index([SAMPLES]):
                pass
        idle = asyncio.run(presses(paths, arguments.keys // 4, None))
        busy = asyncio.run(presses(paths, arguments.keys, folder / "photos"))
    report("key press, nothing else going on", idle, 0)
    report("key press while indexing", busy, arguments.photos)


def make_photos(folder: Path, count: int) -> None:
    """Small photos of random blocks of colour, each of them another."""
    folder.mkdir()
    draw = random.Random(7)
    for number in range(count):
        blocks = Image.frombytes("RGB", (8, 6), draw.randbytes(8 * 6 * 3))
        blocks.resize((160, 120)).save(folder / f"{number:05d}.jpg", quality=80)


class Meter:
    """Adds up what the event loop spends in callbacks."""

    def __init__(self) -> None:
        self.wall = self.cpu = self.longest = 0.0  # s
        original = Handle._run

        def timed(handle: Handle) -> None:
            wall, cpu = time.perf_counter(), time.thread_time()
            original(handle)
            spent = time.perf_counter() - wall
            self.wall += spent
            self.cpu += time.thread_time() - cpu
            self.longest = max(self.longest, spent)

        Handle._run = timed  # type: ignore[method-assign]

    def taken(self) -> tuple[float, float, float]:
        """(wall, cpu, longest callback) in ms since the last call."""
        figures = self.wall * 1000, self.cpu * 1000, self.longest * 1000
        self.wall = self.cpu = self.longest = 0.0
        return figures


def keys() -> Iterator[str]:
    """What a person does, for ever."""
    moves = [
        "right",
        "right",
        "down",
        "down",
        "pagedown",
        "space",
        "down",
        "v",
        "down",
        "right",
        "v",
        "up",
        "left",
        "t",
        "down",
        "down",
        "t",
        "end",
        "home",
        "y",
        "O",
        "O",
        "O",
        "escape",
        "escape",
    ]
    for word in itertools.cycle(["flowers", "city at night", "a dog", "snow is:landscape", "red"]):
        yield from ["ctrl+u", *(character if character != " " else "space" for character in word), "enter", *moves]


async def presses(paths: Paths, count: int, folder: Path | None) -> list[tuple[float, float, float]]:
    """The loop's work for each of `count` key presses; of those alone during which `folder` was being indexed."""
    app, meter = ClipsearchApp(paths), Meter()
    figures = []
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        while not app.search_screen.results.hits:
            await pilot.pause(0.05)
        if folder is not None:
            app.search_screen.want_indexing((bytes(folder),))
            while "indexing" not in app.search_screen.status_line.render().plain:
                await pilot.pause(0.05)
        for key in itertools.islice(keys(), count):
            if folder is not None and (app.indexing is None or not app.indexing.is_running):
                break
            meter.taken()
            app.simulate_key(key)
            await asyncio.sleep(EVERY_S)
            figures.append(meter.taken())
    if app.indexing is not None:
        app.indexing.stop()
        app.indexing.wait()
    return figures


def report(kind: str, figures: list[tuple[float, float, float]], photos: int) -> None:
    wall, cpu, longest = (sorted(column) for column in zip(*figures, strict=True))
    row = {
        "benchmark": kind,
        "p95_ms": round(percentile(wall, 95), 1),
        "target_ms": TARGET_MS,
        "met": percentile(wall, 95) <= TARGET_MS,
        "median_ms": round(statistics.median(wall), 1),
        "p95_cpu_ms": round(percentile(cpu, 95), 1),
        "p95_longest_ms": round(percentile(longest, 95), 1),
        "max_ms": round(wall[-1], 1),
        "keys": len(figures),
        "photos": photos,
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(row), flush=True)


def percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


if __name__ == "__main__":
    main()
