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

from clipsearch.index.database import parts_of
from clipsearch.index.descriptions import DescribedCatalog
from clipsearch.index.spaces import Space
from clipsearch.shared.store import Rows, Store, Vectors

LOOKS_S = 2.0  # between two looks at which version is published: an object store answers within some 20 ms


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
        if len(ids) > len(self._photos) // 4:  # the store is read from one end to the other then
            wanted = np.array(ids, np.int64)
            for photos, vectors in self.vector_chunks(space):
                keep = np.isin(photos, wanted)
                yield photos[keep], vectors[keep]
            return
        for part in parts_of(ids, 8192):
            rows = self.rows_of(np.array(part, np.int64))
            if len(rows):
                yield self.photos_of(rows), self.store.take(rows)

    def vector_chunks(
        self, space: Space, *, after_seq: int = 0, up_to_seq: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        assert after_seq == 0 and up_to_seq is None, "a store is no checkpoint's source"
        for rows, vectors in self.store.vectors():
            yield self.photos_of(rows), vectors

    def rows_of(self, ids: NDArray[np.int64]) -> Rows:
        """Where the vectors of photos are in the store, in the order of photos; those without one are left out."""
        known = self._photos
        return np.flatnonzero(np.isin(known, ids))

    def photos_of(self, rows: Rows) -> NDArray[np.int64]:
        return np.asarray(self._photos[rows])

    @cached_property
    def _photos(self) -> NDArray[np.int64]:
        """The photo of each row of the store, 0 for a row without a vector."""
        found = self._all("SELECT seq, photo_id FROM embedding ORDER BY seq")
        photos = np.zeros(found[-1][0] if found else 0, np.int64)
        pairs = np.array(found, np.int64).reshape(-1, 2)
        photos[pairs[:, 0] - 1] = pairs[:, 1]
        return photos
