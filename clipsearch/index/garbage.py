"""What nobody needs any more: photos that no file shows, and the vectors of former models.

A photo of a disk that is away still has its files here and is needed. One that was deleted or changed keeps its
vector until now, so that it comes back without encoding; here it goes. Ids are not used again (I6).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clipsearch.index.catalog import Catalog
from clipsearch.index.database import storage_errors


@dataclass(frozen=True, slots=True)
class Unused:
    """Of photos that no file shows."""

    photos: int
    vectors: int
    labels: int


@dataclass(frozen=True, slots=True)
class FormerSpace:
    id: int
    model: str
    vectors: int


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of catalog.db."""

    used: int
    free: int


class CollectableCatalog(Catalog):
    """Use as a context manager."""

    def unused(self) -> Unused:
        row = self._one(
            """
            SELECT (SELECT count(*) FROM photo WHERE files = 0),
                   (SELECT count(*) FROM embedding WHERE space_id IN (SELECT id FROM space)
                           AND photo_id IN (SELECT id FROM photo WHERE files = 0)),
                   (SELECT count(*) FROM label WHERE photo_id IN (SELECT id FROM photo WHERE files = 0))
            """
        )
        assert row is not None
        return Unused(*row)

    def unused_digests(self) -> Iterator[bytes]:
        with storage_errors(self._path):
            for row in self._run("SELECT digest FROM photo WHERE files = 0"):
                yield row[0]

    def former_spaces(self) -> list[FormerSpace]:
        """Those that do not answer: of models used before, or of one whose first run is not finished."""
        rows = self._all(
            """
            SELECT id, model, (SELECT count(*) FROM embedding WHERE space_id = space.id)
            FROM space WHERE active = 0 ORDER BY id
            """
        )
        return [FormerSpace(*row) for row in rows]

    def remove_unused(self) -> None:
        """Photos that no file shows, with all that hangs on them, in one transaction.

        Checkpoints that hold their vectors go before: answers they would crowd out must come from SQLite until there
        is a new one (I6).
        """
        of_unused = "photo_id IN (SELECT id FROM photo WHERE files = 0)"
        with self.transaction():
            self._run(
                f"""
                DELETE FROM checkpoint WHERE space_id IN (SELECT id FROM space WHERE EXISTS
                    (SELECT 1 FROM embedding WHERE space_id = space.id AND {of_unused}))
                """
            )
        # Off, for it would look for the vectors of each photo by reading all vectors: they have no index by photo
        # alone. What refers to a photo is removed first instead. It cannot be set within a transaction.
        self._run("PRAGMA foreign_keys = OFF")
        try:
            with self.transaction():
                self._run(f"DELETE FROM label WHERE {of_unused}")
                self._run(f"DELETE FROM embedding WHERE space_id IN (SELECT id FROM space) AND {of_unused}")
                self._run("DELETE FROM photo WHERE files = 0")
        finally:
            self._run("PRAGMA foreign_keys = ON")

    def remove_space(self, space: FormerSpace) -> None:
        with self.transaction():
            self._run("DELETE FROM checkpoint WHERE space_id = ?", (space.id,))
            self._run("DELETE FROM embedding WHERE space_id = ?", (space.id,))
            self._run("DELETE FROM space WHERE id = ? AND active = 0", (space.id,))

    def room(self) -> Room:
        values = [self._one(f"PRAGMA {name}") for name in ("page_size", "page_count", "freelist_count")]
        size, pages, free = (int(row[0]) for row in values if row is not None)
        return Room(size * (pages - free), size * free)

    def shrink(self) -> None:
        """Gives free pages back to the disk. Needs room for a second copy while it works."""
        self._run("VACUUM")
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")
