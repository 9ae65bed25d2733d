"""Temperature and calibration: whether probabilities are right as often as they say, and which scale mends it.

Fitted on one half of the photos, told by the other. It changes no order, so no accuracy; and no model: only a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.engine.cards import Scoring
from clipsearch.engine.scoring import probabilities
from clipsearch.errors import UsageError
from clipsearch.evaluation.calibration import (
    BINS,
    COLDEST,
    HOTTEST,
    Bin,
    best_temperature,
    bins_of_equal_mass,
    bins_of_equal_width,
    brier_score,
    calibration_error,
    confidences,
    error_by_chance,
    log_losses,
    tempered,
)
from clipsearch.evaluation.encoded import EncodedPhotos, Progress, classifier, encoded_photos
from clipsearch.evaluation.halves import halves
from clipsearch.evaluation.intervals import Interval, difference_interval
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.templates import told_templates
from clipsearch.lab.findings import Cell, Column, Finding, Lines, Series, Table
from clipsearch.labels.sets import checked_templates
from clipsearch.types import FailedFile

Cosines = NDArray[np.float32]
_CURVE = tuple(2.0**power for power in np.arange(-3, 3.25, 0.25))  # temperatures, around that of the card

FEWEST = 30  # photos of a half, below which no scale is called better or worse
_IN_A_BIN = 30  # photos, of the diagram: a share of 7 says nothing, and a line through such shares is a saw


@dataclass(frozen=True, slots=True)
class Calibration:
    """How probabilities under one scale compare with what is true."""

    scale: float  # of the cosines
    bias: float
    accuracy: float  # 0..1
    confidence: float  # mean probability of the class that a photo is taken for, 0..1
    excess: Interval  # by how much that is above the accuracy
    ece: float  # expected calibration error, 0..1, over bins of equal width
    ece_by_chance: float  # of the same probabilities, were each of them true
    ece_equal_mass: float
    nll: float  # nats a photo
    brier: float
    reliability: tuple[Bin, ...]  # of equal mass, with photos enough to be told apart from chance


@dataclass(frozen=True, slots=True)
class AtTemperature:
    temperature: float
    scale: float
    ece: float
    nll: float


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    model: str
    kind: str  # softmax or sigmoid
    photos: str  # the name of the set
    classes: int
    templates: tuple[str, ...]  # sentences, each with {}
    fitting: int  # photos
    telling: int
    failures: tuple[FailedFile, ...]
    temperature: float  # what fits best
    before: Calibration  # as the card has it; both on the photos that did not fit
    after: Calibration
    nll_gain: Interval  # by how much the NLL falls
    curve: tuple[AtTemperature, ...]


def temperature_fit(
    engine: Engine,
    photos: LabelledPhotos,
    templates: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> TemperatureFit:
    """Raises UsageError for photos and templates that cannot work, and for a single class."""
    if len(photos.classes) < 2:
        raise UsageError(
            "One class says nothing: each photo is of it.", "Name a folder with two class folders or more."
        )
    checked_templates(templates)  # before the work
    return temperature_of(engine, photos, encoded_photos(engine, photos, progress), templates)


def temperature_of(
    engine: Engine, photos: LabelledPhotos, encoded: EncodedPhotos, templates: Sequence[str] = ()
) -> TemperatureFit:
    """The same of photos that are encoded."""
    sentences = checked_templates(templates or photos.templates)
    parts = halves(encoded.truth)
    cosines = np.clip(encoded.vectors @ classifier(engine, photos.classes, sentences).T, -1, 1)
    scoring = engine.card.scoring
    temperature = best_temperature(cosines[parts.choosing], encoded.truth[parts.choosing], scoring)
    told, truth = cosines[parts.telling], encoded.truth[parts.telling]
    first, second = (log_losses(told, truth, one) for one in (scoring, tempered(scoring, temperature)))
    return TemperatureFit(
        model=engine.card.name,
        kind=scoring.kind,
        photos=photos.name,
        classes=len(photos.classes),
        templates=sentences,
        fitting=len(parts.choosing),
        telling=len(parts.telling),
        failures=encoded.failures,
        temperature=temperature,
        before=calibration(told, truth, scoring),
        after=calibration(told, truth, tempered(scoring, temperature)),
        nll_gain=difference_interval(first, second, truth),
        curve=tuple(_at(one, told, truth, scoring) for one in _CURVE),
    )


def calibration(cosines: Cosines, truth: NDArray[np.int64], scoring: Scoring) -> Calibration:
    """`cosines` (photos, classes), `truth` (photos,)."""
    confidence, right = confidences(cosines, truth, scoring)
    return Calibration(
        scale=scoring.scale,
        bias=scoring.bias,
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        excess=difference_interval(confidence, right, truth),
        ece=calibration_error(bins_of_equal_width(confidence, right)),
        ece_by_chance=error_by_chance(confidence),
        ece_equal_mass=calibration_error(bins_of_equal_mass(confidence, right)),
        nll=float(log_losses(cosines, truth, scoring).mean()),
        brier=brier_score(probabilities(cosines, scoring), truth),
        reliability=bins_of_equal_mass(confidence, right, max(2, min(BINS, len(truth) // _IN_A_BIN))),
    )


def _at(temperature: float, cosines: Cosines, truth: NDArray[np.int64], scoring: Scoring) -> AtTemperature:
    warm = tempered(scoring, temperature)
    error = calibration_error(bins_of_equal_width(*confidences(cosines, truth, warm)))
    return AtTemperature(temperature, warm.scale, error, float(log_losses(cosines, truth, warm).mean()))


# -- what it tells --------------------------------------------------------------------------------


def finding(fit: TemperatureFit) -> Finding:
    return Finding(
        title=f"Temperature on {fit.photos}",
        says=f"{_sureness(fit)} {_mended(fit)}",
        tables=(_figures(fit), _reliability(fit)),
        plots=(_diagram(fit), _errors(fit)),
        notes=(
            f"{fit.model}, {fit.kind}; {fit.classes:,} classes, asked with {told_templates(fit.templates)}. "
            f"The temperature of the least NLL on {fit.fitting:,} photos, "
            f"half of each class; all figures are of the other {fit.telling:,}.",
            f"ECE, the calibration error: how far confidence and accuracy are apart, over {BINS} bins (Guo et al. "
            "2017). By chance: what it were if all probabilities were true, for few photos are seldom right in just "
            "that share.",
            "It holds for these classes and photos like these: with other labels the best scale is another one.",
            *_limits(fit),
        ),
    )


def _sureness(fit: TemperatureFit) -> str:
    before = fit.before
    return (
        f"With its card's scale of {before.scale:.4g} {fit.model} {_word(before.excess)}: it says "
        f"{before.confidence:.0%} and is right in {before.accuracy:.0%}."
    )


def _word(excess: Interval) -> str:
    if excess.low <= 0 <= excess.high:
        return "is as sure as it is right, within chance"
    return "is too sure" if excess.value > 0 else "is not sure enough"


def _mended(fit: TemperatureFit) -> str:
    gain = fit.nll_gain
    span = f"{-gain.value:+.3f} nats [{-gain.high:+.3f}, {-gain.low:+.3f}]"
    fitted = f"temperature {fit.temperature:.3g} (scale {fit.after.scale:.3g})"
    error = f"calibration error {100 * fit.before.ece:.1f} to {100 * fit.after.ece:.1f} points"
    where = f"on {fit.telling:,} photos that did not fit it"
    if min(fit.fitting, fit.telling) < FEWEST:
        return f"Too few photos to name a scale: {fit.fitting} fitted one, {fit.telling} told; take {FEWEST} a half."
    if gain.high < 0:
        return f"Keep the card's scale: {fitted} fits one half and is worse on the other, NLL {span}, {error}, {where}."
    if gain.low <= 0:
        return f"No other scale is surely better: {fitted} makes NLL {span}, {error}, {where}."
    return f"Best is {fitted}: NLL {span}, {error}, {where}."


def _limits(fit: TemperatureFit) -> tuple[str, ...]:
    limits = []
    if not COLDEST * 1.01 < fit.temperature < HOTTEST / 1.01:
        limits.append(f"The fit ran to the end of its range, {COLDEST:.3g} to {HOTTEST:g}: take more photos.")
    if fit.kind == "sigmoid":
        limits.append(
            "Of a sigmoid, temperature divides scale and bias; the share of classes that fit a photo it keeps."
        )
    return tuple(limits)


def _figures(fit: TemperatureFit) -> Table:
    before, after = fit.before, fit.after
    rows: tuple[tuple[str, float, float, str], ...] = (
        ("scale", before.scale, after.scale, ".4g"),
        *((("bias", before.bias, after.bias, ".4g"),) if fit.kind == "sigmoid" else ()),
        ("recognised", before.accuracy, after.accuracy, ".1%"),
        ("mean confidence", before.confidence, after.confidence, ".1%"),
        ("ECE, bins of equal width", before.ece, after.ece, ".1%"),
        ("the same by chance", before.ece_by_chance, after.ece_by_chance, ".1%"),
        ("ECE, bins of equal mass", before.ece_equal_mass, after.ece_equal_mass, ".1%"),
        ("NLL, nats", before.nll, after.nll, ".3f"),
        ("Brier score", before.brier, after.brier, ".3f"),
    )
    columns = (Column(""), Column("card's scale", "measured"), Column("fitted", "measured"))
    cells = tuple((name, format(one, form), format(other, form)) for name, one, other, form in rows)
    return Table(f"On {fit.telling:,} photos that did not fit it", columns, cells)


def _reliability(fit: TemperatureFit) -> Table:
    columns = (
        Column("bin"),
        Column("photos", "measured"),
        Column("card says", "measured", form=".1%"),
        Column("right", "measured", form=".1%"),
        Column("fitted says", "measured", form=".1%"),
        Column("right", "measured", form=".1%"),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (number, one.photos, one.confidence, one.accuracy, other.confidence, other.accuracy)
        for number, (one, other) in enumerate(zip(fit.before.reliability, fit.after.reliability, strict=True), 1)
    )
    return Table("Bins of equal mass, from the least sure photos to the surest", columns, rows)


def _diagram(fit: TemperatureFit) -> Lines:
    return Lines(
        f"{fit.model} {_word(fit.before.excess)}: it says {fit.before.confidence:.0%}, and {fit.before.accuracy:.0%} "
        "are right",
        (
            _points(f"scale {fit.before.scale:.3g}, of the card", fit.before.reliability),
            _points(f"scale {fit.after.scale:.3g}, fitted", fit.after.reliability),
            Series("right as often as it says", (0.0, 100.0), (0.0, 100.0), quiet=True),
        ),
        "says, %",
        "is right, %",
    )


def _points(name: str, bins: Sequence[Bin]) -> Series:
    full = [one for one in bins if one.photos]
    return Series(name, tuple(100 * one.confidence for one in full), tuple(100 * one.accuracy for one in full))


def _errors(fit: TemperatureFit) -> Lines:
    most = 100 * max(one.ece for one in fit.curve)
    ascending = sorted(fit.curve, key=lambda one: one.scale)
    return Lines(
        f"Calibration error: {100 * fit.before.ece:.1f} points at the card's scale, {100 * fit.after.ece:.1f} at the "
        "fitted one",
        (
            Series("ECE", tuple(one.scale for one in ascending), tuple(100 * one.ece for one in ascending)),
            Series(f"scale {fit.after.scale:.3g}, fitted", (fit.after.scale,) * 2, (0.0, most)),
            Series(f"scale {fit.before.scale:.3g}, of the card", (fit.before.scale,) * 2, (0.0, most), quiet=True),
        ),
        "scale",
        "ECE, points",
        logarithmic=True,
    )
