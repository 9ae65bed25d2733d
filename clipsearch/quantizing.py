"""A model in fewer bits, measured on a person's own photos: which photos and texts, their pixels, and what is done.

Joins the library's photos, the decode workers and the engine. What becomes of the pixels is the engine's.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from clipsearch.background import background_texts
from clipsearch.config import Paths
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.quantize.making import Added, Doing, Precision, check_extra, quantized
from clipsearch.engine.quantize.material import Material
from clipsearch.errors import UsageError
from clipsearch.evaluation.captions import captioned_photos
from clipsearch.evaluation.pixels import decoded_pixels
from clipsearch.index.catalog import Catalog
from clipsearch.opened import catalog_path
from clipsearch.photos import existing, listed

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
    _check_enough(len(others), len(held_paths))
    yield Doing(f"decoding {len(others)} photos that calibrate and {len(held_paths)} that are compared")
    held = decoded_pixels(card.image, held_paths)
    held_pixels, pixels = held.pixels, decoded_pixels(card.image, others).pixels
    compared = {picture.tobytes() for picture in held_pixels}
    pixels = pixels[[picture.tobytes() not in compared for picture in pixels]]  # a copy is the same photo
    _check_enough(len(pixels), len(held_pixels))
    texts = background_texts()
    place = {path: number for number, path in enumerate(held.read)}
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


def drawn_photos(paths: Paths, most: int) -> list[bytes]:
    """At most that many photos of the library, drawn by chance, the same ones each time; those that are offline are
    left out. None where there is no library."""
    if not catalog_path(paths).exists():
        return []
    with Catalog.open_reader(catalog_path(paths)) as catalog:
        ids = catalog.photos_matching((), date.today(), in_order=False)
        wanted = random.Random(0).sample(ids.tolist(), min(len(ids), most))
        rows = catalog.photo_rows(wanted).values()
    return [row.paths[0] for row in rows if not row.offline]


def _photos(paths: Paths, folders: Sequence[str | bytes | Path]) -> list[bytes]:
    if folders:
        return [photo for folder in folders for photo in listed(existing(folder))]
    if not catalog_path(paths).exists():
        raise UsageError("The library has no photos to calibrate with.", "Name a folder with photos: --calibrate DIR")
    return drawn_photos(paths, 2 * (CALIBRATING + HELD_OUT))


def _captions(file: Path) -> list[tuple[bytes, str]]:
    """(photo, caption) of each caption. Raises UsageError for a file that holds none."""
    found = captioned_photos(file)
    return [
        (os.fsencode(found.photos[photo].absolute()), caption)
        for photo, caption in zip(found.photo_of, found.captions, strict=True)
    ]


def _check_enough(calibrating: int, compared: int) -> None:
    if min(calibrating, compared) < LEAST_PHOTOS * 2 // 5:
        raise UsageError(
            f"{calibrating + compared} photos are too few to calibrate and to compare.",
            f"Name a folder with at least {LEAST_PHOTOS} that differ and can be read: --calibrate DIR",
        )
