"""What a library keeps open from one question to the next: the catalog, the generation, the model, the background.

Each is opened when it is first needed, and again when another process has changed what it was drawn from. Knows
nothing of what is asked. Where catalog and vectors come from is a `Source`: a folder, or a shared store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import SHARED_PREFIX, SHARED_TABLE, Paths
from clipsearch.encoding import Engine
from clipsearch.engine.store import DEFAULT_MODEL, find_model
from clipsearch.engine.textcache import CachedVectors
from clipsearch.errors import LibraryError, ModelError, SystemFault
from clipsearch.index.annotations import Annotations
from clipsearch.index.catalog import Catalog
from clipsearch.index.descriptions import DescribedCatalog
from clipsearch.index.nearest import Nearest, Searcher
from clipsearch.index.spaces import Space
from clipsearch.photos import photo_vectors
from clipsearch.relevance import Background, background_of
from clipsearch.types import AnyPath, FailedFile, Step

Vector = NDArray[np.float32]

SAMPLE = 500  # photos that stand for the whole library when relevance is calibrated; 2,000 change it by 0.01 to 0.02


class Source(Protocol):
    """Where the catalog and the vectors of a library are."""

    @property
    def nearest(self) -> Searcher: ...
    def reader(self) -> DescribedCatalog:
        """A new connection. Raises LibraryError where there is none to be had."""


class Folder:
    """A library of one's own."""

    def __init__(self, paths: Paths) -> None:
        self._catalog = catalog_path(paths)
        self.nearest = Nearest(vectors_folder(paths))

    def reader(self) -> DescribedCatalog:
        folder = self._catalog.parent
        if (folder / SHARED_TABLE).is_dir() and not self._catalog.exists():
            raise LibraryError(f"{folder} is a shared library.", f"Name it so: --library {SHARED_PREFIX}{folder}")
        return DescribedCatalog.open_reader(self._catalog)


def _source_of(paths: Paths) -> Source:
    if paths.shared is None:
        return Folder(paths)
    from clipsearch.shared.source import SharedSource

    return SharedSource(paths.shared, paths.library)


class Opened:
    """The open parts of one library, for one thread."""

    def __init__(self, paths: Paths, backend: str, threads: int) -> None:
        self._paths = paths
        self._backend = backend
        self._threads = threads
        self._source = _source_of(paths)
        self._reader: Catalog | None = None
        self._openings = 0
        self._engine: Engine | None = None
        self.text_steps: tuple[Step, ...] = ()  # what the model took for the last texts
        self._background: tuple[Space, Background] | None = None
        self.nearest = self._source.nearest

    def close(self) -> None:
        """A later question opens again what it needs."""
        self._close_catalog()
        self._engine = None

    # -- the catalog ------------------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        """As another process has left it. Raises LibraryError where there is none, or none that can be read."""
        if self._reader is not None and not self._reader.is_current():
            self._close_catalog()  # another process has written or replaced it, perhaps with another schema
        if self._reader is None:
            self._reader = self._source.reader()
            self._openings += 1
        return self._reader

    def catalog_if_any(self) -> Catalog | None:
        return self.catalog if is_there(self._paths) else None

    def another_reader(self) -> DescribedCatalog:
        """A connection of its own, for what is read piece by piece while other questions are answered. Close it.

        Raises LibraryError where there is no library.
        """
        return self._source.reader()

    def revision(self) -> int:
        """Grows when the catalog is found changed. Within one transaction of ours it stays as it is."""
        self.catalog_if_any()
        return self._openings

    def annotations(self) -> Annotations:
        """A connection that writes a person's own words; the caller closes it."""
        self.space()  # words about no photos would make a library that is not there
        return Annotations.open_writer(catalog_path(self._paths))

    def space(self) -> Space:
        """The one that answers. Raises LibraryError where nothing is indexed."""
        space = self.catalog.active_space()
        if space is None:
            raise LibraryError(
                f"The library {self._paths.named} has no photos yet.",
                "Index a folder first: clipsearch index ~/Photos",
            )
        return space

    def _close_catalog(self) -> None:
        """And forgets what was drawn from it."""
        if self._reader is not None:
            self._reader.close()
        self._reader = self._background = None

    # -- the model --------------------------------------------------------------------------------

    def engine_of(self, space: Space | None) -> Engine:
        """The model that made the vectors of `space`; the default one where there is no library yet.

        Raises ModelError when that model is gone, or is another one by now.
        """
        card = find_model(space.identity.model if space else DEFAULT_MODEL, self._paths.models)
        if space is not None and card.image_fingerprint != space.identity.fingerprint:
            raise ModelError(
                f"The model {card.name} is not the one that indexed this library.",
                "Encode the photos with it: clipsearch index"
                if self._paths.shared is None
                else f"Take that of the exporting machine: the same clipsearch, or clipsearch model pull {card.name}",
            )
        if self._engine is None or self._engine.card != card:
            self._engine = Engine(card, backend=self._backend, threads=self._threads, cache_folder=self._paths.cache)
        return self._engine

    def background(self, space: Space) -> Background:
        """What this library's photos score with everyday texts; kept until the library changes."""
        if self._background is None or self._background[0] != space:
            engine = self.engine_of(space)
            photos = self.catalog.vector_count(space)
            self._background = space, background_of(self.catalog.sample(space, SAMPLE), engine.bank(), photos=photos)
        return self._background[1]

    def text_vectors(self, space: Space, texts: Sequence[str]) -> CachedVectors:
        self.text_steps = ()
        if not texts:  # filters alone need no model
            return CachedVectors(np.empty((0, space.identity.dim), np.float32), ())
        engine = self.engine_of(space)
        found = engine.text_vectors(texts)
        self.text_steps = engine.text_steps
        return found

    def image_vectors(self, space: Space, paths: Sequence[AnyPath]) -> Iterator[Vector]:
        """Raises SystemFault for a photo that is not there or cannot be read."""
        if not paths:
            return
        if folder := next(filter(os.path.isdir, paths), None):
            raise SystemFault(f"{os.fsdecode(folder)} is a folder.", "Name a photo.")
        for one in photo_vectors(self.catalog, self.engine_of(space), paths):
            if isinstance(one, FailedFile):
                raise SystemFault(f"{os.fsdecode(one.path)} cannot be read: {one.reason}.", "Name a photo.")
            yield from one.vectors


def is_there(paths: Paths) -> bool:
    """Whether there is anything to ask; a shared library says so itself when it is asked."""
    return paths.shared is not None or catalog_path(paths).exists()


def catalog_path(paths: Paths) -> Path:
    """Of a library of one's own. Raises LibraryError for a shared one: whoever writes or keeps a library asks here."""
    if paths.shared is not None:
        raise LibraryError(
            f"{paths.named} is a shared library: it is searched from here, and not changed or copied.",
            "Do it with the library that it was exported from, and export that again.",
        )
    return paths.library / "catalog.db"


def vectors_folder(paths: Paths) -> Path:
    return paths.library / "vectors"
