"""Sensitivity to preprocessing: photos prepared otherwise than the card says, and what becomes of their vectors.

One thing is changed at a time; texts are encoded as always. The model's own code and card stay as they are: another
preparation is handed to the decode workers (edits.py), or another mean and deviation to a tower of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clipsearch.decoding.decode import DRAFT_FACTOR
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.encoding import Engine
from clipsearch.engine.backends import usable_cores
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.towers import ImageTower
from clipsearch.errors import UsageError
from clipsearch.evaluation.edits import Edited, Together, as_it_lies, grey, recompressed, sampled, swapped
from clipsearch.evaluation.pixels import Progress
from clipsearch.types import Decoded, FailedFile, Failure, Prepare

Vectors = NDArray[np.float32]
Pixels = NDArray[np.uint8]
QUALITIES = (90, 75, 50, 30)  # of JPEG
_WHOLE = 1 << 16  # px: a side that no photo is decoded smaller for
# torchvision's models for ImageNet; openai/CLIP clip.py `_transform`.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_SAME = 0.005  # of a mean or deviation: the same normalisation under another name


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """What one change makes of the photos."""

    name: str
    vectors: Vectors  # (photos, dim), unit rows
    changed: NDArray[np.bool_]  # (photos,), whether the pixels, or what is made of them, are others


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The photos as the card says, and each change of that."""

    reference: Vectors  # (photos, dim), unit rows
    changes: tuple[Changed, ...]
    read: tuple[int, ...]  # which of the photos the rows are of, from 0
    failures: tuple[FailedFile, ...]


def prepared_otherwise(
    engine: Engine, photos: Sequence[bytes], progress: Progress = lambda done, total: None
) -> Prepared:
    """Vectors of the photos under every change. Each photo is read in every way, or named among the failures.

    `progress` gets (done, of all) over all passes. Raises UsageError where no photo can be read.
    """
    definition = engine.card.image
    passes, normalised = _passes(definition), normalisations(definition)
    total = len(photos) * (len(passes) + len(_IGNORED) + len(normalised))
    steps = iter(range(1, total + 1))
    made = _Made(engine.image_tower(), definition.size)
    for names, together in passes:
        for place, outcome in enumerate(_decoded(photos, together)):
            made.take(place, names, outcome)
            progress(next(steps), total)
    read = made.read
    is_read = set(read)
    failed = tuple(FailedFile(photos[place], reason, 1) for place, reason in sorted(made.failures.items()))
    if not read:
        raise UsageError("None of the photos can be read.", f"The first reason: {failed[0].reason}")
    for name, ignored in _IGNORED:
        for place, photo in enumerate(photos):
            if place in is_read:
                made.take_other(place, name, as_it_lies(photo, Preprocess(definition), ignored))
            progress(next(steps), total)
    pixels = np.stack([made.plain[place] for place in read])
    reference, changes = made.reference(pixels), []
    for name, other in normalised:
        tower = ImageTower(replace(engine.card, image=other), engine.candidate("ingest"))
        changes.append(Changed(name, tower.encode_pixels(pixels), np.ones(len(read), np.bool_)))
        for _ in photos:
            progress(next(steps), total)
    return Prepared(reference, (*made.changes(reference), *changes), read, failed)


def _passes(definition: ImageInput) -> list[tuple[tuple[str, ...], Together]]:
    """Names of what is made of a photo, and how; one pass for each size that photos are decoded to.

    Each pass makes other pixels; the first makes those of the card too, under no name.
    """
    side, card = definition.size, Preprocess(definition)
    usual: dict[str, Prepare] = {"": card}
    if definition.resize == "shortest":
        usual["squashed, not cropped"] = Preprocess(replace(definition, resize="squash"))
    else:
        usual["cropped, not squashed"] = Preprocess(replace(definition, resize="shortest"))
    other: Literal["bilinear", "bicubic"] = "bilinear" if definition.interpolation == "bicubic" else "bicubic"
    usual[other] = Preprocess(replace(definition, interpolation=other))
    usual["blue and red swapped"] = Edited(definition, swapped)
    usual["grey"] = Edited(definition, grey)
    if definition.soften:
        usual["not softened"] = Preprocess(replace(definition, soften=0.0))
    # Without antialiasing, and as a file, it matters how large the photo is: these get all of it.
    whole: dict[str, Prepare] = {
        "nearest pixel": Edited(definition, partial(sampled, definition=definition, by="nearest")),
        "bilinear, no antialias": Edited(definition, partial(sampled, definition=definition, by="bilinear")),
        "bicubic, no antialias": Edited(definition, partial(sampled, definition=definition, by="bicubic")),
        **{f"JPEG quality {one}": Edited(definition, partial(recompressed, quality=one)) for one in QUALITIES},
        "decoded whole": card,
    }
    tight: dict[str, Prepare] = {"decoded at the model's own size": card}
    sizes = ((usual, side), (whole, _WHOLE), (tight, -(-side // DRAFT_FACTOR)))
    return [(tuple(made), Together(tuple(made.values()), size)) for made, size in sizes]


_IGNORED: tuple[tuple[str, Literal["turn", "profile"]], ...] = (
    ("EXIF turn ignored", "turn"),
    ("colour profile ignored", "profile"),
)


def normalisations(definition: ImageInput) -> list[tuple[str, ImageInput]]:
    """Other means and deviations than the card's."""
    known = {
        "ImageNet's mean and deviation": _IMAGENET,
        "CLIP's mean and deviation": _CLIP,
        "mean and deviation 0.5": ((0.5,) * 3, (0.5,) * 3),
        "not normalised (0..1)": ((0.0,) * 3, (1.0,) * 3),
        # What a card's mean and deviation give where the division by 255 is forgotten.
        "0..255 in place of 0..1": (_divided(definition.mean), _divided(definition.std)),
    }
    own = np.array([definition.mean, definition.std])
    return [
        (name, replace(definition, mean=mean, std=std))
        for name, (mean, std) in known.items()
        if np.abs(own - np.array([mean, std])).max() > _SAME
    ]


def _divided(triple: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = triple
    return red / 255, green / 255, blue / 255


def _decoded(photos: Sequence[bytes], together: Together) -> Iterator[Decoded | Failure]:
    with DecodeWorkers(together, max(1, min(len(photos), usable_cores()))) as workers:
        yield from workers.decode_all(photos)


class _Made:
    """What has been made of the photos so far: their own pixels, and vectors of other ones."""

    def __init__(self, tower: ImageTower, side: int) -> None:
        self._tower = tower
        self._shape = (-1, side, side, 3)
        self.plain: dict[int, Pixels] = {}
        self.failures: dict[int, str] = {}
        self._others: dict[str, dict[int, Vectors]] = {}

    @property
    def read(self) -> tuple[int, ...]:
        return tuple(place for place in sorted(self.plain) if place not in self.failures)

    def take(self, place: int, names: Sequence[str], outcome: Decoded | Failure) -> None:
        """All that one pass made of one photo; what differs from its own pixels is encoded now, and not kept."""
        if isinstance(outcome, Failure):
            self.failures[place] = outcome.reason
            return
        pixels = np.frombuffer(outcome.pixels, np.uint8).reshape(self._shape)
        for name, picture in zip(names, pixels, strict=True):
            if not name:
                self.plain[place] = picture.copy()
            self._others.setdefault(name, {})
        if place in self.plain:
            self._encode(place, names, pixels)

    def take_other(self, place: int, name: str, pixels: bytes | None) -> None:
        """One more; None where there is none."""
        self._others.setdefault(name, {})
        if pixels is not None:
            self._encode(place, [name], np.frombuffer(pixels, np.uint8).reshape(self._shape))

    def _encode(self, place: int, names: Sequence[str], pixels: Pixels) -> None:
        differ = [one for one, picture in enumerate(pixels) if not np.array_equal(picture, self.plain[place])]
        for one, vector in zip(differ, self._tower.encode_pixels(pixels[differ]), strict=True):
            self._others[names[one]][place] = vector

    def reference(self, pixels: Pixels) -> Vectors:
        return self._tower.encode_pixels(pixels)

    def changes(self, reference: Vectors) -> Iterator[Changed]:
        read = self.read
        for name, rows in self._others.items():
            if name:
                vectors = np.stack([rows.get(place, own) for place, own in zip(read, reference, strict=True)])
                yield Changed(name, vectors, np.array([place in rows for place in read]))
