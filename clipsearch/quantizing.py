"""A model in fewer bits, measured on a person's own photos: which photos and texts, their pixels, and what is done.

Joins the library's photos, the decode workers and the engine. What becomes of the pixels is the engine's.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from clipsearch.background import background_texts
from clipsearch.config import Paths
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.engine.backends import usable_cores
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.quantize.making import Added, Doing, Precision, check_extra, quantized
from clipsearch.engine.quantize.material import Material, Pixels
from clipsearch.errors import UsageError
from clipsearch.index.catalog import Catalog
from clipsearch.opened import catalog_path
from clipsearch.photos import photos_below
from clipsearch.types import Decoded

CALIBRATING = 300  # photos at most; twice as many move no range
HELD_OUT = 200  # photos at most that are compared and never calibrate
LEAST_PHOTOS = 20


def quantize(
    card: ModelCard,
    paths: Paths,
    precision: Precision,
    *,
    calibrate: Sequence[str | bytes | Path] = (),
    captions: Path | None = None,
    least_cosine: float,
    least_top10: float,
) -> Iterator[Doing | Added]:
    """Adds the variants of that precision to the model; yields what it does and what it has added.

    Photos are those below `calibrate`, or the library's; `captions` names photos and what they show, a tab between,
    and these are then what is compared. Raises ModelError without the extra, UsageError where there are too few
    photos, and what the engine's `quantized` raises.
    """
    check_extra()
    captioned = _captions(captions) if captions else []
    held_paths = list(dict.fromkeys(path for path, _ in captioned))
    others = [path for path in _photos(paths, calibrate) if path not in set(held_paths)]
    random.Random(0).shuffle(others)
    if not captioned:
        count = min(HELD_OUT, len(others) * 2 // 5)
        held_paths, others = others[:count], others[count:]
    others = others[:CALIBRATING]
    if min(len(held_paths), len(others)) < LEAST_PHOTOS * 2 // 5:
        raise UsageError(
            f"{len(others) + len(held_paths)} photos are too few to calibrate and to compare.",
            f"Name a folder with at least {LEAST_PHOTOS}: --calibrate DIR",
        )
    yield Doing(f"decoding {len(others)} photos that calibrate and {len(held_paths)} that are compared")
    held_pixels, read = _decoded(card, held_paths)
    pixels, _ = _decoded(card, others)
    compared = {picture.tobytes() for picture in held_pixels}
    pixels = pixels[[picture.tobytes() not in compared for picture in pixels]]  # a copy is the same photo
    texts = background_texts()
    place = {path: number for number, path in enumerate(read)}
    spoken = [(text, place[path]) for path, text in captioned if path in place]
    material = Material(
        pixels=pixels,
        texts=texts[::2],
        held_pixels=held_pixels,
        held_texts=tuple(text for text, _ in spoken) or texts[1::2],
        labels=texts[1::2],
        owners=tuple(number for _, number in spoken) or None,
    )
    yield from quantized(card, paths.models, precision, material, least_cosine, least_top10)


def _photos(paths: Paths, folders: Sequence[str | bytes | Path]) -> list[bytes]:
    if folders:
        return photos_below(folders)
    if not catalog_path(paths).exists():
        raise UsageError("The library has no photos to calibrate with.", "Name a folder with photos: --calibrate DIR")
    with Catalog.open_reader(catalog_path(paths)) as catalog:
        ids = catalog.photos_matching((), date.today(), in_order=False)
        wanted = random.Random(0).sample(ids.tolist(), min(len(ids), 2 * (CALIBRATING + HELD_OUT)))
        rows = catalog.photo_rows(wanted).values()
    return [row.paths[0] for row in rows if not row.offline]


def _captions(file: Path) -> list[tuple[bytes, str]]:
    """(photo, caption) of each line; a first line that names no photo is a heading."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", "Write a photo, a tab and a caption a line.") from error
    rows = [line.partition("\t") for line in lines if line]
    found = [(os.fsencode(file.parent.absolute() / name), text) for name, _, text in rows if text]
    if found and not os.path.exists(found[0][0]):
        found = found[1:]
    if not found:
        raise UsageError(f"{file} names no photos.", "Write a photo, a tab and a caption a line.")
    if missing := [path for path, _ in found if not os.path.exists(path)]:
        raise UsageError(
            f"There is no {os.fsdecode(missing[0])}.", f"{file} names it; names are relative to that file."
        )
    return found


def _decoded(card: ModelCard, photos: Sequence[bytes]) -> tuple[Pixels, list[bytes]]:
    """Pixels of those that can be read, and which these are."""
    side = card.image.size
    prepare = Preprocess(card.image)
    parts, read = [], []
    with DecodeWorkers(prepare, max(1, min(len(photos), usable_cores()))) as workers:
        for path, outcome in zip(photos, workers.decode_all(photos), strict=True):
            if isinstance(outcome, Decoded):
                parts.append(np.frombuffer(outcome.pixels, np.uint8).reshape(side, side, 3))
                read.append(path)
    return np.stack(parts), read
