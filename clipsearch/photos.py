"""Unit vectors of photos: the stored one where the library has it unchanged, a fresh one elsewhere.

Joins the catalog's vectors and the engine for queries by picture and for labels.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.engine.cards import ModelCard
from clipsearch.errors import SystemFault
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.spaces import Space
from clipsearch.types import AnyPath, FailedFile, Failure, Stamp

Vector = NDArray[np.float32]


class Batch(NamedTuple):
    paths: list[bytes]
    vectors: Vector  # (n, dim), unit rows


TOGETHER = 4096  # vectors that are read at once: 8 MiB at 512 dimensions


def existing(path: AnyPath) -> bytes:
    """The absolute path of what is there. Raises SystemFault when nothing is."""
    if not os.path.exists(path):
        raise SystemFault(f"There is no {os.fsdecode(path)}.", "Check the spelling, or plug in the disk it lies on.")
    return os.path.abspath(os.fsencode(path))


def photo_vectors(
    catalog: Catalog | None,
    engine: Engine,
    targets: Sequence[AnyPath],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Batch | FailedFile]:
    """Of every photo that is named, and every one in the folders that are, in the order of paths within a target.

    No model is loaded when all of them are stored; `progress` gets (encoded, of those that are not). Raises SystemFault
    where there is no photo.
    """
    paths: list[bytes] = []
    known: dict[bytes, int] = {}  # photos of the library, those whose files are as they were
    for target in targets:
        path = existing(target)
        if os.path.isdir(path):
            stamps = listed(path)
            paths += stamps
            known |= _as_they_were(catalog.files_below(path), stamps) if catalog else {}
        else:
            paths.append(path)
            known |= _as_it_was(catalog, path)
    if not paths:
        raise SystemFault(
            f"There are no photos in {os.fsdecode(targets[0])}.", "Name a folder with photos, or a photo."
        )
    space = _space_of(catalog, engine.card)
    encoded = catalog.encoded(space, known.values()) if catalog and space else set()
    stored = {path: photo for path, photo in known.items() if photo in encoded}
    unknown = [path for path in paths if path not in stored]
    fresh = enumerate(engine.each_image(unknown), 1)
    for is_stored, run in itertools.groupby(paths, key=stored.__contains__):
        if is_stored:
            assert catalog is not None and space is not None  # or nothing would be
            yield from _read(catalog, space, stored, run)
            continue
        for path in run:
            done, outcome = next(fresh)
            progress(done, len(unknown))
            yield FailedFile(path, outcome.reason, 1) if isinstance(outcome, Failure) else Batch([path], outcome[None])


def stored_vectors(catalog: Catalog, space: Space) -> Iterator[Batch]:
    """Of all photos that answer, each by one of its paths, in the order of their indexing."""
    for ids, vectors in catalog.vector_chunks(space):
        paths = catalog.paths_of(ids.tolist())
        there = [place for place, photo in enumerate(ids.tolist()) if photo in paths]
        if there:
            yield Batch([paths[photo] for photo in ids[there].tolist()], unit(vectors[there]))


def unit(vectors: NDArray[np.float16]) -> Vector:
    """Rows of length 1 again after f16."""
    rows = vectors.astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _space_of(catalog: Catalog | None, card: ModelCard) -> Space | None:
    space = catalog.active_space() if catalog else None
    return space if space is not None and space.identity.fingerprint == card.image_fingerprint else None


def _read(catalog: Catalog, space: Space, photos: Mapping[bytes, int], paths: Iterator[bytes]) -> Iterator[Batch]:
    while part := list(itertools.islice(paths, TOGETHER)):
        ids = [photos[path] for path in part]
        vectors: dict[int, NDArray[np.float16]] = {}
        for found, rows in catalog.vectors_of(space, ids):
            vectors |= zip(found.tolist(), rows, strict=True)
        yield Batch(part, unit(np.stack([vectors[photo] for photo in ids])))


def listed(folder: bytes) -> dict[bytes, Stamp]:
    """The photos in a folder and below it, in the order of paths. Raises SystemFault where it cannot be listed."""
    from clipsearch.index.crawl import Listing, walk

    listing = walk(Root(id=0, path=folder, is_file=False, exclude=(), device=None))
    if not isinstance(listing, Listing):
        raise SystemFault(f"{os.fsdecode(folder)} cannot be listed ({listing.reason}).", "Check its permissions.")
    return {os.path.join(folder, stamp.folder, stamp.name): stamp for stamp in listing.stamps}


def _as_they_were(known: Iterable[tuple[bytes, int, Stamp]], there: Mapping[bytes, Stamp]) -> dict[bytes, int]:
    """Of the files that the library knows those that are unchanged: path -> photo."""
    return {path: photo for path, photo, stamp in known if path in there and _same(stamp, there[path])}


def _as_it_was(catalog: Catalog | None, path: bytes) -> dict[bytes, int]:
    known = catalog.photo_at(path) if catalog else None
    if known is None:
        return {}
    photo, stamp = known
    try:
        status = os.stat(path)
    except OSError:  # it vanished since it was named; decoding will say so
        return {}
    return {path: photo} if (status.st_size, status.st_mtime_ns) == (stamp.size, stamp.mtime_ns) else {}


def _same(one: Stamp, other: Stamp) -> bool:
    return (one.size, one.mtime_ns) == (other.size, other.mtime_ns)
