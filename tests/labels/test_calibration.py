"""What a few examples add to the labels' logits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from clipsearch.labels.calibration import (
    BIAS_SPREAD,
    LEAST_SLOPE,
    SLOPE_SPREAD,
    separate_calibration,
    shared_calibration,
)

Floats = NDArray[np.float64]


def photos(seed: int, count: int, labels: int) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Logits of photos, some of none of the labels, of a model with likings of its own; and those of a rival."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, labels, count)
    logits = rng.normal(20, 1, (count, labels)) + rng.normal(0, 2, labels)
    logits[np.flatnonzero(truth >= 0), truth[truth >= 0]] += 2
    return logits, truth, rng.normal(21, 1, count) + (truth < 0)


def test_one_photo_of_each_of_two_labels_by_hand() -> None:
    """The definition itself: photos (1, 0) and (1, 0) of the labels 0 and 1.

    With d = b0 - b1 and b0 = -b1 the loss is log(1 + e^-(g + d)) + log(1 + e^(g + d)) + d²/4 + 2 (g - 1)², whose
    derivatives are 0 where tanh((g + d) / 2) = -d / 2 = -4 (g - 1): g = 1 + d / 8, so tanh((1 + 9 d / 8) / 2) = -d / 2.
    """
    found = shared_calibration(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    gap = found.biases[0] - found.biases[1]
    assert gap == pytest.approx(-0.4664, abs=2e-4)  # bisected
    assert np.tanh((1 + 9 * gap / 8) / 2) == pytest.approx(-gap / 2, abs=2e-4)
    assert found.slopes.tolist() == pytest.approx([1 + gap / 8] * 2, abs=1e-4)
    assert found.unknown == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_where_another_minimiser_finds_it(seed: int) -> None:
    """A wrong derivative would stop somewhere near, and nobody would see."""
    logits, truth, rivals = photos(seed, 30, 5)
    all_ = np.column_stack([logits, rivals])
    columns = np.where(truth < 0, 5, truth)
    frequent = np.bincount(columns, minlength=6) / np.array([1, 1, 1, 1, 1, 5])

    def loss(parameters: Floats) -> float:
        scores = parameters[0] * all_ + parameters[1:] + np.log(frequent)
        of_truth = scores[np.arange(len(scores)), columns]
        prior = ((parameters[0] - 1) / SLOPE_SPREAD) ** 2 + ((parameters[1:] / BIAS_SPREAD) ** 2).sum()
        return float((np.logaddexp.reduce(scores, axis=1) - of_truth).sum() + prior / 2)

    wanted = minimize(loss, np.r_[1.0, np.zeros(6)], method="BFGS", options={"gtol": 1e-6}).x
    found = shared_calibration(logits, truth, rivals)
    assert [found.slopes[0], *found.biases, found.unknown] == pytest.approx(wanted.tolist(), abs=2e-4)


def test_labels_that_stand_alone_are_fitted_each_by_itself() -> None:
    """SigLIP's labels do not share a whole."""
    logits, truth, _ = photos(7, 40, 3)
    logits -= 25
    found = separate_calibration(logits, truth)
    for label in range(3):
        own = truth == label

        def loss(parameters: Floats, own: NDArray[np.bool_] = own, column: Floats = logits[:, label]) -> float:
            scores = parameters[0] * column + parameters[1] + np.log(5 * own.sum() / (~own).sum())  # 2 others, 3 none
            prior = ((parameters[0] - 1) / SLOPE_SPREAD) ** 2 + (parameters[1] / BIAS_SPREAD) ** 2
            return float(np.logaddexp(0, np.where(own, -scores, scores)).sum() + prior / 2)

        wanted = minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-6}).x
        assert [found.slopes[label], found.biases[label]] == pytest.approx(wanted.tolist(), abs=2e-4)


@pytest.mark.parametrize("with_none", [False, True])
def test_labels_that_stand_alone_and_are_right_stay_as_they_are(with_none: bool) -> None:
    """Examples for a model whose 30 % are true 30 times in 100 made it say two labels of each photo.

    A label's evidence is normal around 1 where it is shown and around -1 elsewhere, so its log ratio is twice the
    evidence, and the logit that and the odds of 1 to the 9 others, or to the 9 and the 10 parts that are of none.
    """
    rng = np.random.default_rng(0)
    truth = rng.integers(-10 if with_none else 0, 10, 4000).clip(-1)
    evidence = rng.normal(-1, 1, (4000, 10))
    shown = np.flatnonzero(truth >= 0)
    evidence[shown, truth[shown]] += 2
    logits = 2 * evidence - np.log(19 if with_none else 9)
    few = np.concatenate([np.flatnonzero(truth == label)[: 40 + 12 * label] for label in range(-1, 10)])
    for photos in (np.arange(4000), few):  # however many examples of each there are
        found = separate_calibration(logits[photos], truth[photos])
        assert np.abs(found.biases).max() < 0.6 and abs(found.biases.mean()) < 0.2
        assert np.abs(found.slopes - 1).max() < 0.3
        shares = 1 / (1 + np.exp(-(found.slopes * logits + found.biases)))
        assert shares.sum(axis=1).mean() == pytest.approx(0.5 if with_none else 1.0, abs=0.1)  # labels a photo


def test_a_label_without_examples_stays_at_the_mean_of_the_others() -> None:
    """A label nobody gave examples of would never be said again, or always."""
    logits, truth, _ = photos(1, 30, 4)
    truth = np.where(truth == 2, 3, truth)
    found = shared_calibration(logits, truth)
    assert found.biases[2] == 0 and abs(found.biases.sum()) < 1e-3
    assert np.abs(found.biases[[0, 1, 3]]).min() > 0.01
    nothing = shared_calibration(logits[:0], truth[:0])
    assert nothing.slopes.tolist() == [1] * 4 and nothing.biases.tolist() == [0] * 4


def test_ten_times_the_photos_of_one_label_do_not_make_it_likelier() -> None:
    """Who gives 50 receipts and 5 letters has not said that receipts are ten times as frequent."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [200, 20])
    logits = rng.normal(0, 1, (220, 2))
    logits[np.arange(220), truth] += 2.0  # both alike: the model needs no bias
    found = shared_calibration(logits, truth)
    assert abs(found.biases[0] - found.biases[1]) < 0.5  # log(10) = 2.3 without the correction


def test_photos_in_the_wrong_folders_turn_nothing_round() -> None:
    """A negative slope would make the worst label the best, also of photos that were right."""
    logits = np.tile([[8.0, 0.0], [0.0, 8.0]], (20, 1))
    for found in (shared_calibration(logits, np.tile([1, 0], 20)), separate_calibration(logits, np.tile([1, 0], 20))):
        assert found.slopes.tolist() == [LEAST_SLOPE] * 2


def test_one_example_of_a_label_moves_it_less_than_the_prior_allows() -> None:
    """One odd photo must not ruin a label: here it looks like all labels but its own."""
    odd = np.full((1, 5), 10.0)
    odd[0, 2] = 0.0
    good = 10 * np.eye(5)[[0, 1, 3, 4]]
    found = shared_calibration(np.concatenate([odd, good]), np.array([2, 0, 1, 3, 4]))
    assert 0 < found.biases[2] < BIAS_SPREAD and 1 - 2 * SLOPE_SPREAD < found.slopes[0] < 1
    after = found.slopes * good + found.biases
    assert after.argmax(axis=1).tolist() == [0, 1, 3, 4]


def test_the_same_examples_give_the_same_values_in_any_order() -> None:
    """A file that changes with every fit cannot be kept under version control."""
    logits, truth, rivals = photos(3, 30, 5)
    order = np.random.default_rng(1).permutation(30)
    one, other = (
        shared_calibration(logits, truth, rivals),
        shared_calibration(logits[order], truth[order], rivals[order]),
    )
    assert one.biases.tolist() == other.biases.tolist() and one.slopes.tolist() == other.slopes.tolist()
    assert one.unknown == other.unknown
