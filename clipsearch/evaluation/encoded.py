"""Photos with classes or captions as unit vectors of one model: what every figure starts from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.errors import UsageError
from clipsearch.evaluation.captions import CaptionedPhotos
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.objects import ObjectsOfPhotos, in_photos
from clipsearch.labels.sets import label_set
from clipsearch.types import FailedFile, Failure, Picture

Vectors = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPhotos:
    vectors: Vectors  # (read, dim), unit rows, of the photos that could be read
    truth: NDArray[np.int64]  # (read,), the class of each
    read: NDArray[np.int64]  # (read,), which of the pictures each is of
    failures: tuple[FailedFile, ...]
    seconds: float  # for all photos, decoding included


@dataclass(frozen=True, slots=True, eq=False)
class EncodedCaptions:
    photos: Vectors  # (read, dim), unit rows, of the photos that could be read
    captions: Vectors  # (asked, dim), unit rows, of the captions of these
    photo_of: NDArray[np.int64]  # (asked,), the row of each caption's photo
    failures: tuple[FailedFile, ...]
    left_out: int  # captions of photos that could not be read


@dataclass(frozen=True, slots=True, eq=False)
class EncodedObjects:
    vectors: Vectors  # (read, dim), unit rows, of the photos that could be read
    asked: ObjectsOfPhotos  # of these photos, and with the words that are in enough of them
    failures: tuple[FailedFile, ...]
    left_out: tuple[str, ...]  # the other words


def encoded_photos(
    engine: Engine, photos: LabelledPhotos, progress: Progress = lambda done, total: None
) -> EncodedPhotos:
    """Each photo is read or named among the failures. Raises UsageError where none of them can be read."""
    started = time.perf_counter()
    vectors, read, failures = _encoded(engine, photos.pictures, photos.name, progress)
    return EncodedPhotos(vectors, photos.truth[read], read, failures, time.perf_counter() - started)


def encoded_captions(
    engine: Engine, asked: CaptionedPhotos, progress: Progress = lambda done, total: None
) -> EncodedCaptions:
    """The photos that can be read and their captions, past the text cache: it holds vectors of whichever way came
    first, and a person's own queries. Raises UsageError where none of the photos can be read."""
    vectors, read, failures = _encoded(engine, asked.photos, "", progress)
    row_of = np.full(len(asked.photos), -1)
    row_of[read] = np.arange(len(read))
    rows = row_of[asked.photo_of]
    captions = [caption for caption, row in zip(asked.captions, rows, strict=True) if row >= 0]
    return EncodedCaptions(
        vectors, engine.freshly_encoded(captions), rows[rows >= 0], failures, len(asked.captions) - len(captions)
    )


def encoded_objects(
    engine: Engine, asked: ObjectsOfPhotos, least: int = 1, progress: Progress = lambda done, total: None
) -> EncodedObjects:
    """The photos that can be read, with the words that are in `least` of them or more.

    Raises UsageError where none of the photos can be read, or no word is in so many.
    """
    vectors, read, failures = _encoded(engine, asked.photos, "", progress)
    there = replace(asked, photos=tuple(asked.photos[place] for place in read), present=asked.present[read])
    kept = in_photos(there, least)
    words = frozenset(kept.words)
    return EncodedObjects(vectors, kept, failures, tuple(word for word in asked.words if word not in words))


def _encoded(
    engine: Engine, pictures: Sequence[Picture], of: str, progress: Progress
) -> tuple[Vectors, NDArray[np.int64], tuple[FailedFile, ...]]:
    """Vectors of those that can be read, which they are, and why the others cannot."""
    vectors, read, failures = [], [], []
    for place, outcome in enumerate(engine.each_image(pictures)):
        if isinstance(outcome, Failure):
            failures.append(FailedFile(picture_name(pictures[place], of, place), outcome.reason, 1))
        else:
            vectors.append(outcome)
            read.append(place)
        progress(place + 1, len(pictures))
    if not vectors:
        raise UsageError("None of the photos can be read.", f"The first reason: {failures[0].reason}")
    return np.stack(vectors), np.array(read), tuple(failures)


def classifier(engine: Engine, classes: Sequence[str], templates: Sequence[str] = ()) -> Vectors:
    """Zero-shot weights (classes, dim), unit rows, past the text cache: by the way that is measured.

    Raises UsageError for templates that cannot work.
    """
    names = list(dict.fromkeys(classes))  # two of ImageNet's stand for two classes each
    vectors = engine.label_vectors(label_set(names, templates), fresh=True)
    return np.asarray(vectors[[names.index(name) for name in classes]])


def picture_name(picture: Picture, of: str, place: int) -> bytes:
    """What a person knows it by: its path, or its number in the set that it is of."""
    if isinstance(picture, (str, bytes, os.PathLike)):
        return os.fsencode(picture)
    return f"{of}, picture {place}".encode()
