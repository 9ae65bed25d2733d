"""What `clipsearch duplicates` takes in a large library, in process, as a ratio to reading all its vectors once.

    python benchmarks/duplicates.py [--rows N] [--runs N]

Photos in a temporary library: pictures of noise with the spectrum of photographs (1/f), hashed as real ones are, so
that their hashes fall together as often; every twentieth is a copy of the one before it, every tenth another frame
of that one's burst. One JSON line: the median ratio, and the seconds of each part in the last run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.decoding.appearance import perceptual_hashes
from clipsearch.duplicates import bursts, copies, looks_of
from clipsearch.groups import duplicate_groups, stored_vectors
from clipsearch.index.descriptions import DescribedCatalog
from clipsearch.index.spaces import Space
from clipsearch.types import BURST_S, DUPLICATE_KINDS, Metadata, SpaceIdentity, Stamp

DIM = 512
TARGET = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, DescribedCatalog.open_writer(Path(folder) / "catalog.db") as catalog:
        space = filled(catalog, arguments.rows)
        ratios, parts = [], {}
        for _ in range(arguments.runs):
            started = time.perf_counter()
            rows = sum(len(ids) for ids, _ in catalog.vector_chunks(space))
            walk = time.perf_counter() - started
            started = time.perf_counter()
            groups = list(duplicate_groups(catalog, space, DUPLICATE_KINDS, under=None, within_s=BURST_S))
            whole = time.perf_counter() - started
            ratios.append(whole / walk)
            parts = {"read_vectors_s": round(walk, 2), "duplicates_s": round(whole, 2), **timed(catalog, space)}
        print(
            json.dumps(
                {
                    "benchmark": "duplicates",
                    "ratio": round(statistics.median(ratios), 1),
                    "target": TARGET,
                    "rows": rows,
                    "groups": len(groups),
                    **parts,
                    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                }
            )
        )


def timed(catalog: DescribedCatalog, space: Space) -> dict[str, float]:
    """Seconds of the parts, each by itself."""
    clock = [time.perf_counter()]
    ids, described = catalog.described_photos()
    looks = looks_of(described)
    clock.append(time.perf_counter())
    vectors_of = stored_vectors(catalog, space, ids)
    copies(looks, vectors_of)
    clock.append(time.perf_counter())
    bursts(looks, vectors_of, np.ones(len(ids), np.bool_))
    clock.append(time.perf_counter())
    spans = np.diff(clock).round(2).tolist()
    return dict(zip(("read_photos_s", "copies_s", "bursts_s"), spans, strict=True))


def filled(catalog: DescribedCatalog, rows: int) -> Space:
    space = catalog.space_for(SpaceIdentity("benchmark", "starter", DIM))
    catalog.add_root(b"/photos", is_file=False)
    (root,) = catalog.roots()
    random = np.random.default_rng(0)
    vector = unit(random.standard_normal(DIM))
    with catalog.transaction():
        for number, (coarse, fine) in enumerate(hashes(rows, random)):
            if number % 20 and number % 10:
                vector = unit(random.standard_normal(DIM))
            taken = (datetime(2015, 7, 14) + timedelta(seconds=3 * number)).isoformat()
            photo_id = catalog.put_photo(
                b"%032d" % number,
                Metadata(
                    4000 - number % 20, 3000, "JPEG", taken_at=None if number % 20 == 0 else taken, camera="one",
                    phash=coarse, phash_fine=fine,
                ),
            )  # fmt: skip
            catalog.put_vector(space, photo_id, vector, "none")
            catalog.put_file(root.id, Stamp(b"", b"%d.jpg" % number, 1, 1, number), photo_id)
    return space


def hashes(rows: int, random: np.random.Generator) -> Iterator[tuple[int, bytes]]:
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.rfftfreq(32), indexing="ij"))
    frequencies[0, 0] = 1
    former = (0, bytes(24))
    for number in range(rows):
        if number % 20 == 0 and number:
            yield former[0] ^ (1 << int(random.integers(63))), former[1]
            continue
        spectrum = random.standard_normal(frequencies.shape) + 1j * random.standard_normal(frequencies.shape)
        noise = np.fft.irfft2(spectrum / frequencies, (32, 32))
        pixels = np.clip(128 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
        former = perceptual_hashes(Image.fromarray(pixels)) or former
        yield former


def unit(vector: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


if __name__ == "__main__":
    os.nice(5)
    main()
