"""A library to a file: photos that a file shows, files that could not be read, labels, saved searches, vectors.

One snapshot from the first row to the last, so an index run may go on meanwhile; memory holds one batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipsearch import __version__
from clipsearch.config import Paths
from clipsearch.errors import LibraryError
from clipsearch.files import new_file
from clipsearch.index import schema
from clipsearch.index.portable import PortableCatalog, PortableRow
from clipsearch.index.spaces import Space
from clipsearch.opened import catalog_path
from clipsearch.transfer.formats import format_named
from clipsearch.transfer.header import ExportedRoot, Header
from clipsearch.types import AnyPath


@dataclass(frozen=True, slots=True)
class Exported:
    file: Path
    photos: int
    vectors: int
    failures: int  # files that could not be read
    bytes: int


def exported(paths: Paths, target: AnyPath, form: str | None, progress: Callable[[int, int], None]) -> Exported:
    """What Library.export documents."""
    final = Path(os.path.abspath(os.fsdecode(target)))
    chosen = format_named(form, final)
    with PortableCatalog.open_reader(catalog_path(paths)) as catalog, catalog.transaction():
        space = exported_space(catalog, paths)
        header = header_of_library(catalog, space)
        with new_file(final, needed_bytes=2 * header.vectors * space.identity.dim) as temporary:
            chosen.write(temporary, header, lambda: batches_of(catalog, space, header, progress))
        photos, _, failures = catalog.counts()
    return Exported(final, photos, header.vectors, failures, final.stat().st_size)


def exported_space(catalog: PortableCatalog, paths: Paths) -> Space:
    """The space that answers. Raises LibraryError where there is none."""
    space = catalog.active_space()
    if space is None:
        raise LibraryError(
            f"The library {paths.library} has no photos yet.", "Index a folder first: clipsearch index ~/Photos"
        )
    return space


def header_of_library(catalog: PortableCatalog, space: Space) -> Header:
    """What the rows of `batches_of` are."""
    rows, vectors = catalog.row_count(space)
    return Header(
        program=__version__,
        schema=schema.VERSION,
        space=space.identity,
        rows=rows,
        vectors=vectors,
        columns=tuple(catalog.photo_columns()),
        roots=tuple(ExportedRoot(root.path, root.is_file, root.exclude) for root in catalog.roots()),
        searches=tuple(catalog.saved_searches()),
    )


def batches_of(
    catalog: PortableCatalog, space: Space, header: Header, progress: Callable[[int, int], None]
) -> Iterator[list[PortableRow]]:
    done = 0
    for rows in catalog.batches(space, header.columns, catalog.roots()):
        yield rows
        done += len(rows)
        progress(done, header.rows)
