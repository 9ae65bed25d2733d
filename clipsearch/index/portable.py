"""What a library knows, as rows that can leave it and come into another one. Photos are known by their bytes.

Knows nothing of file formats. The columns of `photo` are taken from the schema, so that one added there travels too.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import numpy as np

from clipsearch.index.catalog import Root
from clipsearch.index.database import parts_of, storage_errors
from clipsearch.index.relocation import MovableCatalog
from clipsearch.index.roots import covering
from clipsearch.index.spaces import Space
from clipsearch.types import SavedSearch

_CACHE_KIB = 64 << 10
BATCH_ROWS = 2048  # held at once: some 5 MiB at 512 dimensions

Kind = Literal["INTEGER", "REAL", "TEXT", "BLOB"]
Value = int | float | str | bytes | None

_NOT_CARRIED = ("id", "digest", "files")  # an id means nothing elsewhere, files are counted there


class UnfitRow(Exception):
    """A row that the tables refuse; says so."""


@dataclass(frozen=True, slots=True)
class Column:
    """One of the table `photo`."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class PortableFile:
    root: int  # its place among the exported roots
    folder: bytes
    name: bytes
    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class PortableRow:
    """A photo with its files, or a file that could not be read: then `digest` is None and `reason` is not."""

    files: tuple[PortableFile, ...]
    digest: bytes | None = None
    described: tuple[Value, ...] = ()  # in the order of the columns
    vector: bytes | None = None  # little-endian f16
    variant: str | None = None
    labels: tuple[tuple[str, float], ...] = ()
    reason: str | None = None
    attempts: int = 0
    decoder: str | None = None


@dataclass(slots=True)
class Merged:
    """What an import added; everything else was there."""

    photos: int = 0
    vectors: int = 0
    labels: int = 0
    files: int = 0
    failures: int = 0
    searches: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of an exported root belong."""

    root_id: int
    prefix: bytes = field(default=b"")  # folder inside that root

    def folder(self, below: bytes) -> bytes:
        return os.path.join(self.prefix, below) if below and self.prefix else self.prefix or below


class PortableCatalog(MovableCatalog):
    """Use as a context manager, and within one transaction."""

    # -- out ----------------------------------------------------------------------------------------

    def photo_columns(self) -> list[Column]:
        rows = self._all("SELECT name, type FROM pragma_table_info('photo')")
        return [Column(name, kind) for name, kind in rows if name not in _NOT_CARRIED]

    def row_count(self, space: Space) -> tuple[int, int]:
        """(rows that `batches` gives, those of them with a vector)."""
        row = self._one(
            """
            SELECT (SELECT count(*) FROM photo WHERE files > 0) + (SELECT count(*) FROM file WHERE reason IS NOT NULL),
                   (SELECT count(*) FROM photo JOIN embedding ON photo_id = photo.id AND space_id = ? WHERE files > 0)
            """,
            (space.id,),
        )
        assert row is not None
        return row[0], row[1]

    def batches(self, space: Space, columns: Sequence[Column], roots: Sequence[Root]) -> Iterator[list[PortableRow]]:
        """All photos that a file shows, then all files that could not be read."""
        places = {root.id: number for number, root in enumerate(roots)}
        names = ", ".join(f"photo.{column.name}" for column in columns)
        last = 0
        while True:
            photos = self._all(
                f"""
                SELECT photo.id, digest, vector, variant, {names}
                FROM photo LEFT JOIN embedding ON photo_id = photo.id AND space_id = ?
                WHERE photo.id > ? AND files > 0 ORDER BY photo.id LIMIT ?
                """,
                (space.id, last, BATCH_ROWS),
            )
            if not photos:
                break
            first, last = photos[0][0], photos[-1][0]
            files = self._files(first, last, places)
            labels = self._labels(first, last)
            yield [
                PortableRow(files[i], digest, tuple(described), vector, variant, labels.get(i, ()))
                for i, digest, vector, variant, *described in photos
            ]
        last = 0
        while failed := self._all(
            """
            SELECT id, root_id, folder, name, size, mtime_ns, inode, reason, attempts, decoder
            FROM file WHERE id > ? AND reason IS NOT NULL ORDER BY id LIMIT ?
            """,
            (last, BATCH_ROWS),
        ):
            last = failed[-1][0]
            yield [
                PortableRow((PortableFile(places[root], *stamp),), reason=reason, attempts=attempts, decoder=decoder)
                for _, root, *stamp, reason, attempts, decoder in failed
            ]

    def _files(self, first: int, last: int, places: dict[int, int]) -> dict[int, tuple[PortableFile, ...]]:
        rows = self._all(
            """
            SELECT photo_id, root_id, folder, name, size, mtime_ns, inode FROM file
            WHERE photo_id BETWEEN ? AND ? ORDER BY photo_id, id
            """,
            (first, last),
        )
        return {
            photo_id: tuple(PortableFile(places[root], *stamp) for _, root, *stamp in some)
            for photo_id, some in groupby(rows, key=lambda row: row[0])
        }

    def _labels(self, first: int, last: int) -> dict[int, tuple[tuple[str, float], ...]]:
        rows = self._all(
            "SELECT photo_id, name, score FROM label WHERE photo_id BETWEEN ? AND ? ORDER BY photo_id, name",
            (first, last),
        )
        return {
            photo_id: tuple((name, score) for _, name, score in some)
            for photo_id, some in groupby(rows, key=lambda row: row[0])
        }

    # -- in -----------------------------------------------------------------------------------------

    def expect_many(self) -> None:
        """Digests come in no order: with SQLite's own 2 MB of pages each one of a large library would be read anew."""
        self._run(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def place_for(self, path: bytes, *, is_file: bool, exclude: Sequence[str]) -> Place:
        """Where files of a root elsewhere belong here: in a root that lists their folder, or in a new one.

        Nothing need be there: a root that is not is offline, until its disk is or `relocate` says where it lies.
        """
        others = self.roots()
        if known := covering(others, path, is_file=is_file):
            below = os.path.relpath(os.path.dirname(path) if is_file else path, known.base)
            return Place(known.id, b"" if below == b"." else below)
        self.add_root(path, is_file=is_file)
        added = next(root for root in self.roots() if root.path == path)
        self.set_exclude(added.id, exclude)
        self.look_at(added)
        self.take_in(added, others)
        return Place(added.id)

    def merge(
        self,
        rows: Sequence[PortableRow],
        columns: Sequence[Column],
        space: Space,
        places: Sequence[Place],
        done: Merged,
    ) -> None:
        """Adds what is not there, by the bytes of a photo and the path of a file; what is there stays as it is.

        So the same rows may come twice, and in any order. `done` counts.
        """
        photos = [row for row in rows if row.digest is not None]
        names = ", ".join(column.name for column in columns)
        marks = ", ".join("?" * (1 + len(columns)))
        done.photos += self._many(
            f"INSERT INTO photo (digest, {names}) VALUES ({marks}) ON CONFLICT (digest) DO NOTHING",
            [(row.digest, *row.described) for row in photos],
        )
        ids = self._ids_by_digest([row.digest for row in photos if row.digest is not None])
        done.vectors += self._many(
            """
            INSERT INTO embedding (space_id, photo_id, vector, variant) VALUES (?, ?, ?, ?)
            ON CONFLICT (space_id, photo_id) DO NOTHING
            """,
            [(space.id, ids[row.digest], row.vector, row.variant) for row in photos if row.vector is not None],
        )
        done.labels += self._many(
            "INSERT INTO label (photo_id, name, score) VALUES (?, ?, ?) ON CONFLICT (photo_id, name) DO NOTHING",
            [(ids[row.digest], name, score) for row in photos for name, score in row.labels],
        )
        placed = """
            INSERT INTO file (root_id, folder, name, size, mtime_ns, inode, photo_id, reason, attempts, decoder)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (root_id, folder, name) DO NOTHING
            """
        done.files += self._many(
            placed,
            [(*_stamp(file, places), ids[row.digest], None, 0, None) for row in photos for file in row.files],
        )
        done.failures += self._many(
            placed,
            [
                (*_stamp(file, places), None, row.reason, row.attempts, row.decoder)
                for row in rows
                if row.digest is None
                for file in row.files
            ],
        )

    def merge_searches(self, searches: Sequence[SavedSearch], now: str) -> int:
        """Adds saved searches whose names are free."""
        return self._many(
            "INSERT INTO saved_search (name, query, saved_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
            [(one.name, one.query, now) for one in searches],
        )

    def _ids_by_digest(self, digests: Sequence[bytes]) -> dict[bytes | None, int]:
        ids: dict[bytes | None, int] = {}
        for part in parts_of(range(len(digests))):
            marks = ",".join("?" * len(part))
            rows = self._all(f"SELECT digest, id FROM photo WHERE digest IN ({marks})", [digests[i] for i in part])
            ids.update((bytes(digest), photo_id) for digest, photo_id in rows)
        return ids

    def _many(self, statement: str, rows: Sequence[Sequence[Value]]) -> int:
        """How many rows were added."""
        if not rows:
            return 0
        with storage_errors(self._path):
            try:
                return max(0, self._connection.executemany(statement, rows).rowcount)
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError, OverflowError) as error:
                raise UnfitRow("a row does not fit into a library") from error  # a STRICT table, (I1), a missing value


def _stamp(file: PortableFile, places: Sequence[Place]) -> tuple[int, bytes, bytes, int, int, int]:
    place = places[file.root]
    return place.root_id, place.folder(file.folder), file.name, file.size, file.mtime_ns, file.inode


def wrong_vector(rows: Sequence[PortableRow], dim: int) -> str | None:
    """What is wrong with the vectors of rows; None when each is finite, of length 1 and of `dim` dimensions."""
    found = [row.vector for row in rows if row.vector is not None]
    if any(len(vector) != 2 * dim for vector in found):
        return f"a vector has not {dim} dimensions"
    lengths = np.linalg.norm(np.frombuffer(b"".join(found), "<f2").reshape(len(found), dim).astype(np.float32), axis=1)
    return None if np.all(np.abs(lengths - 1) < 1e-2) else "a vector is not of length 1"  # NaN is not, either
