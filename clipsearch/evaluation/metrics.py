"""Figures of a classifier: from scores and the true classes. Pure numpy.

Each has a definition that others share; the tests compare them with cases counted by hand.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]  # (photos, classes), higher is more likely
Classes = NDArray[np.integer]  # (photos,), the true one

_DRAWS = 10_000  # of the bootstrap


def accuracy(scores: Scores, truth: Classes, k: int = 1) -> float:
    """Share of the photos whose class is among the k best, 0..1. Of equal scores the class with the lower number wins.

    k beyond the number of classes is all of them: 1.0.
    """
    return float((ranks(scores, truth) < k).mean())


def ranks(scores: Scores, truth: Classes) -> NDArray[np.int64]:
    """How many classes stand before the true one (photos,)."""
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


def share_interval(hits: NDArray[np.bool_]) -> tuple[float, float]:
    """The 95 % interval of the share of hits (photos,), photos drawn anew: a bootstrap.

    How many of n photos drawn from them are hits is binomial, so that is drawn instead of the photos.
    """
    drawn = np.random.default_rng(0).binomial(len(hits), hits.mean(), _DRAWS) / len(hits)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def exact_sign_test(one: int, other: int) -> float:
    """McNemar's exact test, 0..1, of photos that only one of two classifiers gets right: `one` and `other` many.

    How likely equally good ones share them out so unevenly, or more so.
    """
    tail = sum(math.comb(one + other, count) for count in range(min(one, other) + 1))
    return min(1.0, float(2 * tail / 2 ** (one + other)))
