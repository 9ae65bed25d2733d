"""What a bundle holds by now. The only writer of the bundle (K3).

Rows are known again by where their file lies and how it looked there: 16 bytes of each are kept, not their names. A
row whose file has changed, or could be read after all, gets a successor; of the two the newer one counts where
bundles are merged.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from clipsearch.bundles.folder import parts_in, read_part, seal, write_part
from clipsearch.bundles.header import Part
from clipsearch.bundles.resuming import PART_ROWS, PART_S, check_begun, damaged
from clipsearch.bundles.rows import Header, Place, Row, Unread, Unreadable
from clipsearch.cluster.parcels import mark_of


class Ledger:
    """Goes on with the bundle of a folder. Raises what `check_begun` does, SystemFault for damage.

    `decoder` is that of this program: what another one could not read is tried again.
    """

    def __init__(self, folder: Path, header: Header, decoder: str) -> None:
        self._folder = folder
        self._header = header
        self._decoder = decoder
        self._parts: list[Part] = []
        self._rows: list[Row] = []
        self._flushed_at = time.monotonic()
        self._done: dict[bytes, set[bytes]] = defaultdict(set)  # root -> marks
        try:
            self._read()
        except Unreadable as error:
            raise damaged(folder, error) from error

    def is_done(self, place: Place) -> bool:
        """Whether it has a row and needs no other."""
        return mark_of(place) in self._done.get(place.root, ())

    def done(self, root: bytes) -> frozenset[bytes]:
        """mark_of(place) of what is done there."""
        return frozenset(self._done.get(root, ()))

    def done_anywhere(self) -> frozenset[bytes]:
        return frozenset().union(*self._done.values())

    def add(self, rows: Sequence[Row]) -> None:
        self._rows += rows
        if len(self._rows) >= PART_ROWS or time.monotonic() - self._flushed_at > PART_S:
            self.flush()

    def flush(self) -> None:
        """What was added outlives a power cut from now on."""
        for start in range(0, len(self._rows), PART_ROWS):
            self._parts.append(write_part(self._folder, self._header, self._rows[start : start + PART_ROWS]))
        self._rows.clear()
        self._flushed_at = time.monotonic()

    def seal(self) -> None:
        """Makes it whole, when nothing is missing; a later run may go on with it."""
        self.flush()
        seal(self._folder, self._header, list(dict.fromkeys(self._parts)))

    def _read(self) -> None:
        parts = parts_in(self._folder)
        check_begun(self._folder, parts, self._header, "--out")
        for _, part in parts:
            self._parts.append(part)
            for rows in read_part(self._folder, part, self._header):
                for row in rows:
                    if not isinstance(row, Unread) or row.decoder == self._decoder:
                        self._done[row.place.root].add(mark_of(row.place))
