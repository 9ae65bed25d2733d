"""A library of small photos with hashed vectors, kept by the real code: real files, SQLite and USearch, no model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from clipsearch.config import Paths
from clipsearch.events import Event, Summary
from clipsearch.files import writer_lock
from clipsearch.index.catalog import Catalog
from clipsearch.index.nearest import Nearest
from clipsearch.index.roots import root_for
from clipsearch.index.update import update
from clipsearch.library import Library
from clipsearch.opened import catalog_path, vectors_folder
from tests.index.filled import own_vector, photo
from tests.support.encoder import HashEncoder, InlineDecoder


class Kept:
    """A library folder and a folder of photos below `base`."""

    def __init__(self, base: Path, *, seed: int = 0) -> None:
        base.mkdir(parents=True, exist_ok=True)
        self.base = base
        self.paths = Paths(base / "library", base / "cache", base / "models")
        self.photos = base / "photos"
        self.encoder = HashEncoder(seed=seed)

    def run(self, *folders: Path, catalog: Catalog) -> Iterator[Event]:
        """What `clipsearch index` does, with a fake model; all known roots when none is named."""
        self.encoder.encoded = 0
        space = catalog.space_for(self.encoder.space)
        roots = [root_for(catalog, os.fsencode(folder)) for folder in folders] or catalog.roots()
        decoder = InlineDecoder(self.encoder.prepare)
        yield from update(catalog, space, vectors_folder(self.paths), roots, self.encoder, decoder)

    def index(self, *folders: Path, activate: bool = False) -> Summary:
        with self.writer() as catalog:
            *_, done = self.run(*folders, catalog=catalog)
            if activate:
                catalog.activate(catalog.space_for(self.encoder.space))
        assert isinstance(done, Summary)
        return done

    @contextmanager
    def writer(self) -> Iterator[Catalog]:
        self.paths.library.mkdir(exist_ok=True)
        with (
            writer_lock(self.paths.library / "writer.lock", "clipsearch index"),
            Catalog.open_writer(catalog_path(self.paths)) as catalog,
        ):
            yield catalog

    def add(self, *seeds: int, folder: str = "") -> list[Path]:
        return [photo(self.photos / folder / f"{seed:03d}.jpg", seed) for seed in seeds]

    @property
    def library(self) -> Library:
        return Library(self.paths)

    def reader(self) -> Catalog:
        return Catalog.open_reader(catalog_path(self.paths))

    def found(self, query: str = "size:>0kb", **how: object) -> dict[bytes, tuple[bytes, ...]]:
        """Paths of what filters find, with their copies."""
        with self.library as library:
            return {hit.path: hit.copies for hit in library.search(query, k=0, **how).hits}  # type: ignore[arg-type]

    def nearest(self, like: Path, k: int = 5) -> list[tuple[bytes, float]]:
        """(path, cosine) of what is nearest to a photo's own vector, whatever the plan."""
        with self.reader() as catalog, catalog.transaction():
            space = catalog.active_space()
            assert space is not None
            vector = own_vector(like, self.encoder).astype(np.float32)
            found = Nearest(vectors_folder(self.paths)).find(catalog, space, vector, k, is_image=True)
            rows = catalog.photo_rows(found.ids.tolist())
            return [
                (rows[photo_id].paths[0], round(score, 5))
                for photo_id, score in zip(found.ids.tolist(), found.scores.tolist(), strict=True)
            ]

    def vectors(self) -> dict[bytes, bytes]:
        """The stored vector of each path."""
        with self.reader() as catalog, catalog.transaction():
            space = catalog.active_space()
            assert space is not None
            stored = {
                int(i): row.tobytes()
                for ids, rows in catalog.vector_chunks(space)
                for i, row in zip(ids, rows, strict=True)
            }
            rows = catalog.photo_rows(list(stored))
            return {path: stored[i] for i, row in rows.items() for path in row.paths}

    def roots(self) -> list[tuple[bytes, int, bool]]:
        with self.reader() as catalog:
            return [(root.path, root.files, root.online) for root in catalog.root_statuses()]


def moved(paths: Paths, library: Path) -> Paths:
    return replace(paths, library=library)
