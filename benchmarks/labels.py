"""Labels a whole library, beside a bare script that reads the same blobs, multiplies and takes the best labels.

    python benchmarks/labels.py [--photos 100000] [--labels 100] [--rounds 5]

The library is made: photos without files' content, vectors at random. Prints the ratio; the goal is at most 3.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from clipsearch import Engine, Library
from clipsearch.engine.towers import image_space
from clipsearch.index.catalog import Catalog
from clipsearch.types import Metadata, Stamp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_library(folder, arguments.photos)
        names = [f"thing number {number}" for number in range(arguments.labels)]
        with Engine("starter") as engine:
            matrix = engine.encode_text([f"a photo of {name}." for name in names])
        with Library.open(folder) as library:
            runs: dict[str, Callable[[], int]] = {
                "bare script": lambda: bare(folder, matrix),
                "classify": lambda: sum(1 for _ in library.classify(labels=names, top=3)),
                "with unknown": lambda: sum(1 for _ in library.classify(labels=names, top=3, unknown=True)),
            }
            best = dict.fromkeys(runs, float("inf"))
            for _ in range(arguments.rounds):
                for name, run in runs.items():
                    started = time.perf_counter()
                    assert run() == arguments.photos
                    best[name] = min(best[name], time.perf_counter() - started)
    for name, seconds in best.items():
        print(f"{name:<14}{seconds:6.2f} s  {seconds / best['bare script']:.2f}")


def make_library(folder: Path, photos: int) -> None:
    rng = np.random.default_rng(0)
    with Engine("starter") as engine:
        identity = image_space(engine.card)
    with Catalog.open_writer(folder / "catalog.db") as catalog:
        with catalog.transaction():
            catalog.add_root(bytes(folder), is_file=False)
            space = catalog.space_for(identity)
            (root,) = catalog.roots()
            for number in range(photos):
                photo = catalog.put_photo(number.to_bytes(32, "big"), Metadata(width=1, height=1, format="JPEG"))
                vector = rng.standard_normal(identity.dim).astype(np.float32)
                catalog.put_vector(space, photo, vector / np.linalg.norm(vector), "made")
                name = f"{number:06}.jpg".encode()
                catalog.put_file(root.id, Stamp(b"%03d" % (number // 1000), name, 1, 1, number), photo)
        catalog.activate(space)


def bare(folder: Path, matrix: np.ndarray) -> int:
    connection = sqlite3.connect(folder / "catalog.db")
    rows = connection.execute("SELECT photo_id, vector FROM embedding").fetchall()
    vectors = np.frombuffer(b"".join(row[1] for row in rows), np.float16).reshape(len(rows), -1).astype(np.float32)
    best = np.argsort(-(vectors @ matrix.T), axis=1)[:, :3]
    connection.close()
    return len(best)


if __name__ == "__main__":
    main()
