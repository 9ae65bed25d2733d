"""Unit vectors of photos by their paths: the stored one where the library has it unchanged, a fresh one elsewhere.

Joins the catalog's vectors and the engine for queries by picture and for labels.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.engine.cards import ModelCard
from clipsearch.errors import SystemFault
from clipsearch.index.catalog import Catalog, Root
from clipsearch.search import mixture
from clipsearch.types import AnyPath, Failure

Vector = NDArray[np.float32]


def existing(path: AnyPath) -> bytes:
    """The absolute path of what is there. Raises SystemFault when nothing is."""
    if not os.path.exists(path):
        raise SystemFault(f"There is no {os.fsdecode(path)}.", "Check the spelling, or plug in the disk it lies on.")
    return os.path.abspath(os.fsencode(path))


def photos_below(targets: Sequence[AnyPath]) -> list[bytes]:
    """Every photo that is named, and every one in the folders that are. Raises SystemFault when there is none."""
    from clipsearch.index.crawl import Listing, walk

    found: list[bytes] = []
    for target in targets:
        path = existing(target)
        if not os.path.isdir(path):
            found.append(path)
            continue
        listing = walk(Root(id=0, path=path, is_file=False, exclude=(), device=None))
        if not isinstance(listing, Listing):
            raise SystemFault(f"{os.fsdecode(target)} cannot be listed ({listing.reason}).", "Check its permissions.")
        found += [os.path.join(path, stamp.folder, stamp.name) for stamp in listing.stamps]
    if not found:
        raise SystemFault(
            f"There are no photos in {os.fsdecode(targets[0])}.", "Name a folder with photos, or a photo."
        )
    return found


def photo_vectors(
    catalog: Catalog | None, engine: Engine, paths: Sequence[bytes]
) -> Iterator[tuple[bytes, Vector | Failure]]:
    """(path, unit vector or the reason why not), in the order of the absolute `paths`.

    No model is loaded when all of them are stored.
    """
    stored = {path: vector for path in paths if (vector := _stored(catalog, engine.card, path)) is not None}
    fresh = engine.each_image([path for path in paths if path not in stored])
    for path in paths:
        yield path, stored[path] if path in stored else next(fresh)


def _stored(catalog: Catalog | None, card: ModelCard, path: bytes) -> Vector | None:
    space = catalog.active_space() if catalog else None
    if catalog is None or space is None or space.identity.fingerprint != card.image_fingerprint:
        return None
    known = catalog.photo_at(path)
    if known is None:
        return None
    photo_id, stamp = known
    try:
        status = os.stat(path)
    except OSError:  # it vanished since it was listed; decoding will say so
        return None
    if (status.st_size, status.st_mtime_ns) != (stamp.size, stamp.mtime_ns):
        return None
    for _, vectors in catalog.vectors_of(space, [photo_id]):
        return mixture([vectors[0].astype(np.float32)], [1.0])  # unit again after f16
    return None
