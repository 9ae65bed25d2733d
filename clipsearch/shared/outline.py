"""What a reader keeps of a shared library on its own machine: the catalog of one version, fetched once.

A cache: it may be deleted at any time. Files are named after the version and the digest of what is in them, and appear
whole, so any number of processes may fetch at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from clipsearch.config import SharedLibrary
from clipsearch.errors import LibraryError, SystemFault
from clipsearch.index import schema
from clipsearch.index.catalog import Catalog
from clipsearch.shared.store import Store

_NAMES = "catalog-*.db"


def kept(library: SharedLibrary, store: Store, folder: Path, *, anew: bool = False) -> Path:
    """The catalog of the version that is open. Raises LibraryError for one that is damaged or newer, SystemFault."""
    edition = store.edition
    if edition.schema > schema.VERSION:
        raise LibraryError(
            f"{library} was exported by a newer clipsearch ({edition.program}).", "Update clipsearch and try again."
        )
    # With the schema's version: what a newer program has brought up to date, an older one fetches for itself.
    final = folder / f"catalog-{store.version}-{edition.catalog_sha256[:16]}-{schema.VERSION}.db"
    is_whole = final.exists() and (
        final.stat().st_size == edition.catalog_bytes or edition.schema < schema.VERSION  # it has grown then
    )
    if anew or not is_whole:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(library, store, final)
        except OSError as error:
            raise SystemFault(
                f"The catalog of {library} cannot be kept in {folder} ({error.strerror or error}).",
                "Free some space there, or name another cache folder with CLIPSEARCH_CACHE.",
            ) from error
    return final


def _fetch(library: SharedLibrary, store: Store, final: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=final.parent, prefix=".new-")
    fresh, digest = Path(name), hashlib.sha256()
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in store.catalog():
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != store.edition.catalog_sha256:
            raise LibraryError(f"The catalog of {library} is damaged.", "Export the library again.")
        if store.edition.schema < schema.VERSION:
            Catalog.open_writer(fresh).close()  # brings it up to date
        former = [path for path in final.parent.glob(_NAMES) if path != final]
        os.replace(fresh, final)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    for path in former:
        with contextlib.suppress(OSError):  # of a version that another process still reads, on Windows
            path.unlink()
