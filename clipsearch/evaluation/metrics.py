"""Figures of a classifier: from scores and the true classes. Pure numpy.

Each has a definition that others share; the tests compare them with cases counted by hand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]  # (photos, classes), higher is more likely
Classes = NDArray[np.integer]  # (photos,), the true one


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
