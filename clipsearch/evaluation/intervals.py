"""How sure a measured figure is: 95 % intervals by the percentile bootstrap (Efron 1979). Pure numpy.

What was measured once is drawn anew, with replacement, a thousand times; the interval holds the middle 95 % of what
comes out. The seed is fixed: one measurement has one interval. What is always right, or always wrong, has an interval
without width, whatever the number of photos: of few photos it says too little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
Strata = NDArray[np.integer]

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
    itself, or the interval would be wider than it is by how much the groups differ.
    """
    measured = np.asarray(values, np.float64)
    totals = _totals(measured[:, None], strata)[:, 0]
    return _interval(float(measured.mean()), totals / len(measured))


def difference_interval(first: ArrayLike, second: ArrayLike, strata: Strata | None = None) -> Interval:
    """How much the mean of `first` (units,) is above that of `second`, measured on the same units.

    Drawn in pairs: a photo that is hard for one is mostly hard for the other, which two intervals side by side do not
    know.
    """
    return mean_interval(np.asarray(first, np.float64) - np.asarray(second, np.float64), strata)


def ratio_interval(parts: ArrayLike, wholes: ArrayLike) -> Interval:
    """The sum of `parts` (units,) over the sum of `wholes` (units,), a unit drawn with all that belongs to it."""
    both = np.stack([np.asarray(parts, np.float64), np.asarray(wholes, np.float64)], axis=1)
    part, whole = both.sum(axis=0)
    totals = _totals(both, None)
    return _interval(float(part / max(whole, 1)), totals[:, 0] / np.maximum(totals[:, 1], 1))


def _interval(value: float, drawn: Values) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _totals(values: Values, strata: Strata | None) -> Values:
    """Sums (draws, columns) of `values` (units, columns), each over as many units as there are."""
    random = np.random.default_rng(0)
    totals = np.zeros((_DRAWS, values.shape[1]))
    for members in _members(len(values), strata):
        own, step = values[members], max(1, _TOGETHER // len(members))
        for start in range(0, _DRAWS, step):
            drawn = random.integers(0, len(own), (min(step, _DRAWS - start), len(own)))
            totals[start : start + step] += own[drawn].sum(axis=1)
    return totals


def _members(units: int, strata: Strata | None) -> Iterator[NDArray[np.intp]]:
    if strata is None:
        yield np.arange(units)
        return
    order = np.argsort(strata, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)
