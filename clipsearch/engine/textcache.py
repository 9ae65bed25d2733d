"""cache.db: vectors of texts asked before, so that a repeated query loads no model. May be deleted at any time.

Key: text tower's fingerprint + text after its template. The least recently used leave first.
Speaks sqlite3 itself, beside `index`: it is a cache of the engine and no part of a library.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import SystemFault
from clipsearch.types import TextCacheStatus

CACHE_FILE = "cache.db"
MAX_ENTRIES = 20_000  # about 40 MiB at 512 dimensions

# One transaction: a second process that opens the cache at the same time sees all of it or nothing.
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS text_vector (
    tower     TEXT NOT NULL,
    text      TEXT NOT NULL,
    vector    BLOB NOT NULL,              -- little-endian f32, unit
    truncated INTEGER NOT NULL,           -- the model read only the beginning
    used      INTEGER NOT NULL,           -- grows with every use
    PRIMARY KEY (tower, text)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS text_vector_used ON text_vector (used);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO counter VALUES ('hits', 0), ('misses', 0), ('clock', 0);
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class CachedVectors:
    vectors: NDArray[np.float32]  # (texts, dim)
    truncated: tuple[bool, ...]


class TextCache:
    """One connection to cache.db; a damaged cache is thrown away, for it holds nothing that cannot be made again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CACHE_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = self._opened()
        except (OSError, sqlite3.OperationalError) as error:
            raise _unusable(self._path, error) from error
        except sqlite3.DatabaseError:
            self._path.unlink()
            self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        # No WAL: two processes that switch a new file to it at once get "database is locked" without any waiting.
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=5)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # it may lose its last entries, and a query must not wait
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'counter'").fetchone() is None:
                connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()  # an open file cannot be thrown away on Windows
            raise
        return connection

    def __enter__(self) -> TextCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def vectors(self, tower: str, texts: Sequence[str], encode: Callable[[list[str]], CachedVectors]) -> CachedVectors:
        """Vectors of the texts in their order; `encode` is called once, with those not known, if there are any."""
        try:
            return self._vectors(tower, texts, encode)
        except sqlite3.OperationalError as error:
            raise _unusable(self._path, error) from error
        except sqlite3.DatabaseError:  # damaged behind its first page
            self._connection.close()
            self._path.unlink()
            self._connection = self._opened()
            return self._vectors(tower, texts, encode)

    def _vectors(self, tower: str, texts: Sequence[str], encode: Callable[[list[str]], CachedVectors]) -> CachedVectors:
        known = {text: row for text in texts if (row := self._known(tower, text))}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        fresh = encode(missing) if missing else None
        with self._written():
            self._connection.execute("UPDATE counter SET value = value + 1 WHERE name = 'clock'")
            self._connection.executemany(
                f"UPDATE text_vector SET used = ({_CLOCK}) WHERE tower = ? AND text = ?",
                [(tower, text) for text in known],
            )
            if fresh is not None:
                for text, vector, truncated in zip(missing, fresh.vectors, fresh.truncated, strict=True):
                    known[text] = (vector, truncated)
                    self._connection.execute(
                        f"INSERT OR REPLACE INTO text_vector VALUES (?, ?, ?, ?, ({_CLOCK}))",
                        (tower, text, vector.astype("<f4").tobytes(), truncated),
                    )
                self._connection.execute(
                    "DELETE FROM text_vector WHERE (tower, text) IN "
                    "(SELECT tower, text FROM text_vector ORDER BY used DESC LIMIT -1 OFFSET ?)",
                    (MAX_ENTRIES,),
                )
            self._connection.execute("UPDATE counter SET value = value + ? WHERE name = 'misses'", (len(missing),))
            self._connection.execute(
                "UPDATE counter SET value = value + ? WHERE name = 'hits'", (len(texts) - len(missing),)
            )
        return CachedVectors(
            np.stack([known[text][0] for text in texts]), tuple(bool(known[text][1]) for text in texts)
        )

    def status(self) -> TextCacheStatus:
        try:
            entries = self._connection.execute("SELECT count(*) FROM text_vector").fetchone()[0]
            counters = dict(self._connection.execute("SELECT name, value FROM counter"))
        except sqlite3.DatabaseError as error:
            raise _unusable(self._path, error) from error
        return TextCacheStatus(entries, counters["hits"], counters["misses"])

    def _known(self, tower: str, text: str) -> tuple[NDArray[np.float32], bool] | None:
        row = self._connection.execute(
            "SELECT vector, truncated FROM text_vector WHERE tower = ? AND text = ?", (tower, text)
        ).fetchone()
        if row is None or len(row[0]) % 4:
            return None
        vector = np.frombuffer(row[0], "<f4")
        # A page damaged in a way that SQLite does not notice; NaN fails the comparison too.
        is_unit = abs(float(np.linalg.norm(vector.astype(np.float64))) - 1) < 1e-3
        return (vector, bool(row[1])) if is_unit else None

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


_CLOCK = "SELECT value FROM counter WHERE name = 'clock'"


def _unusable(path: Path, error: Exception) -> SystemFault:
    return SystemFault(
        f"The text cache {path} cannot be used ({error}).",
        "Choose another folder with CLIPSEARCH_CACHE, or delete the file: it holds nothing that cannot be made again.",
    )
