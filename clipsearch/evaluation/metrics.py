"""Figures of a classifier: from scores and the true classes. Pure numpy.

Each has a definition that others share; the tests compare them with cases counted by hand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]  # 95 %, of a figure
Scores = NDArray[np.floating]  # (photos, classes), higher is more likely
Classes = NDArray[np.integer]  # (photos,), the true one

_DRAWS = 1000  # of the bootstrap
_TAILS = (0.025, 0.975)


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


def mean_class_recall(matrix: NDArray[np.int64]) -> float:
    """The mean of what was recognised of each class, 0..1, as CLIP-benchmark has it: classes without photos are out."""
    return float(np.nanmean(class_accuracies(matrix)))


def share_interval(share: float, count: int) -> Interval:
    """Where a share of `count` photos lies when photos are drawn anew: the number of hits is then binomial."""
    low, high = np.quantile(np.random.default_rng(0).binomial(count, share, _DRAWS) / count, _TAILS)
    return float(low), float(high)


def mean_class_recall_interval(matrix: NDArray[np.int64]) -> Interval:
    """The same for the mean of the classes: photos drawn anew change how many each class has, too."""
    hits = np.diag(matrix)
    cells = np.concatenate([hits, matrix.sum(axis=1) - hits])  # recognised of each class, and not
    drawn = np.random.default_rng(0).multinomial(cells.sum(), cells / cells.sum(), _DRAWS)
    good, bad = np.split(drawn, 2, axis=1)
    with np.errstate(invalid="ignore"):  # a class that no photo was drawn of has no share
        low, high = np.quantile(np.nanmean(good / (good + bad), axis=1), _TAILS)
    return float(low), float(high)
