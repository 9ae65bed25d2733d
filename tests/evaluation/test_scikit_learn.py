"""The figures beside scikit-learn's, on the same random scores; and that a likely mistake would show."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.evaluation.metrics import average_precision, class_accuracies, confusion
from tests.support.accuracy import accuracy

reference = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")


@pytest.fixture(scope="module", params=range(3))
def judged(request: pytest.FixtureRequest) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
    """Scores that prefer the true class; classes unequally common, the last without a photo."""
    rng = np.random.default_rng(request.param)
    truth = np.minimum(rng.geometric(0.3, 500) - 1, 7)
    return rng.standard_normal((500, 9)) + 1.2 * np.eye(9)[truth], truth


def test_accuracy_is_scikit_learns(judged: tuple[NDArray[np.floating], NDArray[np.integer]]) -> None:
    scores, truth = judged
    for k in (1, 2, 5, 8):
        wanted = reference.top_k_accuracy_score(truth, scores, k=k, labels=np.arange(9))
        assert accuracy(scores, truth, k) == pytest.approx(wanted, abs=1e-12)
        assert abs(accuracy(scores, truth, k + 1) - wanted) > 0.002  # a rank late
        assert abs(accuracy(-scores, truth, k) - wanted) > 0.002 or k == 8  # turned round


def test_equal_scores_are_the_one_difference() -> None:
    """scikit-learn lets the higher number win, argmax and clipsearch the lower: on distinct scores nobody can tell."""
    equal, truth = np.zeros((4, 4)), np.arange(4)
    assert accuracy(equal, truth) == reference.accuracy_score(truth, equal.argmax(axis=1)) == 0.25
    first = np.array([0, 0, 0, 0])
    assert accuracy(equal, first) == reference.accuracy_score(first, equal.argmax(axis=1)) == 1.0
    assert reference.top_k_accuracy_score(first, equal, k=1, labels=truth) == 0.0


def test_confusion_and_its_shares_are_scikit_learns(
    judged: tuple[NDArray[np.floating], NDArray[np.integer]],
) -> None:
    scores, truth = judged
    taken = scores.argmax(axis=1)
    matrix = confusion(scores, truth)
    wanted = reference.confusion_matrix(truth, taken, labels=np.arange(9))
    assert np.array_equal(matrix, wanted) and not np.array_equal(matrix.T, wanted)
    present = taken < 8  # or scikit-learn warns of a class that was taken for and is not there
    shares = class_accuracies(confusion(scores[present], truth[present]))
    balanced = reference.balanced_accuracy_score(truth[present], taken[present])
    assert np.nanmean(shares) == pytest.approx(balanced, abs=1e-12)
    assert abs(np.nan_to_num(shares).mean() - balanced) > 0.005  # a class without photos is no zero
    assert abs(np.mean(taken[present] == truth[present]) - balanced) > 0.001


@pytest.mark.parametrize("steps", [4, 20, 10_000])
def test_average_precision_is_scikit_learns(steps: int) -> None:
    """Also where many scores are equal, as those of a quantised model may be."""
    rng = np.random.default_rng(steps)
    apart = 0.0
    for _ in range(50):
        scores = np.round(rng.random(60) * steps) / steps
        present = rng.random(60) < 0.05 + 0.3 * scores
        present[rng.integers(60)] = True
        wanted = reference.average_precision_score(present, scores)
        assert average_precision(scores, present) == pytest.approx(wanted, abs=1e-12)
        apart = max(apart, abs(_in_order_of_the_file(scores, present) - wanted))
    assert (apart > 0.05) == (steps < 10_000)


def _in_order_of_the_file(scores: NDArray[np.floating], present: NDArray[np.bool_]) -> float:
    """Equal scores one after the other, as CLIP-benchmark and many scripts have them."""
    right = present[np.argsort(-scores, kind="stable")]
    return float((right.cumsum() / np.arange(1, len(right) + 1))[right].mean())
