"""catalog.db: roots, files and photos, and what is read of them; each statement under a named method.

Their vectors are in spaces.py, which this builds on. Knows nothing of walking, decoding, encoding or USearch.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.database import parts_of, storage_errors
from clipsearch.index.filters import FOLDER, SEPARATOR_SQL, filter_functions, where
from clipsearch.index.spaces import Spaces
from clipsearch.query import Filter
from clipsearch.types import FailedFile, Metadata, RootStatus, SavedSearch, Stamp

SEPARATOR = os.sep.encode()
DESCRIPTION = 2  # raise it when a photo is described by more; older rows are then read again


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


class Part(NamedTuple):
    """A part of a root that is to be looked at."""

    folder: bytes  # relative to the root
    deep: bool = True  # with all below it; otherwise the files of this folder alone


ALL = Part(b"")


class Mount(NamedTuple):
    """A folder of a root on another device than the one it lies in: another disk, unplugged by itself."""

    folder: bytes
    device: str
    is_link: bool


class KnownFile(NamedTuple):
    """A file row as `plan` needs it; a tuple for the same reason as Stamp."""

    id: int
    stamp: Stamp
    photo_id: int | None
    complete: bool  # its photo has a vector in the space asked about, and the present description
    failed_by: str | None  # the decoder that could not read it


@dataclass(frozen=True, slots=True)
class PhotoRow:
    id: int
    paths: tuple[bytes, ...]
    metadata: Metadata
    size: int  # bytes of the first file
    offline: bool


class Catalog(Spaces):
    """See database.py for how a connection is opened, closed and wrapped in transactions."""

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

    def mark_online(self, root_id: int, device: str | None) -> None:
        self._run(
            """
            UPDATE root SET online = 1, offline_since = NULL, device = coalesce(?, device), checked_at = ? WHERE id = ?
            """,
            (device, _now(), root_id),
        )

    def mark_offline(self, root_id: int) -> None:
        """It keeps the time since when, and when it was last seen."""
        self._run(
            "UPDATE root SET online = 0, offline_since = coalesce(offline_since, ?) WHERE id = ?", (_now(), root_id)
        )

    def mounts(self, root_id: int) -> list[Mount]:
        """Folders of the root that were on another device when they were listed."""
        rows = self._all("SELECT folder, device, is_link FROM mount WHERE root_id = ? ORDER BY folder", (root_id,))
        return [Mount(folder, device, bool(is_link)) for folder, device, is_link in rows]

    def put_mount(self, root_id: int, mount: Mount, *, online: bool) -> None:
        self._run(
            """
            INSERT INTO mount (root_id, folder, device, is_link, offline_since) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (root_id, folder) DO UPDATE SET
                device = excluded.device, is_link = excluded.is_link,
                offline_since = iif(excluded.offline_since IS NULL, NULL,
                                    coalesce(offline_since, excluded.offline_since))
            """,
            (root_id, mount.folder, mount.device, mount.is_link, None if online else _now()),
        )

    def forget_mount(self, root_id: int, folder: bytes) -> None:
        self._run("DELETE FROM mount WHERE root_id = ? AND folder = ?", (root_id, folder))

    def forget_root(self, path: bytes) -> None:
        """The root and its files. Their photos keep their vectors and come back without encoding."""
        self._run("DELETE FROM root WHERE path = ?", (path,))

    def absorb_root(self, child: Root, parent: Root) -> None:
        """Hands the files of a root that lies inside another to that one, so that no path is listed twice."""
        with self.transaction():
            self.hand_over(child.id, child.base, parent, "REPLACE")

    def hand_over(self, root_id: int, base: bytes, to: Root, doubles: Literal["IGNORE", "REPLACE"]) -> None:
        """Gives the files of a root, which lie below `base`, to another one, and ends the root. In a transaction.

        Where both know a path, `doubles` says whether the other root's row stays (IGNORE) or this one's.
        """
        below = os.path.relpath(base, to.base)
        for table in ("file", "mount"):
            self._run(
                f"""
                UPDATE OR {doubles} {table} SET root_id = :to,
                       folder = CASE WHEN :prefix = x'' THEN folder
                                     WHEN folder = x'' THEN :prefix
                                     ELSE CAST(:prefix || :slash || folder AS BLOB) END
                WHERE root_id = :root
                """,
                {"to": to.id, "prefix": b"" if below == b"." else below, "slash": SEPARATOR, "root": root_id},
            )
            self._run(f"DELETE FROM {table} WHERE root_id = ?", (root_id,))
        self._run("DELETE FROM root WHERE id = ?", (root_id,))

    def root_statuses(self) -> list[RootStatus]:
        rows = self._all(
            """
            SELECT root.path, count(file.id), root.online, root.checked_at, root.offline_since
            FROM root LEFT JOIN file ON file.root_id = root.id GROUP BY root.id ORDER BY root.id
            """
        )
        return [RootStatus(path, files, bool(online), at, since) for path, files, online, at, since in rows]

    # -- files and photos -------------------------------------------------------------------------

    def known_files(self, root_id: int, space_id: int, part: Part = ALL) -> Iterator[KnownFile]:
        """The files of a root, or of a part of it."""
        if part == ALL:
            within, bounds = "1", []
        elif part.deep:  # a range of the unique index; the byte after the separator ends it
            within, bounds = _WITHIN, _bounds_of(part.folder)
        else:
            within, bounds = "folder = ?", [part.folder]
        cursor = self._run(
            f"""
            SELECT file.id, folder, name, size, mtime_ns, inode, file.photo_id,
                   embedding.seq IS NOT NULL AND photo.described = ?, decoder
            FROM file LEFT JOIN photo ON photo.id = file.photo_id
                      LEFT JOIN embedding ON embedding.photo_id = file.photo_id AND embedding.space_id = ?
            WHERE root_id = ? AND {within}
            """,
            (DESCRIPTION, space_id, root_id, *bounds),
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

    def has_vector(self, digest: bytes, space_id: int) -> bool:
        """Whether the photo of these bytes has one in the space, however it is described."""
        found = "SELECT 1 FROM photo JOIN embedding ON photo_id = photo.id WHERE digest = ? AND space_id = ?"
        return self._one(found, (digest, space_id)) is not None

    def put_photo(self, digest: bytes, metadata: Metadata) -> int:
        """The id of the photo of these bytes, made if new, with what it says of itself."""
        row = self._one(
            """
            INSERT INTO photo (digest, width, height, format, taken_at, taken_offset, latitude, longitude, camera,
                               lens, colors, phash, phash_fine, taken_ms, rating, caption, described)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (digest) DO UPDATE SET
                width = excluded.width, height = excluded.height, format = excluded.format,
                taken_at = excluded.taken_at, taken_offset = excluded.taken_offset,
                latitude = excluded.latitude, longitude = excluded.longitude, camera = excluded.camera,
                lens = excluded.lens, colors = excluded.colors, phash = excluded.phash,
                phash_fine = excluded.phash_fine, taken_ms = excluded.taken_ms, rating = excluded.rating,
                caption = excluded.caption, described = excluded.described
            RETURNING id
            """,
            (digest, *described(metadata), DESCRIPTION),
        )
        assert row is not None  # RETURNING answers for an insert and for an update
        return int(row[0])

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
        """A file that could not be read; `attempts` counts how often this entry was tried.

        Without a `decoder` it was the disk's fault: what is known of the same bytes stays in the results.
        """
        self._run(
            """
            INSERT INTO file (root_id, folder, name, size, mtime_ns, inode, reason, attempts, decoder)
            VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)
            ON CONFLICT (root_id, folder, name) DO UPDATE SET
                size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
                photo_id = NULL, reason = excluded.reason, attempts = attempts + 1, decoder = excluded.decoder
            WHERE NOT (excluded.decoder = '' AND file.photo_id IS NOT NULL
                       AND file.size = excluded.size AND file.mtime_ns = excluded.mtime_ns)
            """,
            (root_id, stamp.folder, stamp.name, stamp.size, stamp.mtime_ns, stamp.inode, reason, decoder),
        )

    def try_again(self, root: Root, path: bytes) -> None:
        """Forgets which decoder failed on the file at `path` (absolute), so that the next run reads it."""
        folder, name = os.path.split(os.path.relpath(path, root.base))
        self._run(
            "UPDATE file SET decoder = '' WHERE root_id = ? AND folder = ? AND name = ? AND reason IS NOT NULL",
            (root.id, folder, name),
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

    def photo_count(self) -> int:
        """Photos in the results."""
        row = self._one("SELECT count FROM tally WHERE name = 'photos'")
        assert row is not None
        return int(row[0])

    def counts(self) -> tuple[int, int, int]:
        """(photos in the results, files, files that could not be read)."""
        row = self._one(
            """
            SELECT (SELECT count FROM tally WHERE name = 'photos'), (SELECT count(*) FROM file),
                   (SELECT count(*) FROM file WHERE reason IS NOT NULL)
            """
        )
        assert row is not None
        return row[0], row[1], row[2]

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

    def photos_at(self, paths: Collection[bytes]) -> dict[bytes, int]:
        """Path -> photo, of those that showed one when they were last looked at: `photo_at` of many, all absolute."""
        wanted: dict[bytes, list[bytes]] = {}
        for folder, name in map(os.path.split, paths):
            wanted.setdefault(folder, []).append(name)
        found: dict[bytes, int] = {}
        # The first root wins, as in `photo_at`.
        for root, (folder, names) in itertools.product(reversed(self.roots()), wanted.items()):
            base = _without_slash(root.base)
            if not (folder + SEPARATOR).startswith(base + SEPARATOR):
                continue
            for start in range(0, len(names), 500):  # SQLite's own limit may be 999 parameters
                part = names[start : start + 500]
                rows = self._all(
                    f"""
                    SELECT name, photo_id FROM file
                    WHERE root_id = ? AND folder = ? AND name IN ({",".join("?" * len(part))}) AND photo_id IS NOT NULL
                    """,
                    (root.id, folder[len(base) + 1 :], *part),
                )
                found |= {os.path.join(folder, name): photo for name, photo in rows}
        return found

    def files_below(self, folder: bytes) -> Iterator[tuple[bytes, int, Stamp]]:
        """(path, photo, stamp) of the files in the folder (absolute) and below it, as they were last looked at."""
        for root in self.roots():
            base = _without_slash(root.base)
            if (base + SEPARATOR).startswith(_without_slash(folder) + SEPARATOR):
                within, bounds = "1", []
            elif (folder + SEPARATOR).startswith(base + SEPARATOR):
                within, bounds = _WITHIN, _bounds_of(folder[len(base) + 1 :])
            else:
                continue
            cursor = self._run(
                f"""
                SELECT photo_id, folder, name, size, mtime_ns, inode FROM file
                WHERE root_id = ? AND photo_id IS NOT NULL AND {within}
                """,
                (root.id, *bounds),
            )
            with storage_errors(self._path):
                for photo_id, *stamp in cursor:
                    place = Stamp(*stamp)
                    path = joined(joined(base, place.folder) if place.folder else base, place.name)
                    yield path, photo_id, place

    def paths_of(self, ids: Sequence[int]) -> dict[int, bytes]:
        """One path of each photo that a file shows, the one indexed first."""
        found: dict[int, bytes] = {}
        for part in parts_of(ids):
            rows = self._all(
                f"""
                SELECT photo_id, {PATH_PARTS}, min(file.id) FROM file JOIN root ON root.id = root_id
                WHERE photo_id IN ({",".join("?" * len(part))}) GROUP BY photo_id
                """,  # the columns beside a min() are those of its row
                part,
            )
            found |= {photo_id: joined(folder, name) for photo_id, folder, name, _ in rows}
        return found

    def digest_of(self, photo_id: int) -> bytes:
        row = self._one("SELECT digest FROM photo WHERE id = ?", (photo_id,))
        assert row is not None  # ids are never reused, and a photo that a file shows is not deleted
        return bytes(row[0])

    def photo_rows(self, ids: Sequence[int]) -> dict[int, PhotoRow]:
        """What a hit shows, by photo id; paths in the order of their indexing, files of online roots first."""
        found: dict[int, PhotoRow] = {}
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            rows = self._all(
                f"""
                SELECT photo.id, {ONLINE} AS there, size, {PATH_PARTS}, {METADATA}
                FROM photo JOIN file ON photo_id = photo.id JOIN root ON root.id = root_id
                WHERE photo.id IN ({marks}) ORDER BY photo.id, there DESC, file.id
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
        self, filters: Sequence[Filter], today: date, *, under: bytes | None = None, in_order: bool = True
    ) -> NDArray[np.int64]:
        """Photos that fit all filters and, if said, have a file in the folder `under`; the newest first if `in_order`.

        A million take as long to be sorted as to be found.
        """
        filter_functions(self._connection)
        condition, parameters = where(filters, today, under=under)
        order = f"ORDER BY {_NEWEST_FIRST}" if in_order else ""
        cursor = self._run(f"SELECT id FROM photo WHERE files > 0 AND {condition} {order}", parameters)
        with storage_errors(self._path):
            return np.fromiter((row[0] for row in cursor), np.int64)

    def labels_of(self, photo_id: int) -> tuple[str, ...]:
        return tuple(
            row[0] for row in self._all("SELECT name FROM label WHERE photo_id = ? ORDER BY name", (photo_id,))
        )

    def saved_searches(self) -> list[SavedSearch]:
        return [SavedSearch(*row) for row in self._all("SELECT name, query FROM saved_search ORDER BY name")]

    def asked(self) -> list[str]:
        """The latest first."""
        return [row[0] for row in self._all("SELECT query FROM asked ORDER BY id DESC")]

    # -- events -----------------------------------------------------------------------------------

    def record_event(self, kind: str, details: dict[str, object]) -> None:
        self._run("INSERT INTO event (at, kind, details) VALUES (?, ?, ?)", (_now(), kind, json.dumps(details)))


_WITHIN = "(folder = ? OR (folder >= ? AND folder < ?))"  # a folder and all below it, relative to its root
_NEWEST_FIRST = "taken_at DESC NULLS LAST, coalesce(taken_ms, 0) DESC, id"
# Of a file with its root: that can be listed, and the file lies on no disk inside it that is unplugged.
ONLINE = f"""online AND NOT EXISTS (
    SELECT 1 FROM mount WHERE mount.root_id = file.root_id AND mount.offline_since IS NOT NULL AND (
        file.folder = mount.folder OR
        substr(file.folder, 1, length(mount.folder) + 1) = CAST(mount.folder || {SEPARATOR_SQL} AS BLOB)))"""
PATH_PARTS = f"{FOLDER}, name"
METADATA = """photo.width, photo.height, photo.format, photo.taken_at, photo.taken_offset, photo.latitude,
    photo.longitude, photo.camera, photo.lens, photo.colors, photo.phash, photo.phash_fine,
    photo.taken_ms, photo.rating, photo.caption"""


def _bounds_of(folder: bytes) -> list[bytes]:
    return [folder, folder + SEPARATOR, folder + bytes([SEPARATOR[0] + 1])]


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
    (width, height, form, taken_at, offset, latitude, longitude, camera, lens, colors, coarse, fine, ms, rating,
     caption) = columns  # fmt: skip
    title, description, *keywords = f"{caption}\n".split("\n")
    return Metadata(
        width, height, form, taken_at, offset, latitude, longitude, camera, lens, tuple(colors.split()), coarse, fine,
        ms, rating, title or None, description or None, tuple(word for word in keywords if word),
    )  # fmt: skip


def described(metadata: Metadata) -> tuple[Any, ...]:
    """What METADATA's columns hold of a photo, in their order; `metadata_of` turned round."""
    return (
        metadata.width, metadata.height, metadata.format, metadata.taken_at, metadata.taken_offset,
        metadata.latitude, metadata.longitude, metadata.camera, metadata.lens, " ".join(metadata.colors),
        metadata.phash, metadata.phash_fine, metadata.taken_ms, metadata.rating, _caption(metadata),
    )  # fmt: skip


def _caption(metadata: Metadata) -> str:
    """The lines of `caption`: title, description (either may be empty), then each keyword."""
    return "\n".join((metadata.title or "", metadata.description or "", *metadata.keywords)).rstrip("\n")
