"""What preprocessing is worth: photos prepared otherwise than the model's card says, by harm.

clip.cpp's benchmark scored 8 % with a model that is worth 66.6 %: with another resize and normalisation among other
things, and nothing told it, for a vector looks the same whatever it was made from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.background import background_texts
from clipsearch.encoding import Engine
from clipsearch.engine.quantize.compare import Views, compared
from clipsearch.errors import UsageError
from clipsearch.evaluation.captions import CaptionedPhotos
from clipsearch.evaluation.encoded import classifier
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.metrics import accuracy
from clipsearch.evaluation.pixels import Progress
from clipsearch.evaluation.preprocessing import Changed, Prepared, prepared_otherwise
from clipsearch.evaluation.retrieval import to_photos
from clipsearch.lab.findings import Bars, Column, Finding, Table
from clipsearch.types import FailedFile, Picture

Vectors = NDArray[np.float32]
Score = Callable[[Vectors], float]  # of the vectors of all photos that were read

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

    def score(vectors: Vectors) -> float:
        return to_photos(texts, vectors, owners, (1,))[0].share

    return _told(engine, prepared, texts, "R@1", score)


def of_classes(engine: Engine, labelled: LabelledPhotos, progress: Progress) -> PreprocessingSensitivity:
    """With zero-shot accuracy. Raises UsageError where no photo can be read, and for photos that are no files."""
    prepared = prepared_otherwise(engine, [_file(one) for one in labelled.pictures], progress)
    classes, truth = classifier(engine, labelled.classes), labelled.truth[list(prepared.read)]
    return _told(engine, prepared, classes, "accuracy", lambda vectors: accuracy(vectors @ classes.T, truth))


def _file(picture: Picture) -> bytes:
    if isinstance(picture, (str, bytes, os.PathLike)):
        return os.path.abspath(os.fsencode(picture))
    raise UsageError("These photos are no files, so none of them can be read otherwise.", "Name a folder of folders.")


def _told(
    engine: Engine, prepared: Prepared, texts: Vectors, measure: str | None = None, score: Score | None = None
) -> PreprocessingSensitivity:
    own = None if score is None else score(prepared.reference)
    harms = [_harm(one, prepared.reference, texts, score, own) for one in prepared.changes]
    return PreprocessingSensitivity(
        model=engine.card.name,
        way=engine.candidate("ingest").name,
        photos=len(prepared.read),
        texts=len(texts),
        measure=measure,
        score=own,
        harms=tuple(sorted(harms, key=_order)),
        failures=prepared.failures,
    )


def _harm(one: Changed, reference: Vectors, texts: Vectors, score: Score | None, own: float | None) -> Harm:
    cosines = (one.vectors[one.changed] * reference[one.changed]).sum(axis=1)
    beside = compared(Views(one.vectors, texts, texts), Views(reference, texts, texts), None, 0, 0)
    found = None if score is None else score(one.vectors)
    return Harm(
        name=one.name,
        photos=int(one.changed.sum()),
        cosine=float(cosines.mean()) if len(cosines) else float("nan"),
        least=float(cosines.min()) if len(cosines) else float("nan"),
        top10=beside.top10,
        score=found,
        change=None if found is None or own is None else found - own,
    )


def _order(harm: Harm) -> tuple[float, float]:
    """What costs most answers; of equal ones what moves the vectors of all photos most."""
    moved = 0.0 if harm.cosine != harm.cosine else (1 - harm.cosine) * harm.photos
    return harm.change or 0.0, -moved


def finding(found: PreprocessingSensitivity) -> Finding:
    of_score: tuple[Column, ...] = ()
    if found.measure is not None:
        of_score = Column(found.measure, "measured", form=".3f"), Column("change", "measured", form="+.3f")
    columns = (
        Column("prepared otherwise"),
        Column("photos", "measured"),
        Column("cosine", "measured", form=".4f"),
        Column("least", "measured", form=".4f"),
        Column("of the ten nearest", "measured", form=".1%"),
        *of_score,
    )
    rows = tuple(
        (one.name, one.photos, one.cosine, one.least, one.top10, *([one.score, one.change] if of_score else []))
        for one in found.harms
    )
    says = _says(found)
    changed = [one for one in found.harms if one.photos]
    bars = Bars(
        says,
        tuple(one.name for one in changed),
        tuple(-one.change if one.change is not None else 1 - one.cosine for one in changed),
        f"{found.measure} lost" if of_score else "1 - cosine with the card's own preprocessing",
    )
    told = f"; {found.measure} {found.score:.3f} as its card says" if of_score else ""
    return Finding(
        title="Preprocessing",
        says=says,
        tables=(Table(f"{found.model}, {found.way}; {found.photos:,} photos{told}", columns, rows),),
        plots=(bars,),
        notes=(
            "One thing is done otherwise than the model's card says, the worst first. Photos: whose pixels, or what is "
            f"made of them, change; the cosines are of those. Of the ten nearest: of {found.texts:,} texts, over all.",
            "Without antialiasing and as JPEG a photo is decoded whole, as the programs that do so decode it.",
        ),
    )


def _says(found: PreprocessingSensitivity) -> str:
    moved = [one for one in found.harms if one.photos]
    if not moved:
        return "No change of the preprocessing changes these photos."
    worst = moved[0]
    harmless = [one.name for one in moved if one.least >= _HARMLESS]
    ends = f" Harmless, {_HARMLESS} or more for every photo: {', '.join(harmless)}." if harmless else ""
    if worst.change is not None and worst.score is not None:
        costs = f'{found.measure} falls from {found.score:.3f} to {worst.score:.3f} by "{worst.name}"'
        if len(moved) > 1 and moved[1].score is not None:
            costs += f', to {moved[1].score:.3f} by "{moved[1].name}"'
        return f"{costs}.{ends}"
    return f'"{worst.name}" does most harm: a mean cosine of {worst.cosine:.3f}, {worst.least:.3f} at least.{ends}'
