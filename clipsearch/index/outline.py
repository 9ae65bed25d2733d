"""A catalog without its vectors: what readers of a shared library keep on their own machine.

Ids are those of the library, also of photos that no file shows any more, so that an answer is the same to the last
tie. `embedding.seq` is the place of the vector in the store, from 1 on, in the order of `PortableCatalog.batches`.
The history of queries stays at home.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clipsearch.index.database import Row, storage_errors
from clipsearch.index.portable import PortableCatalog
from clipsearch.index.spaces import Space

_TABLES = ("root", "mount", "photo", "file", "label", "saved_search")
_COUNTED = "files"  # of a photo: triggers count again
_ROWS = 8192  # held at once

_PLACES = """
    SELECT place, space_id, photo_id, x'', variant
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM photo WHERE files > 0)
         JOIN embedding ON photo_id = id AND space_id = ?"""


class OutlinedCatalog(PortableCatalog):
    """Use as a context manager, and within one transaction."""

    def outline_to(self, target: Path, space: Space) -> None:
        """Writes the new file `target`, one plain file that needs no log beside it."""
        with OutlinedCatalog.open_writer(target) as outline:
            outline._run("PRAGMA synchronous = OFF")  # one that is cut short is made again
            outline.expect_many()
            with outline.transaction():
                for table in _TABLES:
                    names = [name for (name,) in self._all("SELECT name FROM pragma_table_info(?)", (table,))]
                    columns = [name for name in names if (table, name) != ("photo", _COUNTED)]
                    outline._fill(table, columns, self._rows(f"SELECT {', '.join(columns)} FROM {table}"))
                identity = space.identity
                outline._fill(
                    "space",
                    ["id", "fingerprint", "model", "dim", "active"],
                    iter([[(space.id, identity.fingerprint, identity.model, identity.dim, 1)]]),
                )
                columns = ["seq", "space_id", "photo_id", "vector", "variant"]
                outline._fill("embedding", columns, self._rows(_PLACES, (space.id,)))
                # Relevance reckons with it: as at home, with photos that no file shows any more.
                outline._run("UPDATE space SET vectors = ?", (self.vector_count(space),))
            outline._run("PRAGMA journal_mode = DELETE")

    def _rows(self, statement: str, parameters: tuple[int, ...] = ()) -> Iterator[list[Row]]:
        cursor = self._run(statement, parameters)
        with storage_errors(self._path):
            while rows := cursor.fetchmany(_ROWS):
                yield rows

    def _fill(self, table: str, columns: list[str], batches: Iterator[list[Row]]) -> None:
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        for rows in batches:
            with storage_errors(self._path):
                self._connection.executemany(statement, rows)
