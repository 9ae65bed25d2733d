"""One model over class folders: how many photos it recognises, and how long that takes.

clip.cpp's benchmark scored 8 % with a model that is worth 66.6 %: another tokenizer, another normalisation, the photos
of a last batch left out. Here photos and words go the way of every search, and each photo is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.choosing.measure import peak_mb
from clipsearch.engine.towers import ImageTower
from clipsearch.errors import UsageError
from clipsearch.evaluation.class_folders import ClassFolders
from clipsearch.evaluation.metrics import accuracy, class_accuracies, confusion
from clipsearch.labels.sets import label_set
from clipsearch.types import FailedFile, Failure

BATCHES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = 0.5  # for one batch size, and one round at least
_TEXTS = 20  # that are timed, each alone


@dataclass(frozen=True, slots=True)
class BatchRate:
    batch: int
    images_per_s: float  # of the image tower alone, the fastest round


@dataclass(frozen=True, slots=True, eq=False)
class ZeroShotResult:
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
    text_ms: float  # one text, past every cache
    rates: tuple[BatchRate, ...]
    peak_mb: float | None

    @property
    def class_accuracies(self) -> NDArray[np.float64]:
        return class_accuracies(self.confusion)


def zero_shot(
    engine: Engine,
    folders: ClassFolders,
    templates: Sequence[str] = (),
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ZeroShotResult:
    """Raises UsageError where none of the photos can be read, and for templates that cannot work."""
    names = list(dict.fromkeys(folders.names))  # two of ImageNet's stand for two classes each
    labels = label_set(names, templates)
    photos = folders.photos
    vectors, truth, failures = [], [], []
    started = time.perf_counter()
    for done, ((number, file), outcome) in enumerate(
        zip(photos, engine.each_image([file for _, file in photos]), strict=True), 1
    ):
        if isinstance(outcome, Failure):
            failures.append(FailedFile(bytes(file), outcome.reason, 1))
        else:
            vectors.append(outcome)
            truth.append(number)
        progress(done, len(photos))
    seconds = time.perf_counter() - started
    if not vectors:
        raise UsageError("None of the photos can be read.", f"The first reason: {failures[0].reason}")
    of_names = engine.label_vectors(labels, fresh=True)  # by the way that is measured here
    scores = np.stack(vectors) @ of_names[[names.index(name) for name in folders.names]].T
    classes = np.array(truth)
    tower = ImageTower(engine.card, engine.candidate("ingest"))
    return ZeroShotResult(
        model=engine.card.name,
        variant=tower.variant,
        classes=folders.names,
        templates=len(labels.labels[0].templates),
        acc1=accuracy(scores, classes),
        acc5=accuracy(scores, classes, 5),
        confusion=confusion(scores, classes),
        photos=len(vectors),
        failures=tuple(failures),
        seconds=seconds,
        text_ms=_text_ms(engine, folders.names),
        rates=tuple(_rates(engine)),
        peak_mb=peak_mb(),
    )


def _text_ms(engine: Engine, names: Sequence[str]) -> float:
    texts = [f"a photo of a {name}." for name in names[:_TEXTS]]
    engine.freshly_encoded(texts[:1])  # opens the tower
    times = []
    for text in texts:
        started = time.perf_counter()
        engine.freshly_encoded([text])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000


def _rates(engine: Engine) -> list[BatchRate]:
    """The image tower alone, at each batch that it takes."""
    chosen = engine.candidate("ingest")
    side = engine.card.image.size
    noise = np.random.default_rng(0).integers(0, 256, (BATCHES[-1], side, side, 3), np.uint8)
    rates = []
    for batch in BATCHES:
        tower = ImageTower(engine.card, Candidate(chosen.way, chosen.variant, batch))
        if tower.batch_size != batch:  # the graph has one size
            continue
        tower.encode_pixels(noise[:batch])
        best, began = float("inf"), time.perf_counter()
        while time.perf_counter() - began < _SECONDS:
            started = time.perf_counter()
            tower.encode_pixels(noise[:batch])
            best = min(best, time.perf_counter() - started)
        rates.append(BatchRate(batch, batch / best))
    return rates
