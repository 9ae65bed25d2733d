"""Whether a catalog is what the invariants say, and mending what can be made right from what it holds itself.

Asks SQLite and counts; what it means for a person is upkeep/doctor.py's. A file that SQLite cannot read any more is
salvage.py's.
"""

from __future__ import annotations

import numpy as np

from clipsearch.index.catalog import Catalog
from clipsearch.index.database import storage_errors
from clipsearch.index.spaces import Space
from clipsearch.types import SpaceIdentity

_NAMED = 5  # faults that are told one by one
_CHUNK = 4096  # vectors looked at together

_ORPHANS = {
    "embedding": "photo_id NOT IN (SELECT id FROM photo) OR space_id NOT IN (SELECT id FROM space)",
    "label": "photo_id NOT IN (SELECT id FROM photo)",
    "file": """root_id NOT IN (SELECT id FROM root)
               OR (photo_id IS NOT NULL AND photo_id NOT IN (SELECT id FROM photo))""",
    "checkpoint": "space_id NOT IN (SELECT id FROM space)",
}
# What triggers should have kept: a table, its column, what it counts.
_COUNTED = {
    "photo": ("files", "(SELECT count(*) FROM file WHERE photo_id = photo.id)"),
    "space": ("vectors", "(SELECT count(*) FROM embedding WHERE space_id = space.id)"),
    "tally": ("count", "(SELECT count(*) FROM photo WHERE files > 0)"),
}


class CheckedCatalog(Catalog):
    """Use as a context manager."""

    def damage(self) -> list[str]:
        """What `integrity_check` says of the file and of the rows' constraints; empty when all is well."""
        rows = self._all(f"PRAGMA integrity_check({_NAMED})")
        return [] if rows == [("ok",)] else [row[0] for row in rows]

    def orphans(self) -> dict[str, int]:
        """Rows that refer to a row which is not there, by table."""
        counts = {}
        for table, condition in _ORPHANS.items():
            row = self._one(f"SELECT count(*) FROM {table} WHERE {condition}")
            assert row is not None
            counts[table] = row[0]
        return {table: count for table, count in counts.items() if count}

    def miscounted(self) -> dict[str, int]:
        """Rows with a number that is not what the triggers should have kept, by table."""
        counts = {}
        for table, (column, counted) in _COUNTED.items():
            row = self._one(f"SELECT count(*) FROM {table} WHERE {column} <> {counted}")
            assert row is not None
            counts[table] = row[0]
        return {table: count for table, count in counts.items() if count}

    def spaces(self) -> list[Space]:
        rows = self._all("SELECT id, fingerprint, model, dim FROM space ORDER BY id")
        return [Space(i, SpaceIdentity(fingerprint, model, dim)) for i, fingerprint, model, dim in rows]

    def broken_vectors(self, space: Space) -> list[int]:
        """Photos whose vector is not finite, not of length 1 or not of the space's dimension."""
        broken: list[int] = []
        dim = space.identity.dim
        cursor = self._run("SELECT photo_id, vector FROM embedding WHERE +space_id = ? ORDER BY seq", (space.id,))
        with storage_errors(self._path):
            while rows := cursor.fetchmany(_CHUNK):
                whole = [row for row in rows if len(row[1]) == 2 * dim]
                broken += [row[0] for row in rows if len(row[1]) != 2 * dim]
                vectors = np.frombuffer(b"".join(row[1] for row in whole), "<f2").reshape(len(whole), dim)
                lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
                unit = np.abs(lengths - 1) < 1e-2  # f16 rounds to 1e-3; NaN is no unit either
                broken += [row[0] for row, is_unit in zip(whole, unit.tolist(), strict=True) if not is_unit]
        return broken

    def without_vector(self, space: Space) -> int:
        """Photos that a file shows and that cannot answer yet."""
        row = self._one(
            """
            SELECT count(*) FROM photo WHERE files > 0
            AND NOT EXISTS (SELECT 1 FROM embedding WHERE space_id = ? AND photo_id = photo.id)
            """,
            (space.id,),
        )
        assert row is not None
        return int(row[0])

    def folder_count(self) -> int:
        row = self._one("SELECT count(*) FROM (SELECT DISTINCT root_id, folder FROM file)")
        assert row is not None
        return int(row[0])

    def mend(self) -> list[str]:
        """Removes rows that refer to nothing and vectors that are none, and counts files anew; says what it did.

        What it removes is made again by the next index run. One transaction.
        """
        done: list[str] = []
        with self.transaction():
            for space in self.spaces():
                if broken := self.broken_vectors(space):
                    for photo_id in broken:
                        self._run("DELETE FROM embedding WHERE space_id = ? AND photo_id = ?", (space.id, photo_id))
                    # Its file has them too; without it searches read the catalog until there is a new one (I2).
                    self._run("DELETE FROM checkpoint WHERE space_id = ?", (space.id,))
                    done.append(f"removed {len(broken):,} broken vectors")
            for table, condition in _ORPHANS.items():
                if removed := self._run(f"DELETE FROM {table} WHERE {condition}").rowcount:
                    done.append(f"removed {removed:,} rows of {table} that refer to nothing")
            for table, (column, count) in _COUNTED.items():  # in this order: photos are counted by their files
                if changed := self._run(f"UPDATE {table} SET {column} = {count} WHERE {column} <> {count}").rowcount:
                    done.append(f"counted {changed:,} numbers in {table} anew")
        return done
