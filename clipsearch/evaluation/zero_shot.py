"""One model over labelled photos: how many it recognises, and how long that takes.

clip.cpp's benchmark scored 8 % with a model that is worth 66.6 %: another tokenizer, another normalisation, the photos
of a last batch left out. Here photos and words go the way of every search, and each photo is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.engine.choosing.measure import peak_mb
from clipsearch.evaluation.encoded import EncodedPhotos, Progress, classifier, encoded_photos
from clipsearch.evaluation.intervals import Interval, class_mean_interval, mean_interval
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.metrics import class_accuracies, confusion, ranks
from clipsearch.evaluation.speed import BatchRate, batch_rates, plain_texts, text_ms
from clipsearch.labels.sets import checked_templates
from clipsearch.types import FailedFile

_TEXTS = 20  # that are timed, each alone


@dataclass(frozen=True, slots=True, eq=False)
class Recognised:
    """What a model makes of labelled photos."""

    model: str
    variant: str  # precision and runtime that encoded the photos
    classes: tuple[str, ...]
    templates: tuple[str, ...]  # sentences, each with {}
    acc1: Interval  # 0..1, of the photos that could be read
    acc5: Interval
    class_recall: Interval  # the mean of what is recognised of each class, as CLIP-benchmark has it
    confusion: NDArray[np.int64]  # (classes, classes)
    photos: int  # read
    failures: tuple[FailedFile, ...]
    seconds: float  # for all photos, decoding included

    @property
    def class_accuracies(self) -> NDArray[np.float64]:
        return class_accuracies(self.confusion)


@dataclass(frozen=True, slots=True)
class Pace:
    text_ms: float  # one text, past every cache
    rates: tuple[BatchRate, ...]
    peak_mb: float | None


def recognised(
    engine: Engine,
    photos: LabelledPhotos,
    templates: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> Recognised:
    """Asked with `templates`, or those published for the set; a plain one where there are none.

    Raises UsageError where none of the photos can be read, and for templates that cannot work.
    """
    sentences = checked_templates(templates or photos.templates)
    return recognised_of(engine, photos, encoded_photos(engine, photos, progress), sentences)


def recognised_of(
    engine: Engine, photos: LabelledPhotos, encoded: EncodedPhotos, templates: Sequence[str] = ()
) -> Recognised:
    """The same of photos that are encoded."""
    sentences = checked_templates(templates or photos.templates)
    scores = encoded.vectors @ classifier(engine, photos.classes, sentences).T
    before = ranks(scores, encoded.truth)
    return Recognised(
        model=engine.card.name,
        variant=engine.image_tower().variant,
        classes=photos.classes,
        templates=sentences,
        acc1=mean_interval(before < 1, encoded.truth),
        acc5=mean_interval(before < 5, encoded.truth),
        class_recall=class_mean_interval(before < 1, encoded.truth),
        confusion=confusion(scores, encoded.truth),
        photos=len(encoded.vectors),
        failures=encoded.failures,
        seconds=encoded.seconds,
    )


def pace(engine: Engine, photos: LabelledPhotos) -> Pace:
    return Pace(text_ms(engine.freshly_encoded, plain_texts(photos.classes, _TEXTS)), batch_rates(engine), peak_mb())
