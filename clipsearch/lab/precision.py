"""Accuracy against speed: every variant of a model, in every arithmetic and on every device that can run it here.

Photos are decoded once; each way gets the same pixels and texts, in a process of its own (one_way.py), which may crash.
Ways are timed in turns, round by round.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.engine.backends import usable_cores
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.choosing.candidates import Candidate, fits, variant_of
from clipsearch.engine.choosing.child import Failed, answered
from clipsearch.errors import ModelError, SystemFault, UsageError
from clipsearch.evaluation.agreement import listed_ways
from clipsearch.evaluation.captions import CaptionedPhotos
from clipsearch.evaluation.encoded import Progress, picture_name
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.metrics import ranks
from clipsearch.evaluation.retrieval import to_photos
from clipsearch.evaluation.templates import told_templates
from clipsearch.lab.findings import Cell, Column, Finding, Points, Series, Table
from clipsearch.labels.sets import checked_templates, label_set, prompts
from clipsearch.labels.verdicts import ensembled
from clipsearch.types import FailedFile, Failure

ROUNDS = 3  # in each, every way is timed once
_OPENING_S, _PHOTO_S = 120.0, 3.0  # that a way may take: to open and be timed, and for each photo

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WayWorth:
    """One way to run the model; figures are None where there is nothing to measure them on, or it failed."""

    way: str  # runtime, device, arithmetic, as --backend takes it
    variant: str
    megabytes: float  # of the variant's files
    failed: str | None = None  # why it could not be measured
    acc1: float | None = None  # 0..1
    recall1: float | None = None  # of captions, 0..1
    moved: float | None = None  # share of the labelled photos that the reference calls otherwise
    image_cosine: float | None = None  # with the reference's vectors, mean
    image_cosine_least: float | None = None
    text_cosine: float | None = None  # mean
    images_per_s: float | None = None  # median of the rounds
    text_ms: float | None = None  # one text alone, median of the rounds
    peak_mb: float | None = None

    @property
    def name(self) -> str:
        return f"{self.variant}/{self.way}"


@dataclass(frozen=True, slots=True)
class Precision:
    model: str
    photos: int  # labelled ones, that could be read
    classes: int
    captions: int
    templates: tuple[str, ...]  # sentences, each with {}; of no classes none
    batch: int
    ways: tuple[WayWorth, ...]  # the reference first
    failures: tuple[FailedFile, ...]  # labelled photos that could not be read


@dataclass(frozen=True, slots=True)
class _Material:
    pixels: Path  # uint8 (photos, s, s, 3)
    truth: NDArray[np.int64]  # of the labelled photos, which come first
    failures: tuple[FailedFile, ...]
    prompts: tuple[tuple[str, ...], ...]  # of each class
    captioned: CaptionedPhotos | None

    @property
    def photos(self) -> int:
        return len(self.truth) + (len(self.captioned.photos) if self.captioned else 0)

    @property
    def texts(self) -> list[str]:
        captions = self.captioned.captions if self.captioned else ()
        return [*(text for one in self.prompts for text in one), *captions]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What one way made of the material."""

    images: Vectors
    texts: Vectors
    called: NDArray[np.int64]  # the class of each labelled photo, as this way sees it
    acc1: float | None
    recall1: float | None


def precision(
    engine: Engine,
    labelled: LabelledPhotos | None,
    captioned: CaptionedPhotos | None = None,
    templates: Sequence[str] = (),
    *,
    cache: Path,
    progress: Progress = lambda done, total: None,
) -> Precision:
    """`cache`: where it is remembered which files were verified. One of the two kinds of photos is needed.

    Raises UsageError where photos cannot be read or templates cannot work, ModelError where no way fits the model,
    SystemFault where the temporary folder has no room for the pixels.
    """
    candidates = ways_here(engine.card)
    if not candidates:
        raise ModelError(f"No runtime that is installed opens {engine.card.name}.", "See: clipsearch backends")
    sentences = checked_templates(templates or labelled.templates) if labelled else ()
    with tempfile.TemporaryDirectory() as folder:
        material = _material(engine, labelled, captioned, sentences, Path(folder))
        rows = _measured(engine.card, candidates, material, cache, progress)
    return Precision(
        model=engine.card.name,
        photos=len(material.truth),
        classes=len(material.prompts),
        captions=len(captioned.captions) if captioned else 0,
        templates=sentences,
        batch=candidates[0].batch,
        ways=tuple(rows),
        failures=material.failures,
    )


def ways_here(card: ModelCard) -> list[Candidate]:
    """What can be tried on this machine: plain floats of the reference on the CPU first."""
    found = [
        Candidate(replace(way, threads=usable_cores()), variant.name)
        for way in listed_ways(card)
        for variant in card.variants
        if fits(variant, way)
    ]
    return sorted(found, key=lambda one: (one.variant != card.reference.name, not _is_plain(one)))


def _is_plain(one: Candidate) -> bool:
    return (one.way.device, one.way.arithmetic) == ("cpu", "f32")


# -- photos and texts -----------------------------------------------------------------------------


def _material(
    engine: Engine,
    labelled: LabelledPhotos | None,
    captioned: CaptionedPhotos | None,
    templates: Sequence[str],
    folder: Path,
) -> _Material:
    names = list(dict.fromkeys(labelled.classes)) if labelled else []
    asked = {label.name: prompts(label) for label in label_set(names, templates).labels} if names else {}
    classes = tuple(asked[name.strip()] for name in labelled.classes) if labelled else ()
    own = list(labelled.pictures) if labelled else []
    others = list(captioned.photos) if captioned else []
    side = engine.card.image.size
    shape = (len(own) + len(others), side, side, 3)
    _check_room(folder, math.prod(shape))
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", "w+", np.uint8, shape)
    read: list[int] = []
    failures: list[FailedFile] = []
    for place, outcome in enumerate(engine.each_prepared([*own, *others])):
        if not isinstance(outcome, Failure):
            pixels[len(read)] = np.frombuffer(outcome.pixels, np.uint8).reshape(side, side, 3)
            read.append(place)
        elif place >= len(own):
            name = os.fsdecode(others[place - len(own)])
            raise UsageError(f"{name} cannot be read: {outcome.reason}.", "Take it out of the captions.")
        elif labelled:
            failures.append(FailedFile(picture_name(own[place], labelled.name, place), outcome.reason, 1))
    pixels.flush()
    truth = labelled.truth[[place for place in read if place < len(own)]] if labelled else np.empty(0, np.int64)
    if labelled and not len(truth):
        raise UsageError("None of the labelled photos can be read.", "Name a folder with one folder for each class.")
    return _Material(folder / "pixels.npy", truth, tuple(failures), classes, captioned)


def _check_room(folder: Path, needed: int) -> None:
    """Raises SystemFault where `needed` bytes are not free: the file has holes until it is filled, and where a hole
    cannot be, the system ends the whole process (SIGBUS)."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemFault(
            f"{folder.parent} has {free >> 20:,} MiB free, and the photos' pixels need {-(-needed >> 20):,} MiB.",
            "Free some space, name a folder on another disk in TMPDIR, or ask fewer photos.",
        )


# -- measuring ------------------------------------------------------------------------------------


def _measured(
    card: ModelCard, candidates: Sequence[Candidate], material: _Material, cache: Path, progress: Progress
) -> list[WayWorth]:
    """The reference is the first, and the others are compared with it."""
    said: list[list[dict[str, Any]]] = [[] for _ in candidates]
    failed: dict[int, str] = {}
    done, total = 0, ROUNDS * len(candidates)
    for number in range(ROUNDS):
        for place, candidate in enumerate(candidates):  # in turns, so that what else the machine does meets all
            if place not in failed:
                vectors = material.pixels.with_name(f"{place}.npz") if number == 0 else None
                outcome = _round(card, candidate, material, vectors, cache)
                if isinstance(outcome, Failed):
                    failed[place] = outcome.reason
                else:
                    said[place].append(outcome)
            done += 1
            progress(done, total)
    is_reference = candidates[0].variant == card.reference.name and _is_plain(candidates[0])
    reference = _found(material, 0) if is_reference and 0 not in failed else None
    rows = []
    for place, candidate in enumerate(candidates):
        row = WayWorth(candidate.way.name, candidate.variant, _megabytes(card, candidate), failed.get(place))
        rows.append(row if place in failed else _worth(row, said[place], _found(material, place), reference))
    return rows


def _round(
    card: ModelCard, candidate: Candidate, material: _Material, vectors: Path | None, cache: Path
) -> dict[str, Any] | Failed:
    way = candidate.way
    job = {
        "card": str(card.folder), "device": way.device, "arithmetic": way.arithmetic, "threads": way.threads,
        "variant": candidate.variant, "batch": candidate.batch, "cache": str(cache),
        "pixels": str(material.pixels), "photos": material.photos, "texts": material.texts,
        "vectors": str(vectors) if vectors else None,
    }  # fmt: skip
    seconds = _OPENING_S + (_PHOTO_S * (material.photos + len(material.texts)) if vectors else 0)
    return answered("clipsearch.lab.one_way", way.runtime, job, seconds)


def _found(material: _Material, place: int) -> _Found:
    with np.load(material.pixels.with_name(f"{place}.npz")) as kept:
        images, texts = kept["images"], kept["texts"]
    labelled, ends = len(material.truth), np.cumsum([len(one) for one in material.prompts], dtype=np.int64)
    called, acc1, recall1 = np.empty(0, np.int64), None, None
    if labelled:
        groups = np.split(texts[: ends[-1]], ends[:-1])
        scores = images[:labelled] @ np.stack([ensembled(group) for group in groups]).T
        called, acc1 = scores.argmax(axis=1), float((ranks(scores, material.truth) == 0).mean())
    if material.captioned:
        captions = texts[ends[-1] if labelled else 0 :]
        recall1 = to_photos(captions, images[labelled:], material.captioned.photo_of, (1,))[0].share
    return _Found(images, texts, called, acc1, recall1)


def _worth(row: WayWorth, rounds: list[dict[str, Any]], found: _Found, reference: _Found | None) -> WayWorth:
    peaks = [one["peak_mb"] for one in rounds if one["peak_mb"] is not None]
    row = replace(
        row,
        acc1=found.acc1,
        recall1=found.recall1,
        images_per_s=float(np.median([one["images_per_s"] for one in rounds])),
        text_ms=float(np.median([one["text_ms"] for one in rounds])),
        peak_mb=max(peaks, default=None),
    )
    if reference is None:
        return row
    images = _cosines(found.images, reference.images)
    return replace(
        row,
        moved=float((found.called != reference.called).mean()) if len(found.called) else None,
        image_cosine=float(images.mean()),
        image_cosine_least=float(images.min()),
        text_cosine=float(_cosines(found.texts, reference.texts).mean()),
    )


def _cosines(some: Vectors, others: Vectors) -> NDArray[np.float64]:
    return np.asarray((some.astype(np.float64) * others).sum(axis=1))


def _megabytes(card: ModelCard, candidate: Candidate) -> float:
    variant = variant_of(card, candidate.variant)
    names = {name for tower in (variant.image, variant.text) for name, _ in tower.files}
    return sum((card.folder / name).stat().st_size for name in names) / 1e6


# -- what it tells --------------------------------------------------------------------------------


def finding(found: Precision) -> Finding:
    notes = [
        f"Every way in a process of its own, in turns, {ROUNDS} rounds; of images/s and ms a text the median, without "
        f"the first run of each. Batches of {found.batch}, the image tower alone; texts one at a time.",
        "Cosines are with the vectors of the first way: plain floats of the reference on the CPU.",
    ]
    if found.templates:
        notes.append(f"Classes are asked with {told_templates(found.templates)}.")
    if found.failures:
        notes.append(f"{len(found.failures):,} photos could not be read and are left out.")
    notes += [f"{one.name} failed: {one.failed}" for one in found.ways if one.failed]
    measured = [one for one in found.ways if not one.failed]
    return Finding(
        title="Precision",
        says=_says(measured),
        tables=(_quality(found, measured), _cost(measured)) if measured else (),
        plots=(_against_speed(measured),) if measured else (),
        notes=tuple(notes),
    )


def _says(measured: Sequence[WayWorth]) -> str:
    if not measured:
        return "No way to run the model could be measured."
    reference, best = measured[0], max(measured, key=lambda one: one.images_per_s or 0)
    what, finds = _figure(reference)
    if best is reference:
        return f"{best.name} is the fastest way: {best.images_per_s:,.1f} images/s, {what} {finds:.1%}."
    ratio = (best.images_per_s or 0) / (reference.images_per_s or 1)
    return (
        f"{best.name} encodes {best.images_per_s:,.1f} images/s, {ratio:.2f} times {reference.name}; "
        f"its {what} is {_figure(best)[1]:.1%}, that of the other {finds:.1%}."
    )


def _figure(one: WayWorth) -> tuple[str, float]:
    return ("acc@1", one.acc1) if one.acc1 is not None else ("R@1", one.recall1 or 0.0)


def _quality(found: Precision, measured: Sequence[WayWorth]) -> Table:
    columns = (
        Column("variant and way"),
        Column("acc@1", "measured", form=".1%"),
        Column("called otherwise", "measured", form=".1%"),
        Column("R@1", "measured", form=".3f"),
        Column("cosine", "measured", form=".5f"),
        Column("least", "measured", form=".5f"),
        Column("of texts", "measured", form=".5f"),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (one.name, one.acc1, one.moved, one.recall1, one.image_cosine, one.image_cosine_least, one.text_cosine)
        for one in measured
    )
    on = [f"{found.photos:,} photos of {found.classes:,} classes"] if found.photos else []
    on += [f"{found.captions:,} captions"] if found.captions else []
    known = [place for place in range(len(columns)) if any(row[place] is not None for row in rows)]
    title = f"{found.model}: what it finds, on {' and '.join(on)}"
    return Table(title, tuple(columns[one] for one in known), tuple(tuple(row[one] for one in known) for row in rows))


def _cost(measured: Sequence[WayWorth]) -> Table:
    columns = (
        Column("variant and way"),
        Column("images/s", "measured", form=",.1f"),
        Column("to the first", "measured", form=".2f"),
        Column("a text", "measured", "ms", ",.1f"),
        Column("files", "measured", "MB", ",.0f"),
        Column("memory", "measured", "MB", ",.0f"),
    )
    first = measured[0].images_per_s or 1
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (one.name, one.images_per_s, (one.images_per_s or 0) / first, one.text_ms, one.megabytes, one.peak_mb)
        for one in measured
    )
    return Table("What it costs", columns, rows)


def _against_speed(measured: Sequence[WayWorth]) -> Points:
    what = _figure(measured[0])[0]
    variants = list(dict.fromkeys(one.variant for one in measured))
    groups = [[one for one in measured if one.variant == variant] for variant in variants]
    series = tuple(
        Series(variant, tuple(one.images_per_s or 0 for one in group), tuple(100 * _figure(one)[1] for one in group))
        for variant, group in zip(variants, groups, strict=True)
    )
    names = tuple(tuple(one.way for one in group) for group in groups)
    return Points(f"{what} against speed", series, "images/s", f"{what}, %", names)
