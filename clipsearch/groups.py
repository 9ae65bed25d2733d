"""From the catalog to groups of duplicates: reads what photos say of themselves, asks duplicates.py, names the files.

Three kinds, told apart in this order: files of one content; copies of one picture; frames of one moment, in
which a picture and its copies count once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from clipsearch.duplicates import Rows, Vectors, VectorsOf, bursts, copies, looks_of
from clipsearch.index.catalog import Catalog, PhotoRow
from clipsearch.index.descriptions import DescribedCatalog
from clipsearch.index.roots import lies_in
from clipsearch.index.spaces import Space
from clipsearch.types import DuplicateFile, DuplicateGroup, DuplicateKind


def duplicate_groups(
    catalog: DescribedCatalog,
    space: Space,
    kinds: Collection[DuplicateKind],
    *,
    under: bytes | None,
    within_s: float,
) -> Iterator[DuplicateGroup]:
    """Groups of the kinds asked for, in the order exact, perceptual, burst; each kind in the order of paths."""
    if "exact" in kinds:
        files = catalog.files_of(catalog.copied_photos()).values()
        yield from _in_order("exact", (_inside(one, under) for one in files))
    if not {"perceptual", "burst"} & set(kinds):
        return
    ids, described = catalog.described_photos(under=under)
    looks = looks_of(described)
    vectors_of = stored_vectors(catalog, space, ids)
    pictures = copies(looks, vectors_of)
    if "perceptual" in kinds:
        yield from _in_order("perceptual", _photos(catalog, ids, pictures, under))
    if "burst" in kinds:
        moments = bursts(looks, vectors_of, _originals(len(ids), pictures), within_s)
        yield from _in_order("burst", _photos(catalog, ids, moments, under))


def better_ones(catalog: Catalog, space: Space, photos: Sequence[PhotoRow]) -> list[int | None]:
    """For each photo the place of the first one that shows the same picture or moment; None for that one itself."""
    looks = looks_of([photo.metadata for photo in photos])
    vectors_of = stored_vectors(catalog, space, np.array([photo.id for photo in photos], np.int64))
    pictures = copies(looks, vectors_of)
    better: dict[int, int] = {}
    for group in [*bursts(looks, vectors_of, _originals(len(photos), pictures)), *pictures]:
        first, *others = group.tolist()
        better |= dict.fromkeys(others, better.get(first, first))
    return [better.get(place) for place in range(len(photos))]


def _originals(count: int, pictures: Sequence[Rows]) -> NDArray[np.bool_]:
    """All rows but copies."""
    originals = np.ones(count, np.bool_)
    for group in pictures:
        originals[group[1:]] = False
    return originals


def stored_vectors(catalog: Catalog, space: Space, ids: NDArray[np.int64]) -> VectorsOf:
    """Reads the unit vectors of rows, row n being the photo ids[n]."""

    def vectors_of(rows: Rows) -> Vectors:
        wanted = ids[rows]
        order = np.argsort(wanted)
        found = np.zeros((len(rows), space.identity.dim), np.float32)
        for known, vectors in catalog.vectors_of(space, wanted.tolist()):
            unit = vectors.astype(np.float32)
            unit /= np.linalg.norm(unit, axis=1, keepdims=True)  # unit again after f16
            found[order[np.searchsorted(wanted, known, sorter=order)]] = unit
        return found

    return vectors_of


def _photos(
    catalog: DescribedCatalog, ids: NDArray[np.int64], groups: Sequence[Rows], under: bytes | None
) -> Iterator[list[DuplicateFile]]:
    """The groups with one file for each photo, its further ones named as copies."""
    files = catalog.files_of([photo_id for group in groups for photo_id in ids[group].tolist()])
    for group in groups:
        chosen = [_inside(files[photo_id], under) for photo_id in ids[group].tolist()]
        yield [replace(first, copies=tuple(one.path for one in others)) for first, *others in chosen]


def _inside(files: Sequence[DuplicateFile], under: bytes | None) -> list[DuplicateFile]:
    return [file for file in files if under is None or lies_in(file.path, under) or file.path == under]


def _in_order(kind: DuplicateKind, groups: Iterator[list[DuplicateFile]]) -> list[DuplicateGroup]:
    found = [DuplicateGroup(kind, tuple(files)) for files in groups if len(files) > 1]
    return sorted(found, key=lambda group: group.files[0].path)
