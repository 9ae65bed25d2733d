"""What the library knows of all its photos at once, for comparing each with each. Reading only.

A catalog with three more questions; it is a reader of its own, so that one snapshot can hold from the first group
to the last while others are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from clipsearch.duplicates import NO_CAMERA, UNDATED, Looks
from clipsearch.index.catalog import PATH_PARTS, Catalog, joined, parts_of
from clipsearch.types import DuplicateFile


class DescribedCatalog(Catalog):
    """Use as a context manager."""

    def looks(self, *, under: bytes | None = None) -> tuple[NDArray[np.int64], Looks]:
        """(photo ids, what each looks like) of all photos, or of those with a file in the folder `under`.

        The best photo comes first: it has the most pixels, then the largest file, then the earliest date.
        """
        rows = self._all(
            """
            SELECT photo.id, width, height, phash, phash_fine,
                   CAST(strftime('%s', taken_at) AS INTEGER) AS taken, camera
            FROM photo JOIN file ON photo_id = photo.id GROUP BY photo.id
            ORDER BY width * height DESC, max(size) DESC, coalesce(taken, min(mtime_ns) / 1000000000), photo.id
            """
        )
        if under is not None:
            inside = set(self.photos_matching([], date.min, under=under).tolist())
            rows = [row for row in rows if row[0] in inside]
        hashed = np.array([row[3] is not None for row in rows], np.bool_)
        bits = b"".join(row[3].to_bytes(8, "big", signed=True) + row[4] for row in rows if row[3] is not None)
        hashes = np.zeros((len(rows), 4), np.uint64)
        hashes[hashed] = np.frombuffer(bits, ">u8").reshape(-1, 4)
        cameras = {camera: number for number, camera in enumerate(dict.fromkeys(row[6] for row in rows))}
        return np.array([row[0] for row in rows], np.int64), Looks(
            hashes=hashes,
            hashed=hashed,
            shapes=np.array([row[1] / row[2] for row in rows], np.float64),
            taken=np.array([UNDATED if row[5] is None else row[5] for row in rows], np.int64),
            cameras=np.array([NO_CAMERA if row[6] is None else cameras[row[6]] for row in rows], np.int64),
        )

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
                SELECT photo.id, {PATH_PARTS}, width, height, size, taken_at, mtime_ns, online
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
