"""From a few examples to what is added to the labels' logits. Pure numpy, deterministic.

A model likes some words more than others whatever a photo shows: with the starter "a photo of bird." is above its place
and "a photo of horse." below. A few photos of each label tell that. Where the labels share one whole there is a
sharpness for all of them and a bias for each (Guo et al. 2017, arXiv 1706.04599, "vector scaling" with one scale);
where each stands alone, both for each (Platt 1999). They are the maximum of a likelihood with a prior that says "as the
model has it", so one photo a label moves little and a wrong one cannot turn anything round.

How many photos there are of a label says nothing of how frequent it is, so the fit is corrected for that (King & Zeng
2001, "Logistic Regression in Rare Events Data", 4.1): a label counts as often as any other, and photos that are none of
them as often as all labels together. What that gains: docs/labels.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Objective = Callable[[Floats], tuple[float, Floats, Floats]]  # parameters -> value, gradient, Hessian

# The prior: where a value lies before a photo was seen, in logits. Between 0.5 and 2 the gain is much the same.
BIAS_SPREAD = 1.0
SLOPE_SPREAD = 0.5  # around 1
LEAST_SLOPE = 0.1  # below 0 the best label would become the worst; photos in wrong folders pull there
_STEPS = 100
_ENOUGH = 1e-9  # of the gradient
_DIGITS = 4  # that are kept: a file is for people


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A label's logit times its slope, plus its bias. Without examples: 1 and 0."""

    slopes: Floats  # (labels,)
    biases: Floats  # (labels,)
    unknown: float  # bias of what a label must stand up to (softmax only); 0 without photos that are none of them


def shared_calibration(logits: Floats, truth: NDArray[np.int64], rivals: Floats | None = None) -> Calibration:
    """For labels that share one whole: one slope for all, a bias for each.

    `logits` are (photos, labels), `truth` (photos,) the label of each, or -1 for none of them. `rivals` (photos,) are
    the logits of what a label must stand up to; without them photos of none take no part. Labels without a photo take
    no part either and keep the bias 0, which is the mean of the others': biases sum to zero, as the prior pulls them.
    """
    count = logits.shape[1]
    if rivals is None or not (truth < 0).any():
        logits, truth = logits[truth >= 0], truth[truth >= 0]
    else:
        logits, truth = np.column_stack([logits, rivals]), np.where(truth < 0, count, truth)
    photos = np.bincount(truth, minlength=logits.shape[1])
    shown = np.flatnonzero(photos)
    if not len(shown):
        return Calibration(np.ones(count), np.zeros(count), 0.0)
    # Photos here : photos where it is used, of each column.
    offsets = np.log(photos[shown]) - np.log(np.where(shown == count, count, 1))
    found = _least(_softmax_objective(logits[:, shown], np.searchsorted(shown, truth), offsets), 1 + len(shown))
    biases = np.zeros(count + 1)
    biases[shown] = np.round(found[1:], _DIGITS)
    slopes = np.full(count, np.round(found[0], _DIGITS), np.float64)
    return Calibration(slopes, biases[:count], float(biases[count]))


def separate_calibration(logits: Floats, truth: NDArray[np.int64]) -> Calibration:
    """For labels that stand alone: Platt's scaling of each against the photos of all others, and of none (-1).

    Where it is used a label is as often as any other, so it meets count - 1 times as many photos of others as of its
    own; and count times as many of none more, where there are examples of those.
    """
    count = logits.shape[1]
    others = count - 1 + (count if (truth < 0).any() else 0)
    slopes, biases = np.ones(count), np.zeros(count)
    for label in range(count):
        own = truth == label
        if own.any() and not own.all():
            offset = float(np.log(own.sum()) - np.log((~own).sum()) + np.log(others))
            slopes[label], biases[label] = _least(_sigmoid_objective(logits[:, label], own, offset), 2)
    return Calibration(np.round(slopes, _DIGITS), np.round(biases, _DIGITS), 0.0)


# -- what is minimised: the parameters are the slope, then biases ---------------------------------


def _softmax_objective(logits: Floats, truth: NDArray[np.int64], offsets: Floats) -> Objective:
    rows = np.arange(len(logits))

    def at(parameters: Floats) -> tuple[float, Floats, Floats]:
        scores = parameters[0] * logits + parameters[1:] + offsets
        scores = scores - scores.max(axis=1, keepdims=True)
        sums = np.log(np.exp(scores).sum(axis=1))
        shares = np.exp(scores - sums[:, None])
        wrong = shares.copy()
        wrong[rows, truth] -= 1
        means = (shares * logits).sum(axis=1)
        spread = logits - means[:, None]
        mixed = (shares * spread).sum(axis=0)
        hessian = np.diag(np.concatenate([[(shares * spread**2).sum()], shares.sum(axis=0)]))
        hessian[1:, 1:] -= shares.T @ shares
        hessian[0, 1:] = hessian[1:, 0] = mixed
        gradient = np.concatenate([[(wrong * logits).sum()], wrong.sum(axis=0)])
        return float((sums - scores[rows, truth]).sum()), gradient, hessian

    return _with_prior(at)


def _sigmoid_objective(logits: Floats, own: NDArray[np.bool_], offset: float) -> Objective:
    columns = np.column_stack([logits, np.ones(len(logits))])

    def at(parameters: Floats) -> tuple[float, Floats, Floats]:
        scores = columns @ parameters + offset
        loss = np.logaddexp(0.0, np.where(own, -scores, scores)).sum()
        shares = np.exp(-np.logaddexp(0.0, -scores))
        hessian = (columns * (shares * (1 - shares))[:, None]).T @ columns
        return float(loss), columns.T @ (shares - own), hessian

    return _with_prior(at)


def _with_prior(likelihood: Objective) -> Objective:
    def at(parameters: Floats) -> tuple[float, Floats, Floats]:
        value, gradient, hessian = likelihood(parameters)
        away = parameters - _start(len(parameters))
        weights = np.full(len(parameters), BIAS_SPREAD**-2.0)
        weights[0] = SLOPE_SPREAD**-2.0
        return value + float(weights @ away**2) / 2, gradient + weights * away, hessian + np.diag(weights)

    return at


def _start(count: int) -> Floats:
    """As the model has it."""
    start = np.zeros(count)
    start[0] = 1.0
    return start


def _least(objective: Objective, count: int) -> Floats:
    """The one minimum with a slope that is not below the least: a convex function has it there or on that edge."""
    found = _newton(objective, _start(count), 0)
    if found[0] >= LEAST_SLOPE:
        return found
    edge = _start(count)
    edge[0] = LEAST_SLOPE
    return _newton(objective, edge, 1)


def _newton(objective: Objective, at: Floats, held: int) -> Floats:
    """Newton's steps, halved until they go down; the first `held` parameters stay. The prior makes it convex."""
    for _ in range(_STEPS):
        value, gradient, hessian = objective(at)
        if np.abs(gradient[held:]).max() < _ENOUGH:
            break
        step = np.zeros(len(at))
        step[held:] = np.linalg.solve(hessian[held:, held:], gradient[held:])
        size = 1.0
        # 1e-4: Armijo's condition (Nocedal & Wright 2006, 3.1); at the limit of float64 no step goes down any more.
        while objective(at - size * step)[0] > value - 1e-4 * size * float(gradient @ step) and size > 1e-6:
            size /= 2
        at = at - size * step
    return at
