"""Reads what can still be read of a damaged catalog.db into a new one.

SQLite's own recovery (`.recover`) is no part of Python's sqlite3. This reads each table by the keys of its rows, in
ranges, and halves a range that cannot be read until the damage is alone. What is lost is told by number: files come
back with the next index run, which reads them again, and photos with it; a label or a saved search does not. Two
rows weigh more: without that of a root its folder must be named to `index` again, and without that of the model
nobody knows what the vectors mean, and all photos are encoded again. The damaged file is only read.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsearch.errors import LibraryError
from clipsearch.index.database import Database, storage_errors

# In the order of what refers to what; the key by which the rows lie. Checkpoints are made again.
_TABLES = {
    "root": "id", "photo": "id", "file": "id", "space": "id", "embedding": "seq", "label": "photo_id",
    "mount": "root_id", "saved_search": "rowid", "asked": "id", "event": "id",
}  # fmt: skip

# What triggers count, as the rows come.
_COUNTED = {("photo", "files"), ("space", "vectors")}

_RANGE = 256  # keys read together
_BEYOND = 1_000_000  # ids skipped where the last one given is not known (I6)


@dataclass(frozen=True, slots=True)
class Salvaged:
    rows: int
    unreadable: int  # keys whose rows, if there were any, cannot be read


class SalvageTarget(Database):
    """The new catalog. Use as a context manager."""

    def fill_from(self, damaged: Path) -> Salvaged:
        """Raises LibraryError where not even the tables' names can be read."""
        rows = unreadable = 0
        uri = damaged.absolute().as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as source:
            try:
                known = {row[0] for row in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            except sqlite3.DatabaseError as error:
                raise LibraryError(
                    f"Nothing of {damaged} can be read ({error}).",
                    "Restore it from a backup, or move it away and index again; photos are never touched.",
                ) from error
            self._run("PRAGMA foreign_keys = OFF")  # health.mend removes what refers to nothing
            with self.transaction():
                for table, key in _TABLES.items():
                    if table in known:
                        added, lost = self._fill(source, table, key)
                        rows, unreadable = rows + added, unreadable + lost
                self._keep_ids(source)
        return Salvaged(rows, unreadable)

    def _fill(self, source: sqlite3.Connection, table: str, key: str) -> tuple[int, int]:
        there = _columns(source, table)
        known = [column for column in _columns(self._connection, table) if (table, column) not in _COUNTED]
        columns = [column for column in known if column in there]
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        added = lost = 0
        for some, missing in _readable(source, table, key, names):
            lost += missing
            with storage_errors(self._path):
                for row in some:
                    try:
                        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)
                        added += 1
                    except sqlite3.IntegrityError:  # the damage was in its values
                        lost += 1
        return added, lost

    def _keep_ids(self, source: sqlite3.Connection) -> None:
        """No id that was given is given again (I6)."""
        try:
            given = dict(source.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        except sqlite3.DatabaseError:
            given = {}
        for table in ("root", "photo", "embedding", "checkpoint"):
            row = self._one(f"SELECT coalesce(max({_TABLES.get(table, 'generation')}), 0) FROM {table}")
            assert row is not None
            last = max(row[0], given[table]) if table in given else row[0] + _BEYOND
            self._run("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            self._run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _readable(
    source: sqlite3.Connection, table: str, key: str, names: str
) -> Iterator[tuple[Sequence[tuple[Any, ...]], int]]:
    """(rows, keys that cannot be read), range by range."""
    pending = [(start, start + _RANGE - 1) for start in range(0, _last_key(source, table, key) + 1, _RANGE)]
    pending.reverse()
    while pending:
        first, last = pending.pop()
        try:
            yield (
                source.execute(f"SELECT {names} FROM {table} WHERE {key} BETWEEN ? AND ?", (first, last)).fetchall(),
                0,
            )
        except sqlite3.DatabaseError:
            if first == last:
                yield [], 1
            else:
                middle = (first + last) // 2
                pending += [(middle + 1, last), (first, middle)]


def _last_key(source: sqlite3.Connection, table: str, key: str) -> int:
    for statement in (
        f"SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1",
        f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'",
    ):
        try:
            row = source.execute(statement).fetchone()
        except sqlite3.DatabaseError:
            continue
        if row is not None:
            return int(row[0])
    return -1
