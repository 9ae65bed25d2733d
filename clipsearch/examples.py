"""Photos that show what labels mean: a folder with a folder for each label, and what they teach."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clipsearch.encoding import Engine
from clipsearch.engine.scoring import logits
from clipsearch.errors import SystemFault, UsageError
from clipsearch.labels.calibration import separate_calibration, shared_calibration
from clipsearch.labels.verdicts import rivals_of
from clipsearch.photos import listed
from clipsearch.types import FailedFile, Failure, Fitted, LabelSet

UNKNOWN = "unknown"  # the folder of photos that are none of the labels
NONE = -1


@dataclass(frozen=True, slots=True)
class Examples:
    photos: tuple[bytes, ...]
    labels: tuple[int, ...]  # of each photo, its place among the labels that are asked, or NONE


@dataclass(frozen=True, slots=True)
class FittedLabels:
    labels: LabelSet
    photos: dict[str, int]  # label -> how many of it could be read
    none: int  # how many that are none of them
    failures: tuple[FailedFile, ...]


def example_folders(folder: Path) -> list[str]:
    """The labels that have a folder of examples. Raises SystemFault where there is no such folder."""
    if not folder.is_dir():
        raise SystemFault(
            f"{folder} is no folder.", f"Name a folder with one folder for each label: {folder}/cat/1.jpg"
        )
    names = sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    return [name for name in names if name != UNKNOWN]


def examples_in(folder: Path, labels: LabelSet) -> Examples:
    """Raises UsageError for a folder whose name is no label that is asked, and where there are no photos."""
    places = {label.name: place for place, label in enumerate(labels.labels)}
    if strange := next((name for name in example_folders(folder) if name not in places), None):
        raise UsageError(
            f"{folder / strange} is named as none of the labels.",
            f'A folder has the name of its label, as "{labels.labels[0].name}"; '
            f'photos that are none of them go into "{UNKNOWN}".',
        )
    found = [
        (path, place)
        for name, place in {UNKNOWN: NONE, **places}.items()
        if (folder / name).is_dir()
        for path in listed(os.fsencode(folder / name))
    ]
    if not any(place != NONE for _, place in found):
        raise UsageError(
            f"There are no photos of a label in {folder}.", f"Expected: {folder}/{labels.labels[0].name}/1.jpg"
        )
    return Examples(tuple(path for path, _ in found), tuple(place for _, place in found))


def fitted_labels(
    engine: Engine,
    labels: LabelSet,
    examples: Examples,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FittedLabels:
    """The labels with what the examples have taught, in the place of what they were taught before.

    Raises SystemFault where none of the photos can be read.
    """
    vectors, truth, failures = [], [], []
    for place, outcome in enumerate(engine.each_image(examples.photos)):
        if isinstance(outcome, Failure):
            failures.append(FailedFile(examples.photos[place], outcome.reason, 1))
        else:
            vectors.append(outcome)
            truth.append(examples.labels[place])
        progress(place + 1, len(examples.photos))
    if not vectors:
        raise SystemFault("None of the examples can be read.", f"The first reason: {failures[0].reason}")
    fitted = _fitted(engine, labels, np.stack(vectors), truth)
    counts = {label.name: truth.count(place) for place, label in enumerate(labels.labels)}
    return FittedLabels(fitted, counts, truth.count(NONE), tuple(failures))


def _fitted(engine: Engine, labels: LabelSet, photos: np.ndarray, truth: Sequence[int]) -> LabelSet:
    scoring = engine.card.scoring
    matrix = engine.label_vectors(labels)
    scores, of = logits(photos @ matrix.T, scoring), np.array(truth)
    if scoring.kind == "softmax":
        rivals = logits(rivals_of(photos, engine.rivals(labels, matrix)), scoring) if NONE in truth else None
        found = shared_calibration(scores, of, rivals)
    else:
        found = separate_calibration(scores, of)
    asked = tuple(
        replace(label, slope=float(slope), bias=float(bias))
        for label, slope, bias in zip(labels.labels, found.slopes, found.biases, strict=True)
    )
    return LabelSet(asked, labels.groups, Fitted(engine.card.name, engine.card.scoring_fingerprint, found.unknown))
