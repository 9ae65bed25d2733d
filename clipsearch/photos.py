"""Unit vectors of photos by their paths: the stored one where the library has it unchanged, a fresh one elsewhere.

Joins the catalog's vectors, the decode workers and the image tower for queries by picture and for labels.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.cards import ModelCard
from clipsearch.errors import SystemFault
from clipsearch.index.catalog import Catalog, Root
from clipsearch.search import mixture
from clipsearch.types import Decoded, Failure

Vector = NDArray[np.float32]


def existing(path: Path) -> bytes:
    """The absolute path of what is there. Raises SystemFault when nothing is."""
    if not path.exists():
        raise SystemFault(f"There is no {path}.", "Check the spelling, or plug in the disk it lies on.")
    return os.path.abspath(os.fsencode(path))


def photos_below(targets: Sequence[Path]) -> list[bytes]:
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
            raise SystemFault(f"{target} cannot be listed ({listing.reason}).", "Check its permissions.")
        found += [os.path.join(path, stamp.folder, stamp.name) for stamp in listing.stamps]
    if not found:
        raise SystemFault(f"There are no photos in {targets[0]}.", "Name a folder with photos, or a photo.")
    return found


def photo_vectors(
    catalog: Catalog | None, card: ModelCard, paths: Sequence[bytes], backend: str
) -> Iterator[tuple[bytes, Vector | Failure]]:
    """(path, unit vector or the reason why not), in the order of the absolute `paths`.

    No model is loaded when all of them are stored.
    """
    stored = {path: vector for path in paths if (vector := _stored(catalog, card, path)) is not None}
    fresh = _encoded(card, [path for path in paths if path not in stored], backend)
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


def _encoded(card: ModelCard, paths: Sequence[bytes], backend: str) -> Iterator[Vector | Failure]:
    if not paths:
        return
    from clipsearch.engine.backends import usable_cores
    from clipsearch.engine.towers import ImageTower
    from clipsearch.index.workers import DecodeWorkers

    tower, side = ImageTower(card, backend), card.image.size
    with DecodeWorkers(tower.prepare, min(len(paths), usable_cores())) as decoder:
        outcomes = decoder.decode_all(paths)
        while batch := list(itertools.islice(outcomes, tower.batch_size)):
            decoded = [outcome for outcome in batch if isinstance(outcome, Decoded)]
            pixels = np.frombuffer(b"".join(one.pixels for one in decoded), np.uint8)
            vectors = iter(tower.encode_pixels(pixels.reshape(-1, side, side, 3)) if decoded else ())
            for outcome in batch:
                yield outcome if isinstance(outcome, Failure) else next(vectors)
