"""The catalog of a library that is there, opened for writing under the writer's lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from clipsearch.config import Paths
from clipsearch.errors import LibraryError
from clipsearch.files import writer_lock
from clipsearch.index.database import Database
from clipsearch.opened import catalog_path

Opened = TypeVar("Opened", bound=Database)


@contextlib.contextmanager
def locked(paths: Paths, kind: type[Opened], purpose: str) -> Iterator[Opened]:
    """Raises LibraryError where there is no library, or another process writes to it."""
    check_exists(paths)
    with writer_lock(paths.library / "writer.lock", purpose), kind.open_writer(catalog_path(paths)) as catalog:
        yield catalog


def check_exists(paths: Paths) -> None:
    if not catalog_path(paths).exists():
        raise LibraryError(
            f"There is no library in {paths.library} yet.", "Index a folder first: clipsearch index ~/Photos"
        )
