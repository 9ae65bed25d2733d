"""A shared library as `opened` asks for it: the published version, its catalog kept here, its plan of a search."""

from __future__ import annotations

from pathlib import Path

from clipsearch.config import SharedLibrary
from clipsearch.errors import LibraryError
from clipsearch.shared import outline, store
from clipsearch.shared.catalog import SharedCatalog
from clipsearch.shared.nearest import SharedNearest


class SharedSource:
    """Satisfies opened.Source. `folder` keeps what is fetched."""

    def __init__(self, library: SharedLibrary, folder: Path) -> None:
        self._library = library
        self._folder = folder
        self.nearest = SharedNearest()

    def reader(self) -> SharedCatalog:
        opened = store.opened(self._library)
        try:
            return SharedCatalog.of(outline.kept(self._library, opened, self._folder), opened)
        except LibraryError:  # what is kept here is a cache, and can be anything by now
            return SharedCatalog.of(outline.kept(self._library, opened, self._folder, anew=True), opened)
