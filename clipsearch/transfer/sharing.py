"""A library to a shared one: the catalog without vectors, then all rows as in a file of Parquet, as one new version.

One snapshot from the first row to the last, as in `exporting`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipsearch import __version__
from clipsearch.config import Paths, SharedLibrary
from clipsearch.index import schema
from clipsearch.index.outline import OutlinedCatalog
from clipsearch.opened import catalog_path
from clipsearch.shared import store
from clipsearch.transfer import parquet
from clipsearch.transfer.exporting import batches_of, exported_space, header_of_library

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Shared:
    library: SharedLibrary
    version: int
    photos: int
    vectors: int
    failures: int  # files that could not be read
    has_index: bool


def shared(paths: Paths, library: SharedLibrary, progress: Callable[[int, int], None]) -> Shared:
    """What Library.share documents."""
    store.check_free(library)
    with (
        OutlinedCatalog.open_reader(catalog_path(paths)) as catalog,
        catalog.transaction(),
        tempfile.TemporaryDirectory(prefix="clipsearch-") as scratch,
    ):
        space = exported_space(catalog, paths)
        header = header_of_library(catalog, space)
        outline = Path(scratch) / "catalog.db"
        catalog.outline_to(outline, space)
        with outline.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        edition = store.Edition(
            program=__version__, schema=schema.VERSION, catalog=0, catalog_sha256=digest,
            catalog_bytes=outline.stat().st_size, vectors=header.vectors,
        )  # fmt: skip
        rows = parquet.stream(header, batches_of(catalog, space, header, progress))
        version, has_index = store.publish(library, _pieces(outline), rows, edition)
        photos, _, failures = catalog.counts()
    return Shared(library, version, photos, header.vectors, failures, has_index)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece
