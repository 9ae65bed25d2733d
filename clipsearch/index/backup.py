"""A second catalog.db that holds what this one held at one moment, while another process goes on writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipsearch.errors import SystemFault
from clipsearch.index.catalog import Catalog
from clipsearch.index.database import storage_errors

_PAGES = 4096  # copied between two reports: 16 MiB


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows, compared before and after a copy."""

    photos: int
    files: int
    vectors: int


class CopiableCatalog(Catalog):
    """A reader that can be copied. Use as a context manager."""

    def size(self) -> int:
        """Bytes of the database; the disk's file may be shorter, as long as a commit is in the write-ahead log."""
        values = [self._one(f"PRAGMA {name}") for name in ("page_size", "page_count")]
        size, pages = (int(row[0]) for row in values if row is not None)
        return size * pages

    def copy_to(self, target: Path, progress: Callable[[int, int], None]) -> Counted:
        """Copies the database into the new file `target` and checks it there; `progress` gets (pages, of all).

        The copy is of one snapshot: this connection's transaction holds it, so commits of a writer do not begin
        the copy anew. It is one plain file, which needs no log beside it. Raises SystemFault.
        """
        with self.transaction():
            wanted = _counted(self._connection)
            with storage_errors(target):
                copy = sqlite3.connect(target, isolation_level=None)
                try:
                    self._connection.backup(
                        copy, pages=_PAGES, progress=lambda status, left, total: progress(total - left, total)
                    )
                    copy.execute("PRAGMA journal_mode = DELETE")
                    copy.execute("PRAGMA foreign_keys = ON")
                    copy.execute("DELETE FROM checkpoint")  # their files stay where they are
                    (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
                    found = _counted(copy)
                finally:
                    copy.close()
        if verdict != "ok" or found != wanted:
            raise SystemFault(
                f"The copy is not what was copied ({verdict if verdict != 'ok' else found}).",
                "Check the library first: clipsearch doctor",
            )
        return found


def _counted(connection: sqlite3.Connection) -> Counted:
    row = connection.execute(
        "SELECT (SELECT count(*) FROM photo), (SELECT count(*) FROM file), (SELECT count(*) FROM embedding)"
    ).fetchone()
    return Counted(*row)
