"""Figures of a classifier: from scores and the true classes. Pure numpy.

Each has a definition that others share; the tests compare them with cases counted by hand, with scikit-learn and with
CLIP-benchmark. Those differ from here, and from each other, only where scores are equal: scikit-learn's
top_k_accuracy_score lets the class with the higher number win, torch.topk (CLIP-benchmark) any.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]  # (photos, classes), higher is more likely
Classes = NDArray[np.integer]  # (photos,), the true one
Present = NDArray[np.bool_]  # (photos,), whether what is asked for is there


def ranks(scores: Scores, truth: Classes) -> NDArray[np.int64]:
    """How many classes stand before the true one (photos,): below k, it is among the k best.

    Of equal scores the class with the lower number wins.
    """
    own = np.take_along_axis(scores, truth[:, None], axis=1)
    before = (scores > own).sum(axis=1)
    equal = (scores == own) & (np.arange(scores.shape[1]) < truth[:, None])
    return np.asarray(before + equal.sum(axis=1), np.int64)


def confusion(scores: Scores, truth: Classes) -> NDArray[np.int64]:
    """(classes, classes): how many photos of the class of the row were taken for the class of the column."""
    classes = scores.shape[1]
    pairs = truth * classes + scores.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_accuracies(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """From a confusion matrix: the share of each class that was recognised; NaN for a class without photos."""
    photos = matrix.sum(axis=1)
    return np.where(photos > 0, np.diag(matrix) / np.maximum(photos, 1), np.nan)


def average_precision(
    scores: NDArray[np.floating], present: Present, counts: NDArray[np.number] | None = None
) -> float:
    """Of photos ordered by their scores (photos,), the precision at each that is right, averaged: 0..1, NaN for none.

    That of scikit-learn's average_precision_score: no interpolation, and photos of equal scores come at once, so that
    their order cannot matter. `counts`: how often each photo is there; by default once.
    """
    weights = np.ones((1, len(scores))) if counts is None else counts[None]
    return float(average_precisions(scores, present, weights)[0])


def average_precisions(
    scores: NDArray[np.floating], present: Present, counts: NDArray[np.number]
) -> NDArray[np.float64]:
    """The same of many drawings of the photos at once: counts (drawings, photos), one figure each."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of each run of equal scores
    drawn = counts[:, order]
    seen = drawn.cumsum(axis=1)[:, last]
    right = (drawn * present[order]).cumsum(axis=1)[:, last]
    steps = np.diff(right, prepend=0, axis=1)
    total = right[:, -1]
    return np.asarray((steps * right / np.maximum(seen, 1)).sum(axis=1) / np.where(total > 0, total, np.nan))


def chance_precision(present: int, photos: int) -> float:
    """The average precision that photos in random order have on average, where `present` of them are right.

    More than their share, for a photo that is right counts itself: Bestgen 2015, "Exact Expected Average Precision of
    the Random Baseline for System Evaluation".
    """
    if photos == 1:
        return 1.0
    harmonic = float((1 / np.arange(1, photos + 1)).sum())
    return (present - 1) / (photos - 1) + harmonic / photos * (photos - present) / (photos - 1)


def exact_sign_test(one: int, other: int) -> float:
    """McNemar's exact test, 0..1, of photos that only one of two classifiers gets right: `one` and `other` many.

    How likely equally good ones share them out so unevenly, or more so.
    """
    photos, fewer = one + other, min(one, other)
    steps = np.arange(1, fewer + 1)
    ways = np.append(0.0, np.cumsum(np.log((photos + 1 - steps) / steps)))  # logarithms of "photos choose count"
    return min(1.0, float(2 * np.exp(ways - photos * math.log(2)).sum()))
