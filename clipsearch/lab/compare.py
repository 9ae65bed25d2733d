"""Models beside one another on the same photos: what each recognises, how fast, and where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.choosing.candidates import variant_of
from clipsearch.engine.towers import ImageTower
from clipsearch.errors import UsageError
from clipsearch.evaluation.encoded import EncodedPhotos, Progress, classifier, encoded_photos
from clipsearch.evaluation.intervals import mean_interval
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.metrics import exact_sign_test, ranks
from clipsearch.evaluation.published import published_beside
from clipsearch.evaluation.speed import median_seconds, plain_texts, text_ms
from clipsearch.evaluation.templates import told_templates
from clipsearch.lab.findings import Column, Finding, Grid, Points, Series, Table
from clipsearch.labels.sets import checked_templates
from clipsearch.types import FailedFile

ROUNDS = 3  # in each, every model is timed once
SECONDS = 1.0  # of batches, of a round
_TEXTS = 10  # that are timed in a round, each alone


@dataclass(frozen=True, slots=True)
class ModelWorth:
    model: str
    way: str  # that encoded the photos
    acc1: float  # 0..1
    low: float  # of the 95 % interval of acc1, photos drawn anew
    high: float
    acc5: float
    images_per_s: float  # image tower alone, median of the rounds
    batch: int
    text_ms: float  # one text past every cache, median of the rounds
    megabytes: float  # of the files of the variant
    dim: int
    published_acc1: float | None  # of this model on this set, 0..1; None where nobody published one


@dataclass(frozen=True, slots=True)
class Pair:
    one: str
    other: str
    alike: float  # share of the photos that both call the same
    only_one: int  # photos that only this one gets right
    only_other: int
    chance: float  # of such a difference between equally good models, 0..1 (McNemar's exact test)


@dataclass(frozen=True, slots=True)
class Comparison:
    set: str
    photos: int  # that could be read
    classes: int
    templates: tuple[str, ...]  # sentences, each with {}
    models: tuple[ModelWorth, ...]
    pairs: tuple[Pair, ...]
    differences: tuple[str, ...]  # why no figure over this set is quite like a published one; clauses
    failures: tuple[FailedFile, ...]  # photos that one of the models could not read


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    called: NDArray[np.int64]  # the class of each photo, as this model sees it; -1 where it could not be read
    ranks: NDArray[np.int64]  # how many classes stand before the true one; -1 likewise


@dataclass(frozen=True, slots=True)
class _Speed:
    way: str
    batch: int
    images_per_s: float
    text_ms: float


def compared_models(
    engines: Sequence[Engine],
    photos: LabelledPhotos,
    templates: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> Comparison:
    """At its end the towers of all models are open at once, so that they can be timed in turns.

    Raises UsageError where none of the photos can be read, and for templates that cannot work.
    """
    sentences = checked_templates(templates or photos.templates)  # before the work
    judged, failed = [], []
    for number, engine in enumerate(engines):
        encoded = encoded_photos(engine, photos, _share(progress, number, len(engines)))
        judged.append(_judged(engine, photos, encoded, sentences))
        failed.append(encoded.failures)
        engine.close()
    read = np.logical_and.reduce([one.ranks >= 0 for one in judged])  # by all of them
    if not read.any():
        raise UsageError("No photo can be read by all models.", "Name other photos.")
    judged = [_Judged(one.called[read], one.ranks[read]) for one in judged]
    names = _names(engines)
    speeds = _speeds(engines, photos.classes)
    return Comparison(
        set=photos.name,
        photos=int(read.sum()),
        classes=len(photos.classes),
        templates=sentences,
        models=tuple(
            _worth(*each, photos.truth[read], photos.published)
            for each in zip(names, engines, judged, speeds, strict=True)
        ),
        pairs=tuple(_pair(names[one], names[two], judged[one], judged[two]) for one, two in _twos(len(names))),
        differences=photos.differences,
        failures=tuple({one.path: one for engine in failed for one in engine}.values()),
    )


def _share(progress: Progress, number: int, parts: int) -> Progress:
    """Progress of one part of several that are equally long."""
    return lambda done, total: progress(number * total + done, parts * total)


def _twos(count: int) -> list[tuple[int, int]]:
    return list(combinations(range(count), 2))


def _judged(engine: Engine, photos: LabelledPhotos, encoded: EncodedPhotos, templates: Sequence[str]) -> _Judged:
    scores = encoded.vectors @ classifier(engine, photos.classes, templates).T
    called, places = (np.full(len(photos.pictures), -1) for _ in range(2))
    called[encoded.read], places[encoded.read] = scores.argmax(axis=1), ranks(scores, encoded.truth)
    return _Judged(called, places)


def _names(engines: Sequence[Engine]) -> list[str]:
    """Two models of one name are told apart by their number."""
    names = [engine.card.name for engine in engines]
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _worth(
    name: str, engine: Engine, judged: _Judged, speed: _Speed, truth: NDArray[np.int64], published: str | None
) -> ModelWorth:
    hits = judged.ranks == 0
    share = mean_interval(hits, truth)
    variant = variant_of(engine.card, engine.candidate("ingest").variant)
    files = {file for tower in (variant.image, variant.text) for file, _ in tower.files}
    return ModelWorth(
        model=name,
        way=speed.way,
        acc1=share.value,
        low=share.low,
        high=share.high,
        acc5=float((judged.ranks < 5).mean()),
        images_per_s=speed.images_per_s,
        batch=speed.batch,
        text_ms=speed.text_ms,
        megabytes=sum((engine.card.folder / file).stat().st_size for file in files) / 1e6,
        dim=engine.dim,
        published_acc1=_published(engine.card, published),
    )


def _published(card: ModelCard, of: str | None) -> float | None:
    model = published_beside(card, of).model
    return model.figures[of][0] / 100 if model and of else None


def _pair(one: str, other: str, left: _Judged, right: _Judged) -> Pair:
    only_left = int(((left.ranks == 0) & (right.ranks > 0)).sum())
    only_right = int(((right.ranks == 0) & (left.ranks > 0)).sum())
    alike = float((left.called == right.called).mean())
    return Pair(one, other, alike, only_left, only_right, exact_sign_test(only_left, only_right))


# -- time -----------------------------------------------------------------------------------------


def _speeds(engines: Sequence[Engine], classes: Sequence[str]) -> list[_Speed]:
    towers = [engine.image_tower() for engine in engines]
    texts = plain_texts(classes, _TEXTS)
    rates: list[list[float]] = [[] for _ in engines]
    times: list[list[float]] = [[] for _ in engines]
    for _ in range(ROUNDS):
        for place, (engine, tower) in enumerate(zip(engines, towers, strict=True)):
            rates[place].append(_images_per_s(tower, engine.card.image.size))
            times[place].append(text_ms(engine.freshly_encoded, texts))
    return [
        _Speed(tower.variant, tower.batch_size, float(np.median(rate)), float(np.median(time_)))
        for tower, rate, time_ in zip(towers, rates, times, strict=True)
    ]


def _images_per_s(tower: ImageTower, side: int) -> float:
    batch = np.random.default_rng(0).integers(0, 256, (tower.batch_size, side, side, 3), np.uint8)
    return len(batch) / median_seconds(partial(tower.encode_pixels, batch), SECONDS)


# -- what it tells --------------------------------------------------------------------------------


def finding(found: Comparison) -> Finding:
    notes = [
        f"Asked with {told_templates(found.templates)}.",
        "From and to: the 95 % interval of acc@1, the photos of each class drawn anew. Two models are compared by "
        "the photos that only one gets right; by chance: how likely two equally good ones differ so much (McNemar's "
        "exact test).",
        f"Image tower alone, in the batch that its way takes, and one text past every cache: models in turns, {ROUNDS} "
        "rounds, the median, without the first run of each.",
    ]
    if found.differences:
        notes.append(f"Unlike the set that published figures are of: {'; '.join(found.differences)}.")
    if found.failures:
        notes.append(f"{len(found.failures):,} photos could not be read and are left out.")
    points = Series(
        found.set,
        tuple(one.images_per_s for one in found.models),
        tuple(100 * one.acc1 for one in found.models),
    )
    names = (tuple(one.model for one in found.models),)
    return Finding(
        title="Models compared",
        says=_says(found),
        tables=(_quality(found), _cost(found), _differences(found)),
        plots=(Points("Accuracy against speed", (points,), "images/s", "acc@1, %", names), _agreement(found)),
        notes=tuple(notes),
    )


def _says(found: Comparison) -> str:
    best = max(found.models, key=lambda one: one.acc1)
    fastest = max(found.models, key=lambda one: one.images_per_s)
    most = f"recognises most, {best.acc1:.1%}{_chance(best.model, found.pairs)}"
    if best is fastest:
        return f"{best.model} {most}, and is the fastest: {best.images_per_s:,.1f} images/s."
    ratio = fastest.images_per_s / best.images_per_s
    return f"{best.model} {most}; {fastest.model} recognises {fastest.acc1:.1%} and is {ratio:.1f} times as fast."


def _chance(best: str, pairs: Sequence[Pair]) -> str:
    """Behind a winner that may be one by chance: beside some other the difference is no rarer than 1 in 20."""
    own = [one for one in pairs if best in (one.one, one.other)]
    return " (may be chance)" if any(one.chance >= 0.05 for one in own) else ""


def _quality(found: Comparison) -> Table:
    columns = [
        Column("model"),
        Column("way"),
        Column("acc@1", "measured", form=".1%"),
        Column("from", "measured", form=".1%"),
        Column("to", "measured", form=".1%"),
        Column("acc@5", "measured", form=".1%"),
        Column("acc@1", "published", form=".1%"),
    ]
    rows = [(one.model, one.way, one.acc1, one.low, one.high, one.acc5, one.published_acc1) for one in found.models]
    shown = len(columns) if any(one.published_acc1 is not None for one in found.models) else -1
    title = f"{found.set}: {found.photos:,} photos of {found.classes:,} classes"
    return Table(title, tuple(columns[:shown]), tuple(row[:shown] for row in rows))


def _cost(found: Comparison) -> Table:
    columns = (
        Column("model"),
        Column("images/s", "measured", form=",.1f"),
        Column("batch", "measured"),
        Column("a text", "measured", "ms", ",.1f"),
        Column("files", "measured", "MB", ",.0f"),
        Column("vector", "measured"),
    )
    rows = tuple((one.model, one.images_per_s, one.batch, one.text_ms, one.megabytes, one.dim) for one in found.models)
    return Table("What they cost", columns, rows)


def _differences(found: Comparison) -> Table:
    columns = (
        Column("one"),
        Column("other"),
        Column("call alike", "measured", form=".1%"),
        Column("only one right", "measured"),
        Column("only other right", "measured"),
        Column("by chance", "computed", form=".2g"),
    )
    rows = tuple((one.one, one.other, one.alike, one.only_one, one.only_other, one.chance) for one in found.pairs)
    return Table("Where they disagree", columns, rows)


def _agreement(found: Comparison) -> Grid:
    names = [one.model for one in found.models]
    alike = {frozenset((one.one, one.other)): one.alike for one in found.pairs}
    values = tuple(tuple(alike.get(frozenset((row, column)), 1.0) for column in names) for row in names)
    return Grid("Share of the photos that two models call alike", tuple(names), tuple(names), values, "", "")
