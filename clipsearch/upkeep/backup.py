"""A copy of the library in one file: all of it, for everything but catalog.db is a cache and made again.

Such a file is a library's catalog.db: put it into an empty folder under that name, and the folder is the library.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clipsearch.config import Paths
from clipsearch.files import new_file
from clipsearch.index.backup import CopiableCatalog
from clipsearch.opened import catalog_path
from clipsearch.types import AnyPath


@dataclass(frozen=True, slots=True)
class Backup:
    file: Path
    photos: int  # contents, with those that no file shows at the moment
    files: int
    bytes: int


def backed_up(paths: Paths, target: AnyPath, progress: Callable[[int, int], None]) -> Backup:
    """What Library.backup documents."""
    final = backup_file(target)
    with (
        CopiableCatalog.open_reader(catalog_path(paths)) as catalog,
        new_file(final, catalog.size()) as temporary,
    ):
        counted = catalog.copy_to(temporary, progress)
    return Backup(final, counted.photos, counted.files, final.stat().st_size)


def backup_file(target: AnyPath) -> Path:
    """`target` itself, or a file named after this moment if it is a folder."""
    path = Path(os.path.abspath(os.fsdecode(target)))
    return path / f"clipsearch-{datetime.now():%Y-%m-%d-%H%M%S}.db" if path.is_dir() else path
