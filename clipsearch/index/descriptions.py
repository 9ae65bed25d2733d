"""What the library knows of all its photos at once, for comparing each with each. Reading only.

A catalog with three more questions; it is a reader of its own, so that one snapshot can hold from the first group
to the last while others are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.catalog import METADATA, ONLINE, PATH_PARTS, Catalog, joined, metadata_of
from clipsearch.index.database import parts_of
from clipsearch.types import DuplicateFile, Metadata


class DescribedCatalog(Catalog):
    """Use as a context manager."""

    def described_photos(self, *, under: bytes | None = None) -> tuple[NDArray[np.int64], list[Metadata]]:
        """(photo ids, what each says of itself) of all photos, or of those with a file in the folder `under`.

        The best photo comes first: it has the most pixels, then the largest file, then the earliest date.
        """
        rows = self._all(
            f"""
            SELECT photo.id, {METADATA}
            FROM photo JOIN file ON photo_id = photo.id GROUP BY photo.id
            ORDER BY width * height DESC, max(size) DESC,
                     coalesce(CAST(strftime('%s', taken_at) AS INTEGER), min(mtime_ns) / 1000000000), photo.id
            """
        )
        if under is not None:
            inside = set(self.photos_matching([], date.min, under=under).tolist())
            rows = [row for row in rows if row[0] in inside]
        return np.array([row[0] for row in rows], np.int64), [metadata_of(row[1:]) for row in rows]

    def copied_photos(self) -> list[int]:
        """Contents that several files show."""
        return [row[0] for row in self._all("SELECT id FROM photo WHERE files > 1 ORDER BY id")]

    def files_of(self, ids: Sequence[int]) -> dict[int, list[DuplicateFile]]:
        """The files of each photo, the oldest first; each path once, though two roots may have it."""
        found: dict[int, dict[bytes, DuplicateFile]] = {}
        for part in parts_of(ids):
            marks = ",".join("?" * len(part))
            rows = self._all(
                f"""
                SELECT photo.id, {PATH_PARTS}, width, height, size, taken_at, mtime_ns, {ONLINE}
                FROM photo JOIN file ON photo_id = photo.id JOIN root ON root.id = root_id
                WHERE photo.id IN ({marks}) ORDER BY mtime_ns, file.id
                """,
                part,
            )
            for photo_id, folder, name, width, height, size, taken_at, mtime_ns, online in rows:
                path = joined(folder, name)
                modified_at = datetime.fromtimestamp(mtime_ns // 1_000_000_000).isoformat()
                file = DuplicateFile(path, width, height, size, taken_at, modified_at, offline=not online)
                found.setdefault(photo_id, {}).setdefault(path, file)
        return {photo_id: list(files.values()) for photo_id, files in found.items()}
