"""What an index run costs when nothing changed, as a ratio to a bare scandir + stat walk of the same files.

    python benchmarks/reindex.py [--files N] [--runs N]

20,000 tiny pictures in 200 folders lie in a temporary folder; the catalog knows them all, with a vector each
(random ones: nothing is decoded or encoded when nothing changed). All runs are in this process, alternating with the
walk. Two JSON lines: `Library.update`, as `clipsearch index` calls it, and the indexer below it, without the library's
opening, lock and model. A ratio is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import Paths
from clipsearch.decoding.decode import decoder_identity
from clipsearch.engine.cards import ImageInput, read_card
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.store import DEFAULT_MODEL, STARTER_FOLDER
from clipsearch.events import Summary
from clipsearch.index import crawl
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.spaces import Space
from clipsearch.index.update import update
from clipsearch.library import Library
from clipsearch.types import Decoded, Failure, Metadata, SpaceIdentity

FOLDERS = 200
STARTER = read_card(STARTER_FOLDER)
TARGET = 4.0


class Idle:
    """Satisfies types.Encoder and types.Decoder, and fails when it is asked to do anything."""

    space = SpaceIdentity(STARTER.image_fingerprint, DEFAULT_MODEL, STARTER.dim)
    variant = "none"
    batch_size = 16
    prepare = Preprocess(ImageInput(16, "squash", "bilinear", (0, 0, 0), (1, 1, 1)))

    @property
    def identity(self) -> str:
        return decoder_identity()

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise AssertionError("nothing changed, yet something was encoded")

    ahead = 1
    suspects: Mapping[bytes, int] = MappingProxyType({})
    spent = (0.0, 0.0)

    def submit(self, path: bytes) -> Future[Decoded | Failure]:
        raise AssertionError("nothing changed, yet something was decoded")

    def decode_alone(self, path: bytes) -> Decoded | Failure:
        raise AssertionError("nothing changed, yet something was decoded")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000, metavar="N", help="how many files (default 20,000)")
    parser.add_argument("--runs", type=int, default=9, metavar="N", help="pairs of walks (default 9)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        photos, library = Path(name) / "photos", Path(name) / "library"
        library.mkdir()
        write_files(photos, arguments.files)
        paths = Paths(library, Path(name) / "cache", Path(name) / "models")
        with Catalog.open_writer(library / "catalog.db") as catalog:
            know_all(catalog, photos)
        index(paths, arguments.files)  # it makes the checkpoint and imports what it needs, once
        whole = alternating(arguments.runs, photos, lambda: index(paths, arguments.files))
        report("no-change re-index", arguments.files, *whole)
        with Catalog.open_writer(library / "catalog.db") as catalog:
            space = catalog.active_space()
            assert space is not None
            below = alternating(arguments.runs, photos, lambda: reindex(catalog, space, library))
        report("no-change re-index, indexer alone", arguments.files, *below)


def alternating(runs: int, photos: Path, work: Callable[[], int]) -> tuple[list[float], list[float]]:
    """Seconds of the bare walk and of the work, in turns."""
    pairs = [(seconds(lambda: walk(photos)), seconds(work)) for _ in range(runs)]
    return [bare for bare, _ in pairs], [ours for _, ours in pairs]


def index(paths: Paths, files: int) -> int:
    """`clipsearch index`, without its process."""
    with Library(paths) as library:
        *_, summary = library.index()
    assert isinstance(summary, Summary) and summary.unchanged == files, summary
    return summary.unchanged


def write_files(photos: Path, count: int) -> None:
    """Tiny pictures, no two alike: a PPM of one pixel with its number as a comment."""
    for number in range(min(FOLDERS, count)):
        (photos / f"{number:03}").mkdir(parents=True)
    for number in range(count):
        path = photos / f"{number % FOLDERS:03}" / f"IMG_{number:05}.ppm"
        path.write_bytes(b"P6\n# %d\n1 1\n255\n\x80\x80\x80" % number)


def know_all(catalog: Catalog, photos: Path) -> None:
    """Rows as an index run writes them, with random unit vectors."""
    catalog.add_root(os.fsencode(photos), is_file=False)
    (root,) = catalog.roots()
    space = catalog.space_for(Idle.space)
    listing = crawl.walk(root)
    assert isinstance(listing, crawl.Listing), listing
    vectors = np.random.default_rng(0).standard_normal((len(listing.stamps), STARTER.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with catalog.transaction():
        for stamp, vector in zip(listing.stamps, vectors, strict=True):
            digest = hashlib.sha256(stamp.folder + b"/" + stamp.name).digest()
            photo_id = catalog.put_photo(digest, Metadata(1, 1, "PPM"))
            catalog.put_vector(space, photo_id, vector, Idle.variant)
            catalog.put_file(root.id, stamp, photo_id)


def reindex(catalog: Catalog, space: Space, library: Path) -> int:
    """One run of the indexer over all roots; the number of files it saw."""
    roots: list[Root] = catalog.roots()
    idle = Idle()
    *_, summary = update(catalog, space, library / "vectors", roots, idle, idle)
    assert isinstance(summary, Summary), summary
    return summary.unchanged


def walk(photos: Path) -> int:
    """The least that can tell whether a file changed: list every folder, stat every file."""
    files, folders = 0, [os.fsencode(photos)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    entry.stat()
                    files += 1
    return files


def seconds(work: Callable[[], int]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(name: str, files: int, bare: list[float], ours: list[float]) -> None:
    ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
    row = {
        "benchmark": name,
        "ratio": round(ratio, 2),
        "ratio_of_minima": round(min(ours) / min(bare), 2),
        "target": TARGET,
        "met": ratio <= TARGET,
        "files": files,
        "runs": len(ours),
        "median_ms": round(statistics.median(ours) * 1000, 1),
        "min_ms": round(min(ours) * 1000, 1),
        "baseline_median_ms": round(statistics.median(bare) * 1000, 1),
        "baseline_min_ms": round(min(bare) * 1000, 1),
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
