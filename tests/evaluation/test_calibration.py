"""Calibration beside scikit-learn, and cases by hand where a plausible wrong version says something else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from clipsearch.engine.cards import Scoring
from clipsearch.engine.scoring import probabilities
from clipsearch.evaluation.calibration import (
    COLDEST,
    HOTTEST,
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
from tests.support.accuracy import accuracy

SOFTMAX = Scoring("softmax", 100.0)
SIGMOID = Scoring("sigmoid", 110.0, -14.0)
BOTH = pytest.mark.parametrize("scoring", [SOFTMAX, SIGMOID], ids=["softmax", "sigmoid"])


def cosines_of(photos: int, scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of five classes, and truths drawn from softmax(scale * cosines): `scale` is the true one."""
    random = np.random.default_rng(seed)
    cosines = random.normal(0.2, 0.03, (photos, 5)).astype(np.float32)
    shares = probabilities(cosines, Scoring("softmax", scale))
    truth = (shares.cumsum(axis=1) < random.random((photos, 1))).sum(axis=1)
    return cosines, truth.clip(max=4)


def test_nll_and_brier_score_are_scikit_learns() -> None:
    """Figures under these names are compared with those of papers."""
    cosines, truth = cosines_of(300, 60)
    shares = probabilities(cosines, SOFTMAX)
    classes = list(range(5))
    assert log_losses(cosines, truth, SOFTMAX).mean() == pytest.approx(log_loss(truth, shares, labels=classes))
    assert brier_score(shares, truth) == pytest.approx(brier_score_loss(truth, shares, labels=classes))


def test_a_sigmoids_nll_is_that_of_every_yes_and_no() -> None:
    """Only of the true class, a model that says yes to everything would be the best."""
    cosines, truth = cosines_of(300, 60)
    pairs, said = np.eye(5)[truth].ravel(), probabilities(cosines, SIGMOID).ravel()
    assert log_losses(cosines, truth, SIGMOID).mean() == pytest.approx(5 * log_loss(pairs, said))


@pytest.mark.parametrize("kind", ["uniform", "quantile"])
def test_the_reliability_curve_is_scikit_learns(kind: str) -> None:
    """A diagram that is shifted by a bin shows a model as surer than it is."""
    cosines, truth = cosines_of(600, 40)
    confidence, right = confidences(cosines, truth, SOFTMAX)
    bins = (bins_of_equal_width if kind == "uniform" else bins_of_equal_mass)(confidence, right, 12)
    accuracy, mean = calibration_curve(right, confidence, n_bins=12, strategy=kind)
    full = [one for one in bins if one.photos]
    np.testing.assert_allclose([one.accuracy for one in full], accuracy)
    np.testing.assert_allclose([one.confidence for one in full], mean)


def test_a_confidence_on_an_edge_is_of_the_bin_below_and_certainty_of_the_last() -> None:
    """Guo et al. cut (0, 0.2], (0.2, 0.4]: the other way, what is certain falls out of the last bin."""
    bins = bins_of_equal_width(np.array([0.2, 0.4, 0.41, 1.0, 0.0]), np.ones(5, np.bool_), 5)
    assert [one.photos for one in bins] == [2, 1, 1, 0, 1]


def test_bins_weigh_as_much_as_their_photos_and_empty_ones_nothing() -> None:
    """By hand: 3 of 4 photos at 0.9 are right, that is 0.15 apart; one at 0.5 is wrong, 0.5 apart; so 0.22.

    Each bin alike would give 0.325, and with the empty ones NaN.
    """
    bins = bins_of_equal_width(np.array([0.9, 0.9, 0.9, 0.9, 0.5]), np.array([1, 1, 1, 0, 0], np.bool_))
    assert calibration_error(bins) == pytest.approx((4 * 0.15 + 1 * 0.5) / 5)
    assert sum(one.photos == 0 for one in bins) == 13 and all(
        math.isnan(one.accuracy) for one in bins if not one.photos
    )


def test_confidence_is_that_of_what_is_said_and_not_of_what_is_true() -> None:
    """The true class's probability, taken instead, is low exactly where a model errs: every model looks calibrated."""
    cosines = np.log([[0.7, 0.3], [0.2, 0.8]])
    confidence, right = confidences(cosines, np.array([1, 1]), Scoring("softmax", 1.0))
    assert confidence == pytest.approx([0.7, 0.8]) and right.tolist() == [False, True]


def test_the_photos_of_a_bin_are_averaged_before_they_are_compared() -> None:
    """By hand: 0.8 right and 0.8 wrong are 0.3 apart together; photo by photo they would be 0.5 apart."""
    right = np.array([True, False])
    assert calibration_error(bins_of_equal_width(np.array([0.8, 0.8]), right)) == pytest.approx(0.3)


def test_bins_of_equal_mass_have_as_many_photos_each() -> None:
    """By their width a sure model has all photos in one bin, whose mean hides what is wrong within."""
    confidence = np.linspace(0.95, 1, 31)
    assert {one.photos for one in bins_of_equal_mass(confidence, confidence > 0.97)} == {2, 3}
    assert sum(one.photos > 0 for one in bins_of_equal_width(confidence, confidence > 0.97)) == 1


def test_the_brier_score_sums_over_all_classes() -> None:
    """By hand: (1 - 0.7)² + 0.2² + 0.1² = 0.14; of the true class alone 0.09."""
    assert brier_score(np.array([[0.7, 0.2, 0.1]]), np.array([0])) == pytest.approx(0.14)


def test_what_is_certain_and_wrong_has_a_large_loss_and_not_an_infinite_one() -> None:
    """The probability is 0 in float64, and the logarithm of 0 would end every fit."""
    losses = log_losses(np.array([[1.0, -1.0]]), np.array([1]), Scoring("softmax", 1000.0))
    assert losses.tolist() == [2000.0]


@BOTH
def test_a_temperature_changes_no_order(scoring: Scoring) -> None:
    """An accuracy that changes with it is a sign that something else was changed."""
    cosines, truth = cosines_of(200, 60)
    for temperature in (0.02, 0.1, 3.0, 30.0):  # at 0.02 a sigmoid says 1.0 of more classes than one
        right = confidences(cosines, truth, tempered(scoring, temperature))[1]
        assert right.mean() == accuracy(cosines, truth)


@BOTH
@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 4.0])
def test_the_temperature_that_made_the_truths_is_found(scoring: Scoring, true_temperature: float) -> None:
    """Fitted the wrong way round (1/T) a model that is too sure would be made surer."""
    random = np.random.default_rng(4)
    cosines = random.normal(0.13, 0.03, (20_000, 2)).astype(np.float32)
    made = Scoring(scoring.kind, scoring.scale / true_temperature, scoring.bias / true_temperature)
    if scoring.kind == "softmax":
        truth = (random.random(20_000) > probabilities(cosines, made)[:, 0]).astype(np.int64)
    else:  # one class, and one that never is: yes or no of the first alone
        cosines[:, 1] = -1
        truth = (random.random(20_000) > probabilities(cosines, made)[:, 0]).astype(np.int64)
        cosines[:, 1] = np.where(truth == 1, 1, -1)  # the second is always told right, at any temperature
    assert best_temperature(cosines, truth, scoring) == pytest.approx(true_temperature, rel=0.1)


@BOTH
def test_no_temperature_beside_the_best_is_better(scoring: Scoring) -> None:
    """A search that ends on a slope gives a scale that looks fitted."""
    cosines, truth = cosines_of(400, 50, seed=5)
    best = best_temperature(cosines, truth, scoring)
    least = log_losses(cosines, truth, tempered(scoring, best)).mean()
    for one in np.geomspace(COLDEST * 1.001, HOTTEST / 1.001, 200):
        assert log_losses(cosines, truth, tempered(scoring, float(one))).mean() >= least - 1e-9


def test_where_all_are_recognised_more_certainty_is_always_better() -> None:
    """NLL has no least value then: the end of the range is given, for the report to say so."""
    cosines = np.array([[0.3, 0.1], [0.1, 0.3]], np.float32)
    assert best_temperature(cosines, np.array([0, 1]), SOFTMAX) == pytest.approx(COLDEST, rel=1e-3)
    assert best_temperature(cosines, np.array([1, 0]), SOFTMAX) == pytest.approx(HOTTEST, rel=1e-3)


def test_a_calibrated_model_has_an_error_by_chance_that_goes_with_more_photos() -> None:
    """An ECE of 5 points of 200 photos is no finding; it is what 200 photos give."""
    few, many = (np.random.default_rng(6).uniform(0.3, 0.9, count) for count in (200, 20_000))
    assert 0.03 < error_by_chance(few) < 0.12 and error_by_chance(many) < 0.012
    measured = np.random.default_rng(7).random(200) < few
    assert abs(calibration_error(bins_of_equal_width(few, measured)) - error_by_chance(few)) < 0.04
