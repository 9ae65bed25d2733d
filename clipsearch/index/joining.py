"""Rows of bundles into the catalog: a photo by its digest, a file by its path. Twice is once, in any order.

A photo that is there stays as it is, with its vector: the same bytes under the same model give the same. Of two rows
about one file the one that saw it later counts, by the time and size of the file; of the same bytes, a photo before a
reason why there is none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from clipsearch.bundles.rows import SEPARATOR, Copy, Photo, Row, Unread
from clipsearch.index.catalog import METADATA, described
from clipsearch.index.catalog import SEPARATOR as OWN_SEPARATOR
from clipsearch.index.portable import Place, PortableCatalog, Value
from clipsearch.index.spaces import Space

_CACHE_KIB = 256 << 10  # holds the indexes of some millions of photos; with 64 MiB a million take half as long again
_COLUMNS = METADATA.replace("photo.", "")
# `files` is counted here and not by the trigger of `file`: each of its updates would move the photo in four indexes.
_PHOTO = f"""
    INSERT INTO photo (id, digest, files, {_COLUMNS}, described)
    VALUES (?1, ?, (SELECT count(*) FROM file WHERE photo_id = ?1), {", ".join("?" * (_COLUMNS.count(",") + 2))})
"""
_EMBEDDING = """
    INSERT INTO embedding (space_id, photo_id, vector, variant) VALUES (?, ?, ?, ?)
    ON CONFLICT (space_id, photo_id) DO NOTHING
"""
# What decides is all of a row that is not this machine's own, so that no order of merging gives another library. The
# photo of a new row is not there yet (see `join`): its digest comes as a parameter.
_RANK = "({0}.mtime_ns, {0}.size, {0}.photo_id IS NOT NULL, {1}, coalesce({0}.decoder, ''), coalesce({0}.reason, ''))"
_FILE = f"""
    INSERT INTO file (root_id, folder, name, size, mtime_ns, inode, photo_id, reason, attempts, decoder)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (root_id, folder, name) DO UPDATE SET
        size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode, photo_id = excluded.photo_id,
        reason = excluded.reason, attempts = excluded.attempts, decoder = excluded.decoder
    WHERE {_RANK.format("excluded", "?11")}
        > {_RANK.format("file", "coalesce((SELECT digest FROM photo WHERE id = file.photo_id), x'')")}
"""


@dataclass(slots=True)
class Joined:
    """What bundles added; everything else was there."""

    photos: int = 0
    vectors: int = 0
    files: int = 0  # with those that could not be read


class JoiningCatalog(PortableCatalog):
    """Use as a context manager."""

    @contextmanager
    def joining(self) -> Iterator[None]:
        """One transaction for `join`, within which files come before their photos.

        Foreign keys are off meanwhile: their check would go through all files for each photo, for the index of files
        by photo is a partial one. What `join` adds refers to what it adds, or to what is there.
        """
        self._run(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._run("PRAGMA foreign_keys = OFF")
        try:
            with self.transaction():
                yield
        finally:
            self._run("PRAGMA foreign_keys = ON")

    def join(
        self, rows: Sequence[Row], description: int, space: Space, places: Mapping[bytes, Place], done: Joined
    ) -> list[Copy]:
        """Adds rows whose roots are among `places`, within `joining`; returns copies of photos that are not there yet.

        Raises UnfitRow for what the tables refuse.
        """
        photos = {row.digest: row for row in reversed(rows) if isinstance(row, Photo)}
        ids = self._ids_by_digest(list({row.digest for row in rows if not isinstance(row, Unread)}))
        new = [(number, photos[digest]) for number, digest in enumerate(photos.keys() - ids, self._next_photo())]
        ids |= {row.digest: number for number, row in new}
        files: list[tuple[Value, ...]] = []
        early: list[Copy] = []
        for row in rows:
            if isinstance(row, Unread):
                files.append((*_stamp(row, places), None, row.reason, 1, row.decoder, b""))
            elif row.digest in ids:
                files.append((*_stamp(row, places), ids[row.digest], None, 0, None, row.digest))
            elif isinstance(row, Copy):
                early.append(row)
        done.files += self._many(_FILE, files)
        done.photos += self._add_photos(new, description)
        done.vectors += self._many(
            _EMBEDDING, [(space.id, ids[row.digest], row.vector, row.variant) for row in photos.values()]
        )
        return early

    def _next_photo(self) -> int:
        """An id that no photo has had (I6)."""
        row = self._one("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'photo'), 0) + 1")
        assert row is not None
        return int(row[0])

    def _add_photos(self, new: Sequence[tuple[int, Photo]], description: int) -> int:
        """Photos whose files are there already."""
        added = self._many(_PHOTO, [(number, row.digest, *described(row.metadata), description) for number, row in new])
        if new:  # what a trigger does where a photo comes before its files
            self._run(
                """
                UPDATE tally SET count = count + (SELECT count(*) FROM photo WHERE id BETWEEN ? AND ? AND files > 0)
                WHERE name = 'photos'
                """,
                (new[0][0], new[-1][0]),
            )
        return added


def _stamp(row: Row, places: Mapping[bytes, Place]) -> tuple[int, bytes, bytes, int, int, int]:
    root, path, size, mtime_ns, inode = row.place
    folder, _, name = path.rpartition(SEPARATOR)
    if OWN_SEPARATOR != SEPARATOR:
        folder = folder.replace(SEPARATOR, OWN_SEPARATOR)
    place = places[root]
    return place.root_id, place.folder(folder), name or os.path.basename(root), size, mtime_ns, inode
