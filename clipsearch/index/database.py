"""One connection to catalog.db: opening for writing and reading, transactions, SQLite's errors in our words.

Holds no statement about photos; those are in spaces.py and catalog.py, which build on this class.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import LibraryError, SystemFault
from clipsearch.index import schema

# A writer empties the write-ahead log itself from here on; SQLite does from 4 MiB on, when no reader is in the way.
LOG_BYTES = 16 << 20
_LOG_WAIT_MS = 500  # for readers, while it is emptied
_WAIT_MS = 10_000  # for the lock of another connection

Parameters = Sequence[Any] | Mapping[str, Any]
Row = tuple[Any, ...]


class DamagedCatalog(LibraryError):
    """SQLite cannot read the file; what can be saved of it is salvage.py's."""


class NewerCatalog(LibraryError):
    """Only a newer program knows its tables: no use in trying again."""


class Database:
    """One connection to catalog.db; use it as a context manager, from one thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path, begin: str) -> None:
        self._connection = connection
        self._path = path
        self._begin = begin
        self._opened_as: tuple[int, ...] | None = None
        self._log_limit = LOG_BYTES

    @classmethod
    def open_writer(cls, path: Path) -> Self:
        """Opens for writing, creates and migrates as needed. The caller holds the writer's lock.

        Raises LibraryError for a newer or damaged library, SystemFault when the disk refuses.
        """
        with storage_errors(path):
            connection = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_MS / 1000)
            database = cls(connection, path, "BEGIN IMMEDIATE")
            try:
                database._check_version()
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")  # a commit survives power loss
                connection.execute("PRAGMA foreign_keys = ON")
                # Without it a row that `OR REPLACE` removes fires no trigger, and its photo is never hidden.
                connection.execute("PRAGMA recursive_triggers = ON")
                schema.migrate(connection)
            except BaseException:
                connection.close()
                raise
            return database

    @classmethod
    def open_reader(cls, path: Path) -> Self:
        """Opens for reading; never blocks a writer and never writes, not even on a read-only disk."""
        with storage_errors(path):
            if not path.exists():
                raise LibraryError(
                    f"There is no library in {path.parent} yet.",
                    "Index a folder first: clipsearch index ~/Photos",
                )
            uri = path.absolute().as_uri() + "?mode=ro"
            wal = path.with_name(path.name + "-wal")
            if not os.access(path.parent, os.W_OK) and not wal.exists():
                # WAL needs its side files; on a read-only disk nobody can be writing, so none are needed.
                uri += "&immutable=1"
            identity = _identity(path)  # before it is opened: what takes its place in between is then noticed
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_WAIT_MS / 1000)
            database = cls(connection, path, "BEGIN")
            try:
                version = database._check_version()
                if version < schema.VERSION:
                    raise LibraryError(
                        f"The library {path.parent} was made by an older clipsearch.",
                        "Bring it up to date: clipsearch index",
                    )
                database._opened_as = (*identity, database._data_version())
            except BaseException:
                connection.close()
                raise
            return database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def is_current(self) -> bool:
        """Whether a reader still sees what it has opened: the same file, as it was. Always within a transaction."""
        return self._connection.in_transaction or self._opened_as == (*_identity(self._path), self._data_version())

    def _data_version(self) -> int:
        """Changes with every commit of another connection (https://sqlite.org/pragma.html#pragma_data_version)."""
        row = self._one("PRAGMA data_version")
        assert row is not None
        return int(row[0])

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; also holds one snapshot for several reads of a reader."""
        with storage_errors(self._path):
            self._connection.execute(self._begin)
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        if self._opened_as is None:
            self._empty_log()

    def _empty_log(self) -> None:
        """Keeps the log short beside readers that never rest.

        SQLite begins it anew only when no reader uses it at that moment, and of ten that overlap one always does.
        This waits for those, but not long: one that copies the whole library must not stop the writer.
        """
        log = self._path.with_name(self._path.name + "-wal")
        size = log.stat().st_size if log.exists() else 0
        if size < self._log_limit:
            return
        with storage_errors(self._path):
            self._connection.execute(f"PRAGMA busy_timeout = {_LOG_WAIT_MS}")
            try:
                (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):  # this connection's own cursor is in the way
                    raise
                busy = True
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
        self._log_limit = size + LOG_BYTES if busy else LOG_BYTES

    def _check_version(self) -> int:
        row = self._one("PRAGMA user_version")
        assert row is not None
        version = int(row[0])
        if version > schema.VERSION:
            raise NewerCatalog(
                f"The library {self._path.parent} was made by a newer clipsearch "
                f"(its version is {version}, this program knows {schema.VERSION}).",
                "Update clipsearch, or choose another library with --library DIR.",
            )
        return version

    def _run(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        with storage_errors(self._path):
            return self._connection.execute(sql, parameters)

    def _all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        with storage_errors(self._path):
            return self._connection.execute(sql, parameters).fetchall()

    def _one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        with storage_errors(self._path):
            row: Row | None = self._connection.execute(sql, parameters).fetchone()
            return row


def ids_of(rows: list[Row]) -> NDArray[np.int64]:
    return np.fromiter((row[0] for row in rows), np.int64, len(rows))


def parts_of(ids: Sequence[int], size: int = 500) -> Iterator[list[int]]:
    """Lists short enough for one statement's parameters (SQLite's own limit may be 999)."""
    for start in range(0, len(ids), size):
        yield [int(i) for i in ids[start : start + size]]


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:  # it is gone; whoever opens it will say so
        return 0, 0
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translates what SQLite raises into our errors, once, with the library's name and a way out."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            raise SystemFault(
                f"The disk of the library {path.parent} is full or failing ({text}).",
                "Free some space and run the same command again; what was committed is kept.",
            ) from error
        if "locked" in text:
            raise LibraryError(
                f"The library {path.parent} is locked by another program.", "Close it and try again."
            ) from error
        if "readonly" in text or "unable to open" in text:
            raise SystemFault(
                f"The library {path.parent} cannot be opened or written ({text}).",
                "Check the folder's permissions, or choose another library with --library DIR.",
            ) from error
        if "malformed" in text:
            raise _damaged(path, text) from error
        raise
    except sqlite3.IntegrityError:
        raise  # our own mistake: (I1) stands in the schema
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, text: str) -> DamagedCatalog:
    return DamagedCatalog(
        f"{path} is damaged ({text}).",
        "Restore it from a backup, or save what can be read: clipsearch doctor --repair",
    )
