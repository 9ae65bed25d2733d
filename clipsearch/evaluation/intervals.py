"""How sure a measured figure is: 95 % intervals by the percentile bootstrap (Efron 1979). Pure numpy.

What was measured once is drawn anew, with replacement, a thousand times; the interval holds the middle 95 % of what
comes out. The seed is fixed: one measurement has one interval. What is always right, or always wrong, has an interval
without width, whatever the number of photos: of few photos it says too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
Strata = NDArray[np.integer]
Places = NDArray[np.intp]

_DRAWS = 1000
_TOGETHER = 2**22  # places that are drawn at once: 32 MiB


@dataclass(frozen=True, slots=True)
class Interval:
    value: float  # as measured
    low: float  # of the 95 % interval
    high: float


def mean_interval(values: ArrayLike, strata: Strata | None = None) -> Interval:
    """The mean of `values` (units,): a share where they are hits.

    `strata` (units,): groups whose sizes were fixed by who took the sample, as classes are. Each is drawn within
    itself, or the interval would be wider than it is by how much the groups differ; those of one unit are drawn
    together.
    """
    measured = np.asarray(values, np.float64)
    return _mean_interval(measured, np.ones_like(measured), strata)


def difference_interval(first: ArrayLike, second: ArrayLike, strata: Strata | None = None) -> Interval:
    """How much the mean of `first` (units,) is above that of `second`, measured on the same units.

    Drawn in pairs: a photo that is hard for one is mostly hard for the other, which two intervals side by side do not
    know.
    """
    return mean_interval(np.asarray(first, np.float64) - np.asarray(second, np.float64), strata)


def class_mean_interval(hits: ArrayLike, truth: NDArray[np.integer]) -> Interval:
    """The mean of the classes' own means of `hits` (photos,), each class counting the same; `truth` (photos,)."""
    _, places, sizes = np.unique(truth, return_inverse=True, return_counts=True)
    weights = len(truth) / (len(sizes) * sizes[places])
    return _mean_interval(np.asarray(hits, np.float64), weights, truth)


def ratio_interval(parts: ArrayLike, wholes: ArrayLike) -> Interval:
    """The sum of `parts` (units,) over the sum of `wholes` (units,), a unit drawn with all that belongs to it."""
    both = np.stack([np.asarray(parts, np.float64), np.asarray(wholes, np.float64)], axis=1)
    part, whole = both.sum(axis=0)
    totals = _totals(both, [np.arange(len(both))])
    return _interval(float(part / max(whole, 1)), totals[:, 0] / np.maximum(totals[:, 1], 1))


def _mean_interval(values: Values, weights: Values, strata: Strata | None) -> Interval:
    """`weights` (units,), 1 on average. No end lies beyond the least and the greatest of the values."""
    weighted = values * weights
    groups = [np.arange(len(values))] if strata is None else _groups(np.asarray(strata))
    spread = weighted if strata is None else _spread(weighted, groups)
    totals = _totals(spread[:, None], groups)[:, 0]
    return _interval(float(weighted.mean()), np.clip(totals / len(values), values.min(), values.max()))


def _interval(value: float, drawn: Values) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _totals(values: Values, groups: Sequence[Places]) -> Values:
    """Sums (draws, columns) of `values` (units, columns), each over as many units as there are."""
    random = np.random.default_rng(0)
    totals = np.zeros((_DRAWS, values.shape[1]))
    for members in groups:
        own, step = values[members], max(1, _TOGETHER // len(members))
        for start in range(0, _DRAWS, step):
            drawn = random.integers(0, len(own), (min(step, _DRAWS - start), len(own)))
            totals[start : start + step] += own[drawn].sum(axis=1)
    return totals


def _groups(strata: Strata) -> list[Places]:
    """Which units are drawn within which group. A unit alone has no others: it goes to those that are alone as well,
    or to the smallest group."""
    order = np.argsort(strata, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)
    several, alone = [one for one in groups if len(one) > 1], [one for one in groups if len(one) == 1]
    if len(alone) == 1 and several:
        alone.append(several.pop(min(range(len(several)), key=lambda place: len(several[place]))))
    return [*several, np.concatenate(alone)] if alone else several


def _spread(values: Values, groups: Sequence[Places]) -> Values:
    """The same means, and deviations that are by sqrt(n / (n - 1)) greater in each group of n.

    Those from a group's own mean are so much smaller than those from the true one (Bessel). Of a hundred photos that
    is nothing; of two it is 41 %, and intervals without it hold the truth in 88 % instead of 95 %.
    """
    spread = values.copy()
    for members in groups:
        own, count = values[members], len(members)
        spread[members] = own.mean() + (own - own.mean()) * np.sqrt(count / max(count - 1, 1))
    return spread
