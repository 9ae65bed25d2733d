"""Label probabilities are those of the model's own formula, whatever its scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from clipsearch.engine.cards import Scoring
from clipsearch.engine.scoring import probabilities

COSINES = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1, 1, width=32, allow_nan=False)
)
SCALES = st.floats(0.5, 1e4)


def test_softmax_is_what_the_hand_computes() -> None:
    """Without the scale these three would come out nearly equal: 0.34, 0.33 and 0.33."""
    cosines = np.array([[0.30, 0.28, 0.25]], np.float32)
    parts = [math.exp(100 * (cosine - 0.30)) for cosine in (0.30, 0.28, 0.25)]
    expected = [part / sum(parts) for part in parts]
    found = probabilities(cosines, Scoring("softmax", 100.0))
    assert np.allclose(found, [expected], atol=1e-5)
    assert expected[0] == pytest.approx(0.876, abs=0.001)


def test_each_photo_has_its_own_softmax() -> None:
    """Summed over photos instead of labels, one good photo would take the probability of all others."""
    found = probabilities(np.array([[0.9, 0.1], [0.1, 0.1]], np.float32), Scoring("softmax", 10.0))
    assert np.allclose(found[1], [0.5, 0.5])


def test_sigmoid_is_what_the_hand_computes() -> None:
    """Without the bias every label of a SigLIP model would be certain: sigmoid(11) instead of sigmoid(-1)."""
    cosines = np.array([[0.10, 0.15], [-0.2, 0.0]], np.float32)
    expected = [[1 / (1 + math.exp(1)), 1 / (1 + math.exp(-4.5))], [1 / (1 + math.exp(34)), 1 / (1 + math.exp(12))]]
    assert np.allclose(probabilities(cosines, Scoring("sigmoid", 110.0, -12.0)), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("scale", [1e3, 1e6, 1e300])
def test_no_scale_overflows(kind: str, scale: float) -> None:
    """exp(1000) is infinite, and infinity / infinity is a probability of NaN."""
    found = probabilities(np.array([[1.0, -1.0, 0.5]], np.float32), Scoring(kind, scale))  # type: ignore[arg-type]
    assert np.allclose(found, [[1, 0, 0]] if kind == "softmax" else [[1, 0, 1]])


@given(COSINES, SCALES)
def test_softmax_rows_sum_to_one(cosines: np.ndarray, scale: float) -> None:
    """A table of percentages that do not add up is not believed."""
    found = probabilities(cosines, Scoring("softmax", scale))
    assert found.shape == cosines.shape and found.dtype == np.float64
    assert np.allclose(found.sum(axis=1), 1)


@given(COSINES, SCALES, st.floats(-20, 20))
def test_probabilities_are_between_zero_and_one_and_keep_the_order(
    cosines: np.ndarray, scale: float, bias: float
) -> None:
    """The most probable label must be the one with the highest cosine, for both formulas."""
    for scoring in (Scoring("softmax", scale), Scoring("sigmoid", scale, bias)):
        found = probabilities(cosines, scoring)
        assert ((found >= 0) & (found <= 1)).all()
        by_cosine = np.take_along_axis(found, np.argsort(cosines, axis=1), axis=1)
        assert (np.diff(by_cosine, axis=1) >= 0).all()


@given(COSINES, SCALES, st.floats(-20, 20))
def test_a_bias_changes_nothing_under_softmax(cosines: np.ndarray, scale: float, bias: float) -> None:
    """It is added to every label alike; a version that lets it through has confused the two formulas."""
    assert np.allclose(
        probabilities(cosines, Scoring("softmax", scale, bias)), probabilities(cosines, Scoring("softmax", scale))
    )


@given(COSINES, SCALES, st.floats(-20, 20))
def test_sigmoid_judges_each_pair_on_its_own(cosines: np.ndarray, scale: float, bias: float) -> None:
    """Another label in the list must not change what this one scores."""
    scoring = Scoring("sigmoid", scale, bias)
    assert np.array_equal(probabilities(cosines, scoring)[:, :1], probabilities(cosines[:, :1], scoring))
