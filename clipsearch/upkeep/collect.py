"""Removes what no file uses: photos with their vectors, labels and thumbnails; former models when asked.

The order is that of safety: the checkpoint that holds the rows, the rows, a new checkpoint, the cache, the room on the
disk. A crash in between leaves slower searches or files that nothing names.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from clipsearch.config import Paths
from clipsearch.errors import ClipsearchError
from clipsearch.index.garbage import CollectableCatalog
from clipsearch.opened import catalog_path, vectors_folder
from clipsearch.upkeep.lock import locked

_WORTH_SHRINKING = 1 << 20  # bytes of free pages, and a quarter of the file: less is filled by the next photos


@dataclass(frozen=True, slots=True)
class FormerModel:
    model: str
    vectors: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed, or would be."""

    photos: int  # that no file shows any more
    vectors: int
    labels: int
    thumbnails: int
    former: tuple[FormerModel, ...]  # models that do not answer; removed only when asked
    freed_bytes: int  # given back to the disk
    remark: str | None = None  # why room was not given back


def collected(paths: Paths, *, former_models: bool, dry_run: bool) -> Collected:
    """What Library.gc documents."""
    if dry_run:
        with CollectableCatalog.open_reader(catalog_path(paths)) as reader, reader.transaction():
            return _found(paths, reader)
    with locked(paths, CollectableCatalog, "clipsearch gc") as catalog:
        found = _found(paths, catalog)
        thumbnails = _thumbnails(paths, catalog)
        if found.photos:
            catalog.remove_unused()
        if former_models:
            for former in catalog.former_spaces():
                catalog.remove_space(former)
        _renew_checkpoint(paths, catalog)
        for thumbnail in thumbnails:
            thumbnail.unlink(missing_ok=True)
        freed, remark = _shrunk(paths, catalog)
        return Collected(
            found.photos, found.vectors, found.labels, len(thumbnails), found.former, freed, remark
        )  # fmt: skip


def _found(paths: Paths, catalog: CollectableCatalog) -> Collected:
    unused = catalog.unused()
    former = tuple(FormerModel(space.model, space.vectors) for space in catalog.former_spaces())
    thumbnails = len(_thumbnails(paths, catalog))
    return Collected(unused.photos, unused.vectors, unused.labels, thumbnails, former, 0)


def _thumbnails(paths: Paths, catalog: CollectableCatalog) -> list[Path]:
    folder = paths.library / "thumbs"
    kept = (folder / f"{digest.hex()}.webp" for digest in catalog.unused_digests())
    return [path for path in kept if path.exists()] if folder.is_dir() else []


def _renew_checkpoint(paths: Paths, catalog: CollectableCatalog) -> None:
    from clipsearch.index.vectors import make_checkpoint, needs_checkpoint, sweep

    folder = vectors_folder(paths)
    space = catalog.active_space()
    if space is not None and needs_checkpoint(catalog, space, folder):
        make_checkpoint(catalog, space, folder)
    elif folder.is_dir():
        sweep(folder, keep=catalog.checkpoint_files())


def _shrunk(paths: Paths, catalog: CollectableCatalog) -> tuple[int, str | None]:
    """(bytes given back to the disk, why not)."""
    room = catalog.room()
    if room.free < max(_WORTH_SHRINKING, (room.used + room.free) // 4):
        return 0, None
    needed = 2 * room.used
    available = shutil.disk_usage(paths.library).free
    if available < needed:
        return 0, f"{room.free:,} bytes are free inside catalog.db; giving them back needs {needed:,} on the disk"
    try:
        catalog.shrink()
    except ClipsearchError as error:  # nothing is lost: SQLite fills the free pages again
        return 0, f"catalog.db is as large as before ({error.message})"
    return room.free, None
