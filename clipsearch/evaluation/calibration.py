"""Whether a probability of 0.8 is right in 80 of 100 photos, and which temperature makes it so. Pure numpy.

Of Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017, arXiv 1706.04599): the
reliability diagram, the expected calibration error over 15 bins, and temperature scaling, which divides all logits by
one number and so changes no order, and no accuracy.

Here `cosines` are float (photos, classes), `truth` (photos,) is the true class, `scoring` a card's: softmax or sigmoid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.cards import Scoring
from clipsearch.engine.scoring import probabilities

Cosines = NDArray[np.floating]
Truth = NDArray[np.integer]
Values = NDArray[np.float64]

BINS = 15  # as Guo et al. have them
COLDEST, HOTTEST = 1 / 32, 32.0  # between which the best temperature is looked for
_GOLDEN = (math.sqrt(5) - 1) / 2
_PRECISION = 1e-4  # of the logarithm of a temperature: 0.01 %


@dataclass(frozen=True, slots=True)
class Bin:
    """Photos of like confidence."""

    photos: int
    confidence: float  # their mean, 0..1; NaN without photos
    accuracy: float  # the share of them that is right; NaN without photos


def tempered(scoring: Scoring, temperature: float) -> Scoring:
    """The scoring whose logits are divided by `temperature`: above 1 it is less sure."""
    return replace(scoring, scale=scoring.scale / temperature, bias=scoring.bias / temperature)


def confidences(cosines: Cosines, truth: Truth, scoring: Scoring) -> tuple[Values, NDArray[np.bool_]]:
    """Of each photo the probability of the class that it is taken for (photos,), and whether that is the true one.

    Taken for that of the highest cosine, of equal ones the one with the lower number: of a sharp sigmoid more than one
    probability is 1.0.
    """
    best = cosines.argmax(axis=1)
    return probabilities(cosines, scoring)[np.arange(len(best)), best], best == truth


def bins_of_equal_width(confidence: Values, right: NDArray[np.bool_], count: int = BINS) -> tuple[Bin, ...]:
    """0..1 in `count` parts, each with its upper bound and without its lower, as Guo et al. cut it; some are empty."""
    edges = np.linspace(0, 1, count + 1)[1:-1]
    numbers = np.searchsorted(edges, confidence, side="left")
    return tuple(_bin(confidence[numbers == number], right[numbers == number]) for number in range(count))


def bins_of_equal_mass(confidence: Values, right: NDArray[np.bool_], count: int = BINS) -> tuple[Bin, ...]:
    """As many photos in each, but for one: few bins hold most photos where a model is mostly sure (Nixon et al. 2019,
    arXiv 1904.01685)."""
    order = np.argsort(confidence, kind="stable")
    return tuple(_bin(confidence[places], right[places]) for places in np.array_split(order, count))


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error, 0..1: how far confidence and accuracy are apart, each bin by its photos."""
    photos = sum(one.photos for one in bins)
    return sum(one.photos * abs(one.accuracy - one.confidence) for one in bins if one.photos) / photos


def error_by_chance(confidence: Values, count: int = BINS, draws: int = 100) -> float:
    """The calibration error, over bins of equal width, that confidences (photos,) have on average where all are true.

    It is above 0: few photos in a bin are seldom right in just that share (Vaicenavicius et al. 2019,
    arXiv 1902.06977).
    """
    random = np.random.default_rng(0)
    rights = (random.random(len(confidence)) < confidence for _ in range(draws))
    return float(np.mean([calibration_error(bins_of_equal_width(confidence, right, count)) for right in rights]))


def log_losses(cosines: Cosines, truth: Truth, scoring: Scoring) -> Values:
    """Negative log-likelihood of each photo's classes, in nats (photos,): their mean is the NLL.

    softmax: of the true class. sigmoid: of every class's yes or no, summed, as SigLIP was trained (arXiv 2303.15343).
    From logits, for the logarithm of a probability that has become 0 says nothing.
    """
    logits = scoring.scale * cosines.astype(np.float64) + scoring.bias
    if scoring.kind == "sigmoid":
        wrong_way = np.where(_is_true(logits, truth), -logits, logits)
        return np.asarray(np.logaddexp(0.0, wrong_way).sum(axis=1))
    best = logits.max(axis=1)
    whole = best + np.log(np.exp(logits - best[:, None]).sum(axis=1))
    return np.asarray(whole - logits[np.arange(len(truth)), truth])


def brier_score(shares: Values, truth: Truth) -> float:
    """The mean squared distance of probabilities (photos, classes) from what is true, summed over the classes.

    0..2 where they share one whole (Brier 1950).
    """
    return float(((shares - _is_true(shares, truth)) ** 2).sum(axis=1).mean())


def best_temperature(cosines: Cosines, truth: Truth, scoring: Scoring) -> float:
    """The temperature of the smallest NLL, COLDEST..HOTTEST.

    NLL is convex in the inverse temperature, so it has one valley over its logarithm too, and golden sections find it
    (Kiefer 1953). COLDEST where all photos are recognised: then more certainty is always better.
    """
    return math.exp(
        _valley(
            lambda log: float(log_losses(cosines, truth, tempered(scoring, math.exp(log))).mean()),
            math.log(COLDEST),
            math.log(HOTTEST),
        )
    )


def _bin(confidence: Values, right: NDArray[np.bool_]) -> Bin:
    if not len(confidence):
        return Bin(0, math.nan, math.nan)
    return Bin(len(confidence), float(confidence.mean()), float(right.mean()))


def _is_true(table: Values, truth: Truth) -> NDArray[np.bool_]:
    """(photos, classes): at each photo's own class."""
    return np.asarray(np.arange(table.shape[1]) == truth[:, None])


def _valley(height: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is lowest."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = height(left), height(right)
    while high - low > _PRECISION:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = height(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = height(right)
    return (low + high) / 2
