"""What index/ingest.py commits, as parts of a bundle. Satisfies ingest.Store.

A commit joins the rows that wait for the next part, which is written when there are enough of them or when the first
has waited for half a minute. So a kill costs that much work, and the parts of a long run stay few.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.bundles.folder import parts_in, read_part, seal, write_part
from clipsearch.bundles.header import Manifest, Part
from clipsearch.bundles.resuming import PART_ROWS, PART_S
from clipsearch.bundles.rows import SEPARATOR, Copy, Header, Photo, Place, Row, Unread
from clipsearch.index.catalog import SEPARATOR as OWN_SEPARATOR
from clipsearch.index.catalog import KnownFile, Root
from clipsearch.index.spaces import Space
from clipsearch.types import Metadata, Stamp


class BundleStore:
    """A bundle that is being written, by one process. It remembers what its parts hold: some 500 bytes a file."""

    def __init__(self, folder: Path, header: Header, roots: Sequence[Root]) -> None:
        """Reads the parts that are there. Raises Unreadable."""
        self._folder = folder
        self._header = header
        self._roots = {root.id: root for root in roots}
        self._numbers: dict[bytes, int] = {}  # of digests; a photo's id
        self._digests: list[bytes] = []
        self._known: dict[bytes, dict[bytes, KnownFile]] = {}  # by root, then by path
        self._ids = itertools.count(1)  # by which `crawl.plan` tells them apart
        self._described: dict[int, Metadata] = {}  # photos of this commit that have no row yet
        self._vectors: dict[int, tuple[bytes, str]] = {}
        self._rows: list[Row] = []
        self._due = 0.0
        self._parts: list[Part] = []
        for _, part in parts_in(folder):
            for rows in read_part(folder, part, header):
                for row in rows:
                    self._remember(row)
            self._parts.append(part)

    def known_files(self, root: Root) -> list[KnownFile]:
        """What the parts say of a root, as `crawl.plan` compares it."""
        return list(self._known.get(root.path, {}).values())

    def flush(self) -> None:
        """Writes the rows that wait. Raises SystemFault."""
        if self._rows:
            self._parts.append(write_part(self._folder, self._header, self._rows))
            self._rows = []

    def seal(self) -> Manifest:
        """Makes it whole."""
        self.flush()
        return seal(self._folder, self._header, self._parts)

    def _remember(self, row: Row) -> None:
        place = row.place
        folder, _, name = place.path.replace(SEPARATOR, OWN_SEPARATOR).rpartition(OWN_SEPARATOR)
        stamp = Stamp(folder, name or os.path.basename(place.root), place.size, place.mtime_ns, place.inode)
        known = KnownFile(
            id=next(self._ids),
            stamp=stamp,
            photo_id=None if isinstance(row, Unread) else self._number(row.digest),
            complete=not isinstance(row, Unread),
            failed_by=row.decoder if isinstance(row, Unread) else None,
        )
        below = self._known.setdefault(place.root, {})
        before = below.get(place.path)
        if before is None or _rank(known) >= _rank(before):
            below[place.path] = known

    def _number(self, digest: bytes) -> int:
        if digest not in self._numbers:
            self._numbers[digest] = len(self._digests)
            self._digests.append(digest)
        return self._numbers[digest]

    # -- as ingest.Store ----------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        waited = bool(self._rows)
        yield
        if not waited:
            self._due = time.monotonic() + PART_S
        if len(self._rows) >= PART_ROWS or time.monotonic() >= self._due:
            self.flush()

    def complete_photo(self, digest: bytes, space_id: int, /) -> int | None:
        return self._numbers.get(digest)

    def has_vector(self, digest: bytes, space_id: int, /) -> bool:
        return digest in self._numbers

    def put_photo(self, digest: bytes, metadata: Metadata, /) -> int:
        number = self._number(digest)
        self._described[number] = metadata
        return number

    def put_vector(self, space: Space, photo_id: int, vector: NDArray[np.float32], variant: str, /) -> None:
        self._vectors[photo_id] = vector.astype("<f2").tobytes(), variant

    def put_file(self, root_id: int, stamp: Stamp, photo_id: int, /) -> None:
        place, digest = self._place(root_id, stamp), self._digests[photo_id]
        if photo_id in self._described:
            self._rows.append(
                Photo(place, digest, self._described.pop(photo_id), *self._vectors.pop(photo_id))
            )  # its first file; others of this commit are copies
        else:
            self._rows.append(Copy(place, digest))

    def put_failure(self, root_id: int, stamp: Stamp, reason: str, decoder: str, /) -> None:
        self._rows.append(Unread(self._place(root_id, stamp), reason, decoder))

    def mark_offline(self, root_id: int, /) -> None:
        """The summary says so, and the bundle stays unfinished."""

    def _place(self, root_id: int, stamp: Stamp) -> Place:
        root = self._roots[root_id]
        path = b"" if root.is_file else path_below(stamp)
        return Place(root.path, path, stamp.size, stamp.mtime_ns, stamp.inode)


def path_below(stamp: Stamp) -> bytes:
    """The way from the root to a file, as bundles write it."""
    return os.path.join(stamp.folder, stamp.name).replace(OWN_SEPARATOR, SEPARATOR)


def _rank(file: KnownFile) -> tuple[int, int, bool]:
    """Of two rows of one file the higher one counts, as where they are merged (index/joining.py)."""
    return file.stamp.mtime_ns, file.stamp.size, file.complete
