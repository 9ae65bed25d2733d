"""A library as a map: which photos, where each of them lies, what the regions are called. Draws nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.background import background_texts
from clipsearch.errors import UsageError
from clipsearch.lab.projection import (
    Places,
    Projection,
    Vectors,
    neighbours_kept,
    own_places,
    pca_axes,
    placed,
    spread_sample,
)
from clipsearch.lab.regions import names, regions
from clipsearch.library import Library

LEAST = 3  # photos that make a plane
_AXES_FROM = 5_000  # photos that the sample's plane is laid through


@dataclass(frozen=True, slots=True)
class MappedPhoto:
    path: bytes
    x: float  # 0..1, from the left
    y: float  # 0..1, from the top, in the same unit
    region: int
    width: int  # px
    height: int
    taken_at: str | None
    labels: tuple[str, ...]
    offline: bool


@dataclass(frozen=True, slots=True)
class Region:
    name: str | None
    x: float  # the middle of its photos
    y: float
    photos: int


@dataclass(frozen=True, slots=True)
class LibraryMap:
    model: str
    query: str  # that photos were chosen by; may be empty
    by: Projection
    photos: tuple[MappedPhoto, ...]  # of each region the most typical first
    of: int  # photos that they stand for
    regions: tuple[Region, ...]
    kept: float  # 0..1, share of the nearest photos that are nearest on the map too


def library_map(library: Library, query: str = "", *, by: Projection = "pca", photos: int = 2_000) -> LibraryMap:
    """Of all photos that answer, or of those that fit `query`; of more than `photos` a sample spread over the map.

    Raises UsageError where fewer than LEAST are left, SystemFault for umap without its extra, and what
    `Library.search` raises.
    """
    paths, vectors, of = _sampled(library, _asked(library, query), photos)
    if of < LEAST:
        there = f"{of} photo{'' if of == 1 else 's'}"
        raise UsageError(
            f"{there} fit{'s' if of == 1 else ''} {query!r}." if query else f"The library has {there}.",
            f"A map needs {LEAST} or more.",
        )
    places = placed(vectors, by)
    region = regions(places)
    shown = own_places(places)
    found = names(vectors, region, background_texts(), library.bank())
    typical = _typicality(vectors, region)
    order = np.lexsort((np.arange(len(paths)), -typical, region))
    status = library.status()
    return LibraryMap(
        model=status.model,
        query=query,
        by=by,
        photos=tuple(_mapped(library, paths[row], shown[row], int(region[row])) for row in order.tolist()),
        of=of,
        regions=tuple(_region(name, shown[region == number]) for number, name in enumerate(found)),
        kept=neighbours_kept(vectors, shown),
    )


def _asked(library: Library, query: str) -> Collection[bytes] | None:
    """Paths, copies too, of the photos that fit; None for all."""
    if not query.strip():
        return None
    fitting = library.search(query, k=0).fitting
    return {path for hit in fitting for path in (hit.path, *hit.copies)}


def _sampled(library: Library, asked: Collection[bytes] | None, photos: int) -> tuple[list[bytes], Vectors, int]:
    """(paths, their vectors, of how many). Memory holds the sample and two numbers of each photo."""
    count = sum(len(paths) for paths, _ in _batches(library, asked))
    if count > photos:
        axes = pca_axes(_every(library, asked, max(1, count // _AXES_FROM)), 2)
        parts = [(paths, vectors @ axes) for paths, vectors in _batches(library, asked)]
        every = list(itertools.chain.from_iterable(paths for paths, _ in parts))
        plane: Places = np.concatenate([places for _, places in parts])
        asked = {every[row] for row in spread_sample(plane, photos).tolist()}
    kept = list(_batches(library, asked))
    vectors = np.concatenate([rows for _, rows in kept]) if kept else np.empty((0, 1), np.float32)
    return list(itertools.chain.from_iterable(paths for paths, _ in kept)), vectors, count


def _batches(library: Library, asked: Collection[bytes] | None) -> Iterator[tuple[list[bytes], Vectors]]:
    for paths, vectors in library.vectors():
        if asked is None:
            yield paths, vectors
        elif rows := [row for row, path in enumerate(paths) if path in asked]:
            yield [paths[row] for row in rows], vectors[rows]


def _every(library: Library, asked: Collection[bytes] | None, step: int) -> Vectors:
    """Each step-th vector."""
    found, seen = [], 0
    for paths, vectors in _batches(library, asked):
        found.append(vectors[-seen % step :: step])
        seen += len(paths)
    return np.concatenate(found)


def _typicality(vectors: Vectors, region: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,): how alike each photo is to its region."""
    sums = np.zeros((int(region.max()) + 1, vectors.shape[1]))
    np.add.at(sums, region, vectors)
    return np.asarray((vectors * sums[region]).sum(axis=1), np.float64)


def _mapped(library: Library, path: bytes, place: NDArray[np.float64], region: int) -> MappedPhoto:
    x, y = place.tolist()
    known = library.photo(path)
    if known is None:  # an index run has just forgotten it; its picture may still be kept
        return MappedPhoto(path, x, y, region, 1, 1, None, (), not os.path.exists(path))
    said = known.metadata
    return MappedPhoto(path, x, y, region, said.width, said.height, said.taken_at, known.labels, known.offline)


def _region(name: str | None, places: Places) -> Region:
    x, y = places.mean(axis=0).tolist()
    return Region(name, x, y, len(places))
