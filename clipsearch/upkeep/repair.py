"""Puts right what can be put right from the library's own rows. A copy of all of it is made first, and kept.

A catalog that SQLite can read is mended in place. One that it cannot is copied as it is, read row by row into a
new one, and replaced by that; what is lost then is told. The photos themselves are never touched, and whatever is
missing afterwards is made again by `clipsearch index`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clipsearch.config import Paths
from clipsearch.errors import LibraryError, SystemFault
from clipsearch.files import publish, sync_file, sync_folder, writer_lock
from clipsearch.index.database import DamagedCatalog
from clipsearch.index.health import CheckedCatalog
from clipsearch.index.salvage import SalvageTarget
from clipsearch.opened import catalog_path, vectors_folder
from clipsearch.upkeep.lock import check_exists, locked

_WHOLE = ("", "-wal")  # a catalog, and the commits that are not in it yet
_SIDES = ("-wal", "-shm")  # what SQLite keeps beside one


@dataclass(frozen=True, slots=True)
class Repaired:
    copy: Path  # a folder with the library's catalog as it was before
    done: tuple[str, ...]
    lost: int  # rows of a damaged catalog that could not be read


def repaired(paths: Paths) -> Repaired:
    """What Library.repair documents."""
    check_exists(paths)
    salvaged, lost = [], 0
    with writer_lock(paths.library / "writer.lock", "clipsearch doctor --repair"):
        copy = _copied(paths)
        if _is_damaged(paths):
            result = _salvaged(paths, copy)
            lost = result[1]
            salvaged.append(f"read {result[0]:,} rows out of the damaged catalog")
    with locked(paths, CheckedCatalog, "clipsearch doctor --repair") as catalog:
        mended = catalog.mend()
        renewed = _renewed_checkpoint(paths, catalog)
    return Repaired(copy, (*salvaged, *mended, *renewed), lost)


def _copied(paths: Paths) -> Path:
    """The catalog byte for byte, with its log: SQLite's own copy would refuse what is damaged."""
    folder = paths.library / f"before-repair-{datetime.now():%Y-%m-%d-%H%M%S-%f}"
    sources = [path for side in _WHOLE if (path := _beside(paths, side)).exists()]
    needed = 2 * sum(path.stat().st_size for path in sources)  # the copy, and what is made of it
    if shutil.disk_usage(paths.library).free < needed:
        raise SystemFault(
            f"A copy of the library needs {-(-needed >> 20):,} MiB on its disk, so nothing was repaired.",
            "Free some space and run the same command again.",
        )
    folder.mkdir()
    for source in sources:
        sync_file(Path(shutil.copy2(source, folder / source.name)))
    sync_folder(folder)
    return folder


def _is_damaged(paths: Paths) -> bool:
    try:
        with CheckedCatalog.open_reader(catalog_path(paths)) as catalog:  # a writer would write its log into it
            return bool(catalog.damage())
    except DamagedCatalog:
        return True


def _salvaged(paths: Paths, copy: Path) -> tuple[int, int]:
    """(rows read, rows lost), once the new catalog has taken the place of the damaged one."""
    new = _beside(paths, ".new")
    for side in ("", *_SIDES):
        new.with_name(new.name + side).unlink(missing_ok=True)  # of a repair that was killed here
    with SalvageTarget.open_writer(new) as target:
        result = target.fill_from(copy / catalog_path(paths).name)
    with CheckedCatalog.open_writer(new) as catalog:
        catalog.mend()
        if damage := catalog.damage():
            raise LibraryError(
                f"What could be read is damaged too ({damage[0]}).", "Restore the library from a backup."
            )
    # Its log first: SQLite would write it into the new catalog. The copy has both.
    for side in _SIDES:
        _beside(paths, side).unlink(missing_ok=True)
    publish(new, catalog_path(paths))
    return result.rows, result.unreadable


def _renewed_checkpoint(paths: Paths, catalog: CheckedCatalog) -> list[str]:
    from clipsearch.index.vectors import make_checkpoint, needs_checkpoint, sweep

    folder, space = vectors_folder(paths), catalog.active_space()
    done = []
    if space is not None and needs_checkpoint(catalog, space, folder):
        make_checkpoint(catalog, space, folder)
        done.append("made a new checkpoint")
    if folder.is_dir():
        sweep(folder, keep=catalog.checkpoint_files())
    return done


def _beside(paths: Paths, side: str) -> Path:
    path = catalog_path(paths)
    return path.with_name(path.name + side)
