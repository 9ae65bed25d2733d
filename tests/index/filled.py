"""Makers shared by the tests of this folder: catalogs with hashed vectors, small photos, the brute-force truth."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.decoding.decode import decode
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.spaces import Space
from clipsearch.types import Decoded, Metadata, SpaceIdentity, Stamp
from tests.support.encoder import HashEncoder, hashed_vector

DIM = 32
Vector = NDArray[np.float32]


def identity(dim: int = DIM, seed: int = 0) -> SpaceIdentity:
    return SpaceIdentity(f"hash-{seed}-{dim}", "starter", dim)


def stamp(name: bytes, folder: bytes = b"", *, size: int = 1, mtime_ns: int = 1, inode: int = 1) -> Stamp:
    return Stamp(folder, name, size, mtime_ns, inode)


def new_root(catalog: Catalog, path: bytes, *, is_file: bool = False) -> Root:
    catalog.add_root(path, is_file=is_file)
    return next(root for root in catalog.roots() if root.path == path)


def add_photo(catalog: Catalog, space: Space, root: Root, place: Stamp, content: bytes) -> int:
    """A photo whose vector is the hash of `content`, shown by the file `place`."""
    with catalog.transaction():
        photo_id = catalog.put_photo(content.ljust(32, b"."), Metadata(4, 3, "JPEG"))
        catalog.put_vector(space, photo_id, hashed_vector(content, space.identity.dim), "fake")
        catalog.put_file(root.id, place, photo_id)
    return photo_id


def fill(catalog: Catalog, space: Space, root: Root, count: int, *, first: int = 0) -> list[int]:
    return [
        add_photo(catalog, space, root, stamp(b"%05d.jpg" % n, inode=n), b"content %d" % n)
        for n in range(first, first + count)
    ]


def files_under(catalog: Catalog, folder: bytes) -> list[tuple[bytes, int]]:
    """(absolute path, photo id) of every readable file in `folder` or below it, in the order of paths."""
    rows = catalog._all(
        "SELECT base, folder, name, photo_id FROM file JOIN root ON root.id = root_id WHERE photo_id IS NOT NULL"
    )
    places = [(os.path.join(base or b"/", below, name), photo_id) for base, below, name, photo_id in rows]
    return sorted(one for one in places if one[0].startswith(folder.rstrip(b"/") + b"/") or one[0] == folder)


def photos_under(catalog: Catalog, folder: bytes) -> set[int]:
    return set(catalog.photos_matching((), date(2020, 1, 1), under=folder).tolist())


def true_scores(vectors: Mapping[int, Vector], query: Vector) -> dict[int, float]:
    """Cosines in float64, of vectors rounded to f16 as the catalog stores them."""
    scores = {}
    for photo_id, vector in vectors.items():
        stored = vector.astype(np.float16).astype(np.float64)
        scores[photo_id] = float(stored @ query.astype(np.float64) / np.linalg.norm(stored))
    return scores


def true_best(vectors: Mapping[int, Vector], query: Vector, k: int) -> list[int]:
    """Ids by brute force, best first."""
    scores = true_scores(vectors, query)
    return sorted(scores, key=lambda photo_id: (-round(scores[photo_id], 6), photo_id))[:k]


def photo(path: Path, seed: int, *, width: int = 32) -> Path:
    """A small JPEG with a picture of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(pixels).resize((width, 24)).save(path, "JPEG", quality=90)
    return path


def own_vector(path: Path, encoder: HashEncoder) -> Vector:
    """What the photo's own pixels give, computed beside the indexer."""
    outcome = decode(os.fsencode(path), encoder.prepare)
    assert isinstance(outcome, Decoded), outcome
    return hashed_vector(outcome.pixels, encoder.dim, encoder.seed)
