"""Measures what a few examples of each label are worth: accuracy on the other photos, before and after.

    python experiments/labels/calibration.py CLASSES [--model FOLDER ...] [--per-class N]

CLASSES is a folder of class folders. Examples are drawn at random, ten times; the table has the mean, and the draw that
gained least. The second table draws half of the classes as labels: photos of the others are none of them, and some of
those are examples of that. A model is a folder with card.toml; without one the starter is measured. Prints the tables
of docs/labels.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch import Engine
from clipsearch.engine.scoring import logits
from clipsearch.evaluation.labelled import labelled_photos
from clipsearch.labels import calibration
from clipsearch.labels.calibration import shared_calibration
from clipsearch.labels.sets import label_set
from clipsearch.labels.verdicts import rivals_of

DRAWS = 10
COUNTS = (1, 3, 10)  # examples of each label
SPREADS = (0.25, 0.5, 1.0, 2.0, 4.0)

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classes", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--per-class", type=int, default=40)
    arguments = parser.parse_args()
    photos = labelled_photos(arguments.classes, arguments.per_class)
    for model in arguments.model or ["starter"]:
        with Engine(model) as engine:
            vectors = engine.encode_images(photos.pictures).vectors
            print(f"\n**{engine.card.name}**, {len(vectors):,} photos\n")
            print_accuracies(engine, vectors, photos.truth, photos.classes)
            print_unknown(engine, vectors, photos.truth, photos.classes)


def print_accuracies(engine: Engine, vectors: NDArray[np.float32], truth: Places, names: tuple[str, ...]) -> None:
    scores = logits(vectors @ engine.label_vectors(label_set(names)).T, engine.card.scoring)
    print("| examples of each | before | after | least gain | " + " | ".join(f"spread {one}" for one in SPREADS) + " |")
    print("| --- " * (4 + len(SPREADS)) + "|")
    for count in COUNTS:
        rows = np.array([draw(scores, truth, count, seed) for seed in range(DRAWS)])
        after = rows[:, 1 + SPREADS.index(1.0)]
        row = [rows[:, 0].mean(), after.mean(), (after - rows[:, 0]).min(), *rows[:, 1:].mean(axis=0)]
        print(f"| {count} | {' | '.join(f'{value:.3f}' for value in row)} |")


def draw(scores: Floats, truth: Places, count: int, seed: int) -> list[float]:
    """Accuracy on the rest before, and after with each spread of the prior."""
    examples = drawn(truth, count, np.random.default_rng(seed))
    rest = np.setdiff1d(np.arange(len(truth)), examples)
    found = [float((scores.argmax(axis=1) == truth)[rest].mean())]
    for spread in SPREADS:
        calibration.BIAS_SPREAD = spread
        fitted = shared_calibration(scores[examples], truth[examples])
        found.append(float(((scores * fitted.slopes + fitted.biases).argmax(axis=1) == truth)[rest].mean()))
    calibration.BIAS_SPREAD = 1.0
    return found


def print_unknown(engine: Engine, vectors: NDArray[np.float32], truth: Places, names: tuple[str, ...]) -> None:
    head = ("examples of each", "of none", "unknown told", "known right", "mean")
    print(f"\n| {' | '.join(head)} |\n{'| --- ' * len(head)}|")
    for count, none in [(0, 0), *((count, none) for count in COUNTS for none in (0, 3, 10))]:
        rows = [halved(engine, vectors, truth, names, count, none, seed) for seed in range(DRAWS)]
        told, right = np.mean(rows, axis=0)
        print(f"| {count} | {none} | {told:.2f} | {right:.2f} | {(told + right) / 2:.3f} |")


def halved(
    engine: Engine,
    vectors: NDArray[np.float32],
    classes: Places,
    names: tuple[str, ...],
    count: int,
    none: int,
    seed: int,
) -> tuple[float, float]:
    """With half of the classes as labels: what share of the photos of none is told, and of the others is right."""
    random = np.random.default_rng(seed)
    known = np.sort(random.permutation(len(names))[: len(names) // 2])
    truth = np.where(np.isin(classes, known), np.searchsorted(known, classes), -1)
    labels = label_set([names[one] for one in known])
    matrix = engine.label_vectors(labels)
    scores = logits(vectors @ matrix.T, engine.card.scoring)
    rivals = logits(rivals_of(vectors, engine.rivals(labels, matrix)), engine.card.scoring)
    of_labels = drawn(np.where(truth < 0, len(known), truth), count, random)
    examples = np.concatenate([of_labels[truth[of_labels] >= 0], random.permutation(np.flatnonzero(truth < 0))[:none]])
    fitted = shared_calibration(scores[examples], truth[examples], rivals[examples])
    after = scores * fitted.slopes + fitted.biases
    said = np.where(after.max(axis=1) >= rivals * fitted.slopes[0] + fitted.unknown, after.argmax(axis=1), -1)
    rest = np.setdiff1d(np.arange(len(truth)), examples)
    is_none = truth[rest] < 0
    return float((said[rest][is_none] == -1).mean()), float((said == truth)[rest][~is_none].mean())


def drawn(truth: Places, count: int, random: np.random.Generator) -> Places:
    """So many places of each class."""
    return np.concatenate([random.permutation(np.flatnonzero(truth == one))[:count] for one in range(truth.max() + 1)])


if __name__ == "__main__":
    main()
