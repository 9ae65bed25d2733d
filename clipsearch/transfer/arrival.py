"""What all that comes into a library needs: its folder and lock, the space that answers, a checkpoint at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from clipsearch.config import Paths
from clipsearch.errors import ModelError
from clipsearch.files import writer_lock
from clipsearch.index.catalog import Catalog
from clipsearch.index.spaces import Space
from clipsearch.indexing import create_folder
from clipsearch.opened import catalog_path, vectors_folder
from clipsearch.types import SpaceIdentity

AnyCatalog = TypeVar("AnyCatalog", bound=Catalog)


@contextmanager
def arriving(paths: Paths, purpose: str, kind: type[AnyCatalog]) -> Iterator[AnyCatalog]:
    """The catalog for writing; one that was made for what then failed is no library, and goes again."""
    path = catalog_path(paths)
    create_folder(paths.library)
    with writer_lock(paths.library / "writer.lock", purpose):
        is_vain = not path.exists()
        try:
            with kind.open_writer(path) as catalog:
                try:
                    yield catalog
                finally:
                    is_vain = is_vain and not catalog.roots()
        except BaseException:
            if is_vain:
                for side in ("", "-wal", "-shm"):
                    path.with_name(path.name + side).unlink(missing_ok=True)
            raise


def check_space(active: Space | None, identity: SpaceIdentity, source: Path, verb: str) -> None:
    """Raises ModelError for vectors of another model than the library's."""
    if active is not None and active.identity.fingerprint != identity.fingerprint:
        raise ModelError(
            f"{source} holds vectors of the model {identity.model}, and the library those of {active.identity.model}.",
            f"Put it into a library of its own: clipsearch --library DIR {verb}",
        )


def renew_checkpoint(paths: Paths, catalog: Catalog, space: Space) -> None:
    from clipsearch.index.vectors import make_checkpoint, needs_checkpoint  # loads USearch

    if needs_checkpoint(catalog, space, vectors_folder(paths)):
        make_checkpoint(catalog, space, vectors_folder(paths))
