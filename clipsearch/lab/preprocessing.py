"""What preprocessing is worth: photos prepared otherwise than the model's card says, by harm.

clip.cpp's benchmark scored 8 % with a model that is worth 66.6 %: with another resize and normalisation among other
things, and nothing told it, for a vector looks the same whatever it was made from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipsearch.background import background_texts
from clipsearch.encoding import Engine
from clipsearch.engine.quantize.compare import Views, compared
from clipsearch.errors import UsageError
from clipsearch.evaluation.captions import CaptionedPhotos
from clipsearch.evaluation.encoded import classifier
from clipsearch.evaluation.intervals import ratio_interval
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.pixels import Progress
from clipsearch.evaluation.preprocessing import Changed, Prepared, prepared_otherwise
from clipsearch.evaluation.templates import told_templates
from clipsearch.lab.findings import Bars, Column, Finding, Table
from clipsearch.labels.sets import checked_templates
from clipsearch.types import FailedFile, Picture

Vectors = NDArray[np.float32]

_EVERYDAY = 3  # every third of the everyday texts is asked
_HARMLESS = 0.99  # cosine of the photo that moves most; scaled decoding, which is usual, is asked for 0.995


@dataclass(frozen=True, slots=True)
class Harm:
    """One change of the preprocessing."""

    name: str
    photos: int  # that it changes
    cosine: float  # of those with the card's own, mean; NaN where it changes none
    least: float
    top10: float  # share of the ten photos nearest to a text that stay
    score: float | None  # R@1 or accuracy with it, 0..1; None where neither captions nor classes are known
    change: float | None  # of that
    low: float | None  # of its 95 % interval, photos drawn anew with all that is asked of them
    high: float | None


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Questions with one right answer each: of captions a photo, of photos a class."""

    measure: str
    hits: Callable[[Vectors], NDArray[np.bool_]]  # (questions,) from vectors of all photos that were read
    photo_of: NDArray[np.int64]  # (questions,)


@dataclass(frozen=True, slots=True)
class PreprocessingSensitivity:
    model: str
    way: str  # variant and runtime
    photos: int
    texts: int
    measure: str | None  # "R@1" or "accuracy"
    score: float | None  # with the card's own preprocessing
    harms: tuple[Harm, ...]  # the worst first
    failures: tuple[FailedFile, ...]
    templates: tuple[str, ...] = ()  # that classes were asked with


def of_photos(engine: Engine, photos: Sequence[bytes], progress: Progress) -> PreprocessingSensitivity:
    """With everyday texts. Raises UsageError where no photo can be read."""
    texts = engine.freshly_encoded(background_texts()[::_EVERYDAY])
    return _told(engine, prepared_otherwise(engine, photos, progress), texts)


def of_captions(engine: Engine, asked: CaptionedPhotos, progress: Progress) -> PreprocessingSensitivity:
    """With R@1 of the captions. Raises UsageError where no photo can be read."""
    prepared = prepared_otherwise(engine, [bytes(photo.absolute()) for photo in asked.photos], progress)
    rows = {place: row for row, place in enumerate(prepared.read)}
    spoken = [number for number, photo in enumerate(asked.photo_of.tolist()) if photo in rows]
    texts = engine.freshly_encoded([asked.captions[number] for number in spoken])
    owners = np.array([rows[int(asked.photo_of[number])] for number in spoken], np.int64)

    def hits(vectors: Vectors) -> NDArray[np.bool_]:
        return np.asarray((texts @ vectors.T).argmax(axis=1) == owners)

    return _told(engine, prepared, texts, _Asked("R@1", hits, owners))


def of_classes(engine: Engine, labelled: LabelledPhotos, progress: Progress) -> PreprocessingSensitivity:
    """With zero-shot accuracy. Raises UsageError where no photo can be read, and for photos that are no files."""
    prepared = prepared_otherwise(engine, [_file(one) for one in labelled.pictures], progress)
    sentences = checked_templates(labelled.templates)
    classes, truth = classifier(engine, labelled.classes, sentences), labelled.truth[list(prepared.read)]

    def hits(vectors: Vectors) -> NDArray[np.bool_]:
        return np.asarray((vectors @ classes.T).argmax(axis=1) == truth)

    found = _told(engine, prepared, classes, _Asked("accuracy", hits, np.arange(len(truth))))
    return replace(found, templates=sentences)


def _file(picture: Picture) -> bytes:
    if isinstance(picture, (str, bytes, os.PathLike)):
        return os.path.abspath(os.fsencode(picture))
    raise UsageError("These photos are no files, so none of them can be read otherwise.", "Name a folder of folders.")


def _told(engine: Engine, prepared: Prepared, texts: Vectors, asked: _Asked | None = None) -> PreprocessingSensitivity:
    harms = [_harm(one, prepared.reference, texts, asked) for one in prepared.changes]
    return PreprocessingSensitivity(
        model=engine.card.name,
        way=engine.candidate("ingest").name,
        photos=len(prepared.read),
        texts=len(texts),
        measure=None if asked is None else asked.measure,
        score=None if asked is None else float(asked.hits(prepared.reference).mean()),
        harms=tuple(sorted(harms, key=_order)),
        failures=prepared.failures,
    )


def _harm(one: Changed, reference: Vectors, texts: Vectors, asked: _Asked | None) -> Harm:
    cosines = (one.vectors[one.changed] * reference[one.changed]).sum(axis=1)
    beside = compared(Views(one.vectors, texts, texts), Views(reference, texts, texts), None, 0, 0)
    score = None if asked is None else float(asked.hits(one.vectors).mean())
    change, low, high = (None, None, None) if asked is None else _change(asked, one.vectors, reference)
    return Harm(
        name=one.name,
        photos=int(one.changed.sum()),
        cosine=float(cosines.mean()) if len(cosines) else float("nan"),
        least=float(cosines.min()) if len(cosines) else float("nan"),
        top10=beside.top10,
        score=score,
        change=change,
        low=low,
        high=high,
    )


def _change(asked: _Asked, vectors: Vectors, reference: Vectors) -> tuple[float, float, float]:
    """Of the share of hits, with its interval. Photos are drawn, as in evaluation.retrieval, and both ways of
    preparing them are asked of the same ones: what is hard is hard for both."""
    gained = asked.hits(vectors).astype(np.int64) - asked.hits(reference)
    photos = len(reference)
    gains, questions = np.bincount(asked.photo_of, gained, photos), np.bincount(asked.photo_of, minlength=photos)
    change = ratio_interval(gains, questions)
    return change.value, change.low, change.high


def _order(harm: Harm) -> tuple[float, float]:
    """What costs most answers; of equal ones what moves the vectors of all photos most."""
    moved = 0.0 if harm.cosine != harm.cosine else (1 - harm.cosine) * harm.photos
    return harm.change or 0.0, -moved


def finding(found: PreprocessingSensitivity) -> Finding:
    of_score: tuple[Column, ...] = ()
    if found.measure is not None:
        changes = (Column(title, "measured", form="+.3f") for title in ("change", "from", "to"))
        of_score = Column(found.measure, "measured", form=".3f"), *changes
    columns = (
        Column("prepared otherwise"),
        Column("photos", "measured"),
        Column("cosine", "measured", form=".4f"),
        Column("least", "measured", form=".4f"),
        Column("ten nearest", "measured", form=".1%"),
        *of_score,
    )
    rows = tuple(
        (
            one.name,
            one.photos,
            one.cosine,
            one.least,
            one.top10,
            *([one.score, one.change, one.low, one.high] if of_score else []),
        )
        for one in found.harms
    )
    says = _says(found)
    changed = [one for one in found.harms if one.photos]
    bars = Bars(
        says,
        tuple(one.name for one in changed),
        tuple(1 - one.cosine if one.change is None else -one.change for one in changed),
        f"{found.measure} lost" if of_score else "1 - cosine with the card's own preprocessing",
        tuple(-one.high for one in changed if one.high is not None),
        tuple(-one.low for one in changed if one.low is not None),
    )
    told = f"; {found.measure} {found.score:.3f} as its card says" if of_score else ""
    return Finding(
        title="Preprocessing",
        says=says,
        tables=(Table(f"{found.model}, {found.way}; {found.photos:,} photos{told}", columns, rows),),
        plots=(bars,),
        notes=(
            "One thing is done otherwise than the model's card says, the worst first. Photos: whose pixels, or what is "
            "made of them, change; the cosines are of those. Ten nearest: share of the photos nearest to a text that "
            f"stay, of {found.texts:,} texts.",
            *([f"Classes are asked with {told_templates(found.templates)}."] if found.templates else []),
            *(["From, to: the 95 % interval of the change, photos drawn anew."] if of_score else []),
            "Without antialiasing and as JPEG a photo is decoded whole, as the programs that do so decode it.",
        ),
    )


def _says(found: PreprocessingSensitivity) -> str:
    moved = [one for one in found.harms if one.photos]
    if not moved:
        return "No change of the preprocessing changes these photos."
    worst = moved[0]
    if found.measure is not None:
        costs = [
            f'to {one.score:.3f} by "{one.name}"' for one in moved[:2] if one.change is not None and one.change < 0
        ]
        sure = sum(one.high is not None and one.high < 0 for one in moved)
        falls = (
            f"falls from {found.score:.3f} {', '.join(costs)}" if costs else f"of {found.score:.3f} falls by no change"
        )
        return f"{found.measure} {falls}. {sure} of {len(moved)} changes lose more than chance explains."
    harmless = [one.name for one in moved if one.least >= _HARMLESS]
    ends = f" Harmless, {_HARMLESS} or more for every photo: {', '.join(harmless)}." if harmless else ""
    return f'"{worst.name}" does most harm: a mean cosine of {worst.cosine:.3f}, {worst.least:.3f} at least.{ends}'
