"""The catalog of a shared library: SQLite on this machine for all but the vectors, which are in the store.

Everything that asks a catalog asks this one in the same words.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.database import Row, ids_of, parts_of
from clipsearch.index.descriptions import DescribedCatalog
from clipsearch.index.nearest import WHOLE
from clipsearch.index.spaces import Space
from clipsearch.shared.store import Rows, Store, Vectors

LOOKS_S = 2.0  # between two looks at which version is published: an object store answers within some 20 ms
_TAKEN = 8192  # vectors taken one by one at once: 8 MiB at 512 dimensions


class SharedCatalog(DescribedCatalog):
    """Use as a context manager, from one thread."""

    store: Store
    _looked = 0.0

    @classmethod
    def of(cls, outline: Path, store: Store) -> SharedCatalog:
        """The file of `outline.kept`, with the vectors of the same version."""
        catalog = cls.open_reader(outline)
        catalog.store = store
        catalog._looked = time.monotonic()
        return catalog

    def is_current(self) -> bool:
        if self._connection.in_transaction or time.monotonic() - self._looked < LOOKS_S:
            return True
        self._looked = time.monotonic()
        return super().is_current() and self.store.is_newest()

    # -- vectors ----------------------------------------------------------------------------------

    def vectors_of(self, space: Space, ids: Sequence[int]) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        if WHOLE * len(ids) > self.store.edition.vectors:  # the store is read from one end to the other then
            wanted = np.array(ids, np.int64)
            for photos, vectors in self.vector_chunks(space):
                keep = np.isin(photos, wanted)
                yield photos[keep], vectors[keep]
            return
        for part in parts_of(ids, _TAKEN):
            rows = self.rows_of(space, np.array(part, np.int64))
            if len(rows):
                yield self.photos_of(rows), self.store.take(rows)

    def vector_chunks(
        self, space: Space, *, after_seq: int = 0, up_to_seq: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        assert after_seq == 0 and up_to_seq is None, "a store is no checkpoint's source"
        for rows, vectors in self.store.vectors():
            if len(rows):
                places = "SELECT photo_id FROM embedding WHERE seq BETWEEN ? AND ? ORDER BY seq"
                yield ids_of(self._all(places, (int(rows[0]) + 1, int(rows[-1]) + 1))), vectors

    def rows_of(self, space: Space, ids: NDArray[np.int64]) -> Rows:
        """Where the vectors of photos are in the store, in its order; photos without one are left out."""
        if len(ids) > _TAKEN:
            rows, photos = self._places
            return rows[np.isin(photos, ids)]
        found: list[Row] = []
        for part in parts_of(ids.tolist()):
            named = f"space_id = ? AND photo_id IN ({_marks(part)})"  # as the index has them
            found += self._all(f"SELECT seq FROM embedding WHERE {named}", (space.id, *part))
        return np.sort(ids_of(found)) - 1

    def photos_of(self, rows: Rows) -> NDArray[np.int64]:
        """The photos whose vectors they are, in the order of `rows`."""
        found: dict[int, int] = {}
        for part in parts_of((rows + 1).tolist()):
            found |= self._all(f"SELECT seq, photo_id FROM embedding WHERE seq IN ({_marks(part)})", part)
        return np.fromiter((found[row + 1] for row in rows.tolist()), np.int64, len(rows))

    @cached_property
    def _places(self) -> tuple[Rows, NDArray[np.int64]]:
        """(row, photo) of each vector: half a second for a million, for filters that leave many."""
        pairs = np.array(self._all("SELECT seq, photo_id FROM embedding ORDER BY seq"), np.int64).reshape(-1, 2)
        return pairs[:, 0] - 1, pairs[:, 1]


def _marks(part: Sequence[int]) -> str:
    return ",".join("?" * len(part))
