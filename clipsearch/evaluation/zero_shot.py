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
from clipsearch.evaluation.encoded import Progress, classifier, encoded_photos
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.metrics import (
    Interval,
    accuracy,
    class_accuracies,
    confusion,
    mean_class_recall,
    mean_class_recall_interval,
    share_interval,
)
from clipsearch.evaluation.speed import BatchRate, batch_rates, text_ms
from clipsearch.labels.sets import checked_templates
from clipsearch.types import FailedFile


@dataclass(frozen=True, slots=True, eq=False)
class Recognised:
    """What a model makes of labelled photos."""

    model: str
    variant: str  # precision and runtime that encoded the photos
    classes: tuple[str, ...]
    templates: int
    acc1: float  # 0..1, of the photos that could be read
    acc5: float
    confusion: NDArray[np.int64]  # (classes, classes)
    photos: int  # read
    failures: tuple[FailedFile, ...]
    seconds: float  # for all photos, decoding included

    @property
    def class_accuracies(self) -> NDArray[np.float64]:
        return class_accuracies(self.confusion)

    @property
    def mean_class_recall(self) -> float:
        return mean_class_recall(self.confusion)

    @property
    def intervals(self) -> tuple[Interval, Interval, Interval]:
        """Of acc@1, acc@5 and the mean of the classes: 95 %, the photos drawn anew."""
        return (
            share_interval(self.acc1, self.photos),
            share_interval(self.acc5, self.photos),
            mean_class_recall_interval(self.confusion),
        )


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
    encoded = encoded_photos(engine, photos, progress)
    scores = encoded.vectors @ classifier(engine, photos.classes, sentences).T
    return Recognised(
        model=engine.card.name,
        variant=engine.image_tower().variant,
        classes=photos.classes,
        templates=len(sentences),
        acc1=accuracy(scores, encoded.truth),
        acc5=accuracy(scores, encoded.truth, 5),
        confusion=confusion(scores, encoded.truth),
        photos=len(encoded.vectors),
        failures=encoded.failures,
        seconds=encoded.seconds,
    )


def pace(engine: Engine, photos: LabelledPhotos) -> Pace:
    return Pace(text_ms(engine, photos.classes), batch_rates(engine), peak_mb())
