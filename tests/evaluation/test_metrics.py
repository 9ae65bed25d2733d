"""Figures of a classifier beside cases counted by hand, each with the mistake it would show."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.evaluation.metrics import class_accuracies, confusion, ranks
from tests.support.accuracy import accuracy

# Three photos of class 0, one of class 1, none of class 2.
TRUTH = np.array([0, 0, 0, 1])
SCORES = np.array([[0.9, 0.05, 0.05], [0.2, 0.3, 0.5], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1]])


def test_accuracy_counts_photos_and_not_classes() -> None:
    """The mean over classes would be 0.67: class 0 has a third, class 1 all."""
    assert accuracy(SCORES, TRUTH) == 0.5
    assert accuracy(SCORES, TRUTH, 2) == 0.75
    assert accuracy(SCORES, TRUTH, 3) == accuracy(SCORES, TRUTH, 5) == 1.0


def test_of_equal_scores_the_first_class_wins_as_in_argmax() -> None:
    """A model that says the same of all classes must not be right with every photo."""
    equal = np.zeros((4, 4))
    assert ranks(equal, np.arange(4)).tolist() == [0, 1, 2, 3]
    assert accuracy(equal, np.arange(4)) == 0.25


def test_confusion_has_the_truth_in_rows() -> None:
    """Turned round, it would say that class 2 is taken for class 0."""
    assert confusion(SCORES, TRUTH).tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]


def test_a_class_without_photos_is_no_zero() -> None:
    """0 % would be a claim about photos that were never shown."""
    first, second, third = class_accuracies(confusion(SCORES, TRUTH))
    assert (first, second) == (pytest.approx(1 / 3), 1.0)
    assert np.isnan(third)


def test_chance_is_chance() -> None:
    """Random scores over ten classes."""
    rng = np.random.default_rng(0)
    scores, truth = rng.random((20_000, 10)), rng.integers(0, 10, 20_000)
    assert accuracy(scores, truth) == pytest.approx(0.1, abs=0.01)
    assert accuracy(scores, truth, 5) == pytest.approx(0.5, abs=0.02)
