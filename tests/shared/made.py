"""A library of made photos under the model that ships inside the package, and the same one shared."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import Paths, SharedLibrary, resolved_paths
from clipsearch.engine.cards import read_card
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.index.annotations import Annotations
from clipsearch.index.catalog import Catalog
from clipsearch.library import Library
from clipsearch.opened import catalog_path
from clipsearch.types import Metadata, SpaceIdentity
from tests.index.filled import new_root, stamp
from tests.index.test_filters import (
    BYTES,
    CAMERAS,
    COLORS,
    DATES,
    FOLDERS,
    FORMATS,
    LABELS,
    NAMES,
    PLACES,
    RATINGS,
    ROOTS,
    SIZES,
    WRITTEN,
)  # fmt: skip

STARTER = read_card(STARTER_FOLDER)


def made_vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors in a narrow cone, in clusters, as those of photos are; some are all but the same."""
    random = np.random.default_rng(seed)
    topics = random.standard_normal((max(1, count // 12), STARTER.dim))
    rows = 6 + topics[random.integers(0, len(topics), count)] + 0.6 * random.standard_normal((count, STARTER.dim))
    rows[1::10] = rows[: len(rows[1::10]) * 10 : 10] + 0.02
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def fill(paths: Paths, count: int, *, seed: int = 0, camera: str | None = None) -> None:
    """Photos with properties that meet in many ways: copies, awkward names, no date, no vector, not shown, unread."""
    paths.library.mkdir(parents=True, exist_ok=True)
    vectors = made_vectors(count, seed)
    with Catalog.open_writer(catalog_path(paths)) as catalog:
        space = catalog.space_for(SpaceIdentity(STARTER.image_fingerprint, "starter", STARTER.dim))
        roots = [new_root(catalog, root) for root in ROOTS]
        labels = []
        with catalog.transaction():
            for n in range(count):
                width, height = SIZES[n % len(SIZES)]
                place = PLACES[n % len(PLACES)]
                described = Metadata(
                    width, height, FORMATS[n % len(FORMATS)], taken_at=DATES[n % len(DATES)],
                    latitude=place[0] if place else None, longitude=place[1] if place else None,
                    camera=camera or CAMERAS[n % len(CAMERAS)], lens=CAMERAS[(n + 3) % len(CAMERAS)],
                    colors=COLORS[n // 3 % len(COLORS)], rating=RATINGS[n // 2 % len(RATINGS)],
                    **WRITTEN[n // 4 % len(WRITTEN)],  # type: ignore[arg-type]
                )  # fmt: skip
                photo_id = catalog.put_photo(b"%032d" % (1000 * seed + n), described)
                if n % 17 != 3:  # others have no vector yet
                    catalog.put_vector(space, photo_id, vectors[n], "made")
                if n % 19 != 5:  # others are shown by no file any more
                    for copy in range(1 + (n % 4 == 0)):
                        name = b"%d %s" % (n, NAMES[(n + copy) % len(NAMES)])
                        folder = FOLDERS[(n * (1 + 6 * copy) + copy) % len(FOLDERS)]
                        size = BYTES[n // 2 % len(BYTES)]
                        catalog.put_file(roots[(n + copy) % len(roots)].id, stamp(name, folder, size=size), photo_id)
                labels += [(photo_id, label, 0.9) for label in LABELS[n // 5 % len(LABELS)]]
            catalog.put_failure(roots[0].id, stamp(b"broken.jpg"), "it is cut short", "decoder")
            catalog.mark_offline(roots[1].id)
    with Annotations.open_writer(catalog_path(paths)) as annotations:
        annotations.put_labels(labels)
        annotations.save_search("lake", "lake caption:lake")


def own_paths(base: Path) -> Paths:
    return Paths(base / "library", base / "cache", base / "models")


def share(paths: Paths, target: Path | str) -> SharedLibrary:
    with Library(paths) as library:
        return library.share(target).library


def reader_paths(library: SharedLibrary, cache: Path) -> Paths:
    """As somebody on another machine has them."""
    return resolved_paths(str(library), {**os.environ, "CLIPSEARCH_CACHE": str(cache), "CLIPSEARCH_MODELS": str(cache)})
