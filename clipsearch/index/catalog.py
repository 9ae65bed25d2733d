"""catalog.db: the only SQL. Roots, files, photos, spaces, vectors, checkpoints; each statement under a named method.

Knows nothing of walking, decoding, encoding or USearch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.database import Database, Row, storage_errors
from clipsearch.index.filters import FOLDER, filter_functions, where
from clipsearch.query import Filter
from clipsearch.types import FailedFile, Metadata, RootStatus, SavedSearch, SpaceIdentity, Stamp

SEPARATOR = os.sep.encode()
DESCRIPTION = 1  # raise it when a photo is described by more; older rows are then read again
CHUNK_ROWS = 4096  # rows of a vector scan held at once: 4 MiB at 512 dimensions


@dataclass(frozen=True, slots=True)
class Root:
    id: int
    path: bytes
    is_file: bool
    exclude: tuple[str, ...]
    device: str | None

    @property
    def base(self) -> bytes:
        """The folder that the `folder` of its files is relative to."""
        return base_of(self.path, is_file=self.is_file)


class KnownFile(NamedTuple):
    """A file row as `plan` needs it; a tuple for the same reason as Stamp."""

    id: int
    stamp: Stamp
    photo_id: int | None
    complete: bool  # its photo has a vector in the space asked about, and the present description
    failed_by: str | None  # the decoder that could not read it


@dataclass(frozen=True, slots=True)
class Space:
    id: int
    identity: SpaceIdentity


@dataclass(frozen=True, slots=True)
class Checkpoint:
    generation: int
    file: str
    rows: int
    max_seq: int
    bytes: int
    sha256: str
    parameters: str


@dataclass(frozen=True, slots=True)
class PhotoRow:
    id: int
    paths: tuple[bytes, ...]
    metadata: Metadata
    size: int  # bytes of the first file
    offline: bool


class Catalog(Database):
    """The statements; see database.py for how a connection is opened, closed and wrapped in transactions."""

    # -- roots ------------------------------------------------------------------------------------

    def roots(self) -> list[Root]:
        rows = self._all("SELECT id, path, is_file, exclude, device FROM root ORDER BY id")
        return [
            Root(i, path, bool(is_file), tuple(json.loads(exclude)), device)
            for i, path, is_file, exclude, device in rows
        ]

    def add_root(self, path: bytes, *, is_file: bool) -> None:
        self._run(
            "INSERT INTO root (path, base, is_file, checked_at) VALUES (?, ?, ?, ?) ON CONFLICT (path) DO NOTHING",
            (path, _without_slash(base_of(path, is_file=is_file)), is_file, _now()),
        )

    def set_exclude(self, root_id: int, patterns: Sequence[str]) -> None:
        self._run("UPDATE root SET exclude = ? WHERE id = ?", (json.dumps(list(patterns)), root_id))

    def mark_root(self, root_id: int, *, online: bool, device: str | None) -> None:
        self._run(
            "UPDATE root SET online = ?, device = coalesce(?, device), checked_at = ? WHERE id = ?",
            (online, device, _now(), root_id),
        )

    def absorb_root(self, child: Root, parent: Root) -> None:
        """Hands the files of a root that lies inside another to that one, so that no path is listed twice."""
        below = os.path.relpath(child.base, parent.base)
        prefix = b"" if below == b"." else below
        with self.transaction():
            self._run(
                """
                UPDATE OR REPLACE file SET root_id = :parent,
                       folder = CASE WHEN :prefix = x'' THEN folder
                                     WHEN folder = x'' THEN :prefix
                                     ELSE CAST(:prefix || :slash || folder AS BLOB) END
                WHERE root_id = :child
                """,
                {"parent": parent.id, "prefix": prefix, "slash": os.sep.encode(), "child": child.id},
            )
            self._run("DELETE FROM root WHERE id = ?", (child.id,))

    def root_statuses(self) -> list[RootStatus]:
        rows = self._all(
            """
            SELECT root.path, count(file.id), root.online, root.checked_at
            FROM root LEFT JOIN file ON file.root_id = root.id GROUP BY root.id ORDER BY root.id
            """
        )
        return [RootStatus(path, files, bool(online), at) for path, files, online, at in rows]

    # -- files and photos -------------------------------------------------------------------------

    def known_files(self, root_id: int, space_id: int) -> Iterator[KnownFile]:
        cursor = self._run(
            """
            SELECT file.id, folder, name, size, mtime_ns, inode, file.photo_id,
                   embedding.seq IS NOT NULL AND photo.described = ?, decoder
            FROM file LEFT JOIN photo ON photo.id = file.photo_id
                      LEFT JOIN embedding ON embedding.photo_id = file.photo_id AND embedding.space_id = ?
            WHERE root_id = ?
            """,
            (DESCRIPTION, space_id, root_id),
        )
        with storage_errors(self._path):
            for file_id, folder, name, size, mtime_ns, inode, photo_id, complete, decoder in cursor:
                stamp = Stamp(folder, name, size, mtime_ns, inode)
                yield KnownFile(file_id, stamp, photo_id, bool(complete), decoder)

    def complete_photo(self, digest: bytes, space_id: int) -> int | None:
        """The photo of these bytes, if it has a vector in the space and the present description."""
        row = self._one(
            """
            SELECT photo.id FROM photo JOIN embedding ON photo_id = photo.id
            WHERE digest = ? AND space_id = ? AND described = ?
            """,
            (digest, space_id, DESCRIPTION),
        )
        return row[0] if row else None

    def put_photo(self, digest: bytes, metadata: Metadata) -> int:
        """The id of the photo of these bytes, made if new, with what it says of itself."""
        row = self._one(
            """
            INSERT INTO photo (digest, width, height, format, taken_at, taken_offset, latitude, longitude, camera,
                               lens, colors, phash, phash_fine, described)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (digest) DO UPDATE SET
                width = excluded.width, height = excluded.height, format = excluded.format,
                taken_at = excluded.taken_at, taken_offset = excluded.taken_offset,
                latitude = excluded.latitude, longitude = excluded.longitude, camera = excluded.camera,
                lens = excluded.lens, colors = excluded.colors, phash = excluded.phash,
                phash_fine = excluded.phash_fine, described = excluded.described
            RETURNING id
            """,
            (
                digest, metadata.width, metadata.height, metadata.format, metadata.taken_at, metadata.taken_offset,
                metadata.latitude, metadata.longitude, metadata.camera, metadata.lens, " ".join(metadata.colors),
                metadata.phash, metadata.phash_fine, DESCRIPTION,
            ),
        )  # fmt: skip
        assert row is not None  # RETURNING answers for an insert and for an update
        return int(row[0])

    def put_vector(self, space: Space, photo_id: int, vector: NDArray[np.float32], variant: str) -> None:
        """Stores a unit vector, replacing the photo's former one. Refuses NaN, zero and non-unit vectors."""
        length = float(np.linalg.norm(vector.astype(np.float64)))
        assert vector.shape == (space.identity.dim,), vector.shape
        assert abs(length - 1) < 1e-3, f"vector of length {length} for photo {photo_id}"  # NaN fails too
        self._run("DELETE FROM embedding WHERE space_id = ? AND photo_id = ?", (space.id, photo_id))
        self._run(
            "INSERT INTO embedding (space_id, photo_id, vector, variant) VALUES (?, ?, ?, ?)",
            (space.id, photo_id, vector.astype("<f2").tobytes(), variant),
        )

    def put_file(self, root_id: int, stamp: Stamp, photo_id: int) -> None:
        self._run(
            """
            INSERT INTO file (root_id, folder, name, size, mtime_ns, inode, photo_id) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (root_id, folder, name) DO UPDATE SET
                size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
                photo_id = excluded.photo_id, reason = NULL, attempts = 0, decoder = NULL
            """,
            (root_id, stamp.folder, stamp.name, stamp.size, stamp.mtime_ns, stamp.inode, photo_id),
        )

    def put_failure(self, root_id: int, stamp: Stamp, reason: str, decoder: str) -> None:
        """A file that could not be read; `attempts` counts how often this entry was tried."""
        self._run(
            """
            INSERT INTO file (root_id, folder, name, size, mtime_ns, inode, reason, attempts, decoder)
            VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)
            ON CONFLICT (root_id, folder, name) DO UPDATE SET
                size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
                photo_id = NULL, reason = excluded.reason, attempts = attempts + 1, decoder = excluded.decoder
            """,
            (root_id, stamp.folder, stamp.name, stamp.size, stamp.mtime_ns, stamp.inode, reason, decoder),
        )

    def move_file(self, file_id: int, stamp: Stamp) -> None:
        # A file that was moved over another one replaces it.
        self._run(
            """
            UPDATE OR REPLACE file SET folder = ?, name = ?, size = ?, mtime_ns = ?, inode = ? WHERE id = ?
            """,
            (stamp.folder, stamp.name, stamp.size, stamp.mtime_ns, stamp.inode, file_id),
        )

    def forget_files(self, file_ids: Iterable[int]) -> None:
        """Files that are proven absent (I5). Their photos keep their vectors and come back without encoding."""
        with storage_errors(self._path):
            self._connection.executemany("DELETE FROM file WHERE id = ?", ((i,) for i in file_ids))

    def failures(self) -> list[FailedFile]:
        rows = self._all(
            f"""
            SELECT {PATH_PARTS}, reason, attempts FROM file JOIN root ON root.id = root_id
            WHERE reason IS NOT NULL ORDER BY root.path, folder, name
            """
        )
        return [FailedFile(joined(*parts), reason, attempts) for *parts, reason, attempts in rows]

    def counts(self) -> tuple[int, int, int]:
        """(photos in the results, files, files that could not be read)."""
        row = self._one(
            """
            SELECT (SELECT count(*) FROM photo WHERE files > 0), (SELECT count(*) FROM file),
                   (SELECT count(*) FROM file WHERE reason IS NOT NULL)
            """
        )
        assert row is not None
        return row[0], row[1], row[2]

    def hidden_photos(self) -> NDArray[np.int64]:
        """Photos that no file shows any more."""
        return _ids(self._all("SELECT id FROM photo WHERE files = 0"))

    def photo_at(self, path: bytes) -> tuple[int, Stamp] | None:
        """The photo that `path` (absolute) showed when it was last looked at."""
        folder, name = os.path.split(path)
        for root in self.roots():  # not by an expression over all files: a folder to classify asks for each photo
            base = _without_slash(root.base)
            if not (folder + SEPARATOR).startswith(base + SEPARATOR):
                continue
            row = self._one(
                """
                SELECT photo_id, size, mtime_ns, inode FROM file
                WHERE root_id = ? AND folder = ? AND name = ? AND photo_id IS NOT NULL
                """,
                (root.id, folder[len(base) + 1 :], name),
            )
            if row:
                return row[0], Stamp(folder, name, *row[1:])
        return None

    def digest_of(self, photo_id: int) -> bytes:
        row = self._one("SELECT digest FROM photo WHERE id = ?", (photo_id,))
        assert row is not None  # ids are never reused, and photos are never deleted
        return bytes(row[0])

    def photo_rows(self, ids: Sequence[int]) -> dict[int, PhotoRow]:
        """What a hit shows, by photo id; paths in the order of their indexing, files of online roots first."""
        found: dict[int, PhotoRow] = {}
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            rows = self._all(
                f"""
                SELECT photo.id, online, size, {PATH_PARTS}, {METADATA}
                FROM photo JOIN file ON photo_id = photo.id JOIN root ON root.id = root_id
                WHERE photo.id IN ({marks}) ORDER BY photo.id, online DESC, file.id
                """,
                part,
            )
            for photo_id, online, size, folder, name, *described in rows:
                path = joined(folder, name)
                if known := found.get(photo_id):
                    if path not in known.paths:
                        found[photo_id] = replace(known, paths=(*known.paths, path))
                    continue
                found[photo_id] = PhotoRow(photo_id, (path,), metadata_of(described), size, offline=not online)
        return found

    def photos_matching(
        self, filters: Sequence[Filter], today: date, *, under: bytes | None = None
    ) -> NDArray[np.int64]:
        """Photos that fit all filters and, if said, have a file in the folder `under`; the newest first."""
        filter_functions(self._connection)
        condition, parameters = where(filters, today, under=under)
        rows = self._all(
            f"SELECT id FROM photo WHERE files > 0 AND {condition} ORDER BY taken_at DESC NULLS LAST, id", parameters
        )
        return _ids(rows)

    def labels_of(self, photo_id: int) -> tuple[str, ...]:
        return tuple(
            row[0] for row in self._all("SELECT name FROM label WHERE photo_id = ? ORDER BY name", (photo_id,))
        )

    def saved_searches(self) -> list[SavedSearch]:
        return [SavedSearch(*row) for row in self._all("SELECT name, query FROM saved_search ORDER BY name")]

    def asked(self) -> list[str]:
        """The latest first."""
        return [row[0] for row in self._all("SELECT query FROM asked ORDER BY id DESC")]

    # -- spaces and vectors -----------------------------------------------------------------------

    def space_for(self, identity: SpaceIdentity) -> Space:
        """The space of this identity, made if new; the first one is active at once."""
        self._run(
            """
            INSERT INTO space (fingerprint, model, dim, active)
            VALUES (?, ?, ?, NOT EXISTS (SELECT 1 FROM space WHERE active = 1))
            ON CONFLICT (fingerprint) DO UPDATE SET model = excluded.model
            """,
            (identity.fingerprint, identity.model, identity.dim),
        )
        row = self._one("SELECT id FROM space WHERE fingerprint = ?", (identity.fingerprint,))
        assert row is not None
        return Space(row[0], identity)

    def active_space(self) -> Space | None:
        row = self._one("SELECT id, fingerprint, model, dim FROM space WHERE active = 1")
        return Space(row[0], SpaceIdentity(row[1], row[2], row[3])) if row else None

    def activate(self, space: Space) -> None:
        with self.transaction():
            self._run("UPDATE space SET active = 0 WHERE active = 1 AND id <> ?", (space.id,))
            self._run("UPDATE space SET active = 1 WHERE id = ?", (space.id,))

    def vector_chunks(
        self, space: Space, *, after_seq: int = 0, up_to_seq: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """(photo ids, f16 (n, dim)) of the vectors with after_seq < seq <= up_to_seq, in the order of seq."""
        cursor = self._run(
            # `+` keeps SQLite from the index of spaces, which would sort all vectors before the first row.
            "SELECT photo_id, vector FROM embedding WHERE +space_id = ? AND seq > ? AND seq <= ? ORDER BY seq",
            (space.id, after_seq, _LARGEST if up_to_seq is None else up_to_seq),
        )
        with storage_errors(self._path):
            while rows := cursor.fetchmany(CHUNK_ROWS):
                yield _chunk(rows, space.identity.dim)

    def vectors_of(self, space: Space, ids: Sequence[int]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """The same for these photos; one without a vector is left out."""
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            rows = self._all(
                f"SELECT photo_id, vector FROM embedding WHERE space_id = ? AND photo_id IN ({marks})",
                (space.id, *part),
            )
            if rows:
                yield _chunk(rows, space.identity.dim)

    def sample(self, space: Space, size: int) -> NDArray[np.float16]:
        """At most `size` vectors (n, dim), the same ones until the library changes, spread over its whole age."""
        row = self._one("SELECT coalesce(max(id), 0) FROM photo")
        assert row is not None
        ids = range(1, row[0] + 1, max(1, -(-row[0] // size)))
        parts = [vectors for _, vectors in self.vectors_of(space, ids)]
        return np.concatenate(parts) if parts else np.empty((0, space.identity.dim), np.float16)

    def vector_count(self, space: Space, *, after_seq: int = 0) -> int:
        row = self._one("SELECT count(*) FROM embedding WHERE space_id = ? AND seq > ?", (space.id, after_seq))
        assert row is not None
        return int(row[0])

    def last_seq(self, space: Space) -> int:
        row = self._one("SELECT coalesce(max(seq), 0) FROM embedding WHERE space_id = ?", (space.id,))
        assert row is not None
        return int(row[0])

    def photos_after(self, space: Space, seq: int) -> NDArray[np.int64]:
        return _ids(self._all("SELECT photo_id FROM embedding WHERE +space_id = ? AND seq > ?", (space.id, seq)))

    # -- checkpoints and events -------------------------------------------------------------------

    def checkpoint(self, space: Space) -> Checkpoint | None:
        """The newest one."""
        row = self._one(
            f"SELECT {_CHECKPOINT} FROM checkpoint WHERE space_id = ? ORDER BY generation DESC LIMIT 1", (space.id,)
        )
        return Checkpoint(*row) if row else None

    def checkpoint_files(self) -> set[str]:
        """Every generation file that a row names, of any space."""
        return {row[0] for row in self._all("SELECT file FROM checkpoint")}

    def next_generation(self) -> int:
        """A number that no checkpoint row has had."""
        row = self._one("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'checkpoint'), 0) + 1")
        assert row is not None
        return int(row[0])

    def record_checkpoint(self, space: Space, checkpoint: Checkpoint) -> None:
        """Points to a new generation and forgets the older ones of its space."""
        with self.transaction():
            self._run(
                f"INSERT INTO checkpoint (space_id, {_CHECKPOINT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    space.id, checkpoint.generation, checkpoint.file, checkpoint.rows, checkpoint.max_seq,
                    checkpoint.bytes, checkpoint.sha256, checkpoint.parameters,
                ),
            )  # fmt: skip
            self._run("DELETE FROM checkpoint WHERE space_id = ? AND generation < ?", (space.id, checkpoint.generation))

    def record_event(self, kind: str, details: dict[str, object]) -> None:
        self._run("INSERT INTO event (at, kind, details) VALUES (?, ?, ?)", (_now(), kind, json.dumps(details)))


PATH_PARTS = f"{FOLDER}, name"
METADATA = """photo.width, photo.height, photo.format, photo.taken_at, photo.taken_offset, photo.latitude,
    photo.longitude, photo.camera, photo.lens, photo.phash, photo.phash_fine, photo.colors"""
_CHECKPOINT = "generation, file, rows, max_seq, bytes, sha256, parameters"
_LARGEST = 2**63 - 1


def base_of(path: bytes, *, is_file: bool) -> bytes:
    return os.path.dirname(path) if is_file else path


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _without_slash(folder: bytes) -> bytes:
    return folder.rstrip(SEPARATOR)


def joined(folder: bytes, name: bytes) -> bytes:
    return folder + SEPARATOR + name


def metadata_of(columns: Sequence[Any]) -> Metadata:
    """Of METADATA's columns."""
    *plain, coarse, fine, colors = columns
    return replace(Metadata(*plain), phash=coarse, phash_fine=fine, colors=tuple(colors.split()))


def _ids(rows: list[Row]) -> NDArray[np.int64]:
    return np.fromiter((row[0] for row in rows), np.int64, len(rows))


def _chunk(rows: list[Row], dim: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    vectors = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f2").reshape(len(rows), dim)
    return _ids(rows), vectors


def parts_of(ids: Sequence[int], size: int = 500) -> Iterator[list[int]]:
    """Lists short enough for one statement's parameters (SQLite's own limit may be 999)."""
    for start in range(0, len(ids), size):
        yield [int(i) for i in ids[start : start + size]]
