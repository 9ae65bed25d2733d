"""Intervals hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.evaluation.intervals import (
    Interval,
    class_mean_interval,
    difference_interval,
    mean_interval,
    ratio_interval,
)

TRIALS = 200


def held(truth: float, intervals: list[Interval]) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in intervals]))


def test_of_two_hundred_shares_about_95_percent_are_in_their_interval() -> None:
    """An interval that holds less lets chance pass for a finding; one that holds all says nothing."""
    random = np.random.default_rng(1)
    assert 0.90 <= held(0.7, [mean_interval(random.random(120) < 0.7) for _ in range(TRIALS)]) <= 0.99


def test_classes_of_unlike_accuracy_are_drawn_each_for_itself() -> None:
    """Drawn together, the interval also holds how the number of hard classes varies, which it does not."""
    random = np.random.default_rng(2)
    classes = np.repeat(np.arange(4), 30)
    random.shuffle(classes)
    shares = np.array([0.98, 0.9, 0.1, 0.02])
    measured = [random.random(120) < shares[classes] for _ in range(TRIALS)]
    within = [mean_interval(one, classes) for one in measured]
    assert 0.88 <= held(0.5, within) <= 0.98
    plain = mean_interval(measured[0])
    assert plain.high - plain.low > 1.5 * (within[0].high - within[0].low)


@pytest.mark.parametrize("photos", [2, 3])
def test_classes_of_two_and_three_photos_have_intervals_that_hold(photos: int) -> None:
    """Two photos differ from their own mean by half of what they differ by: such intervals held 88 %."""
    random = np.random.default_rng(5)
    shares = random.random(40)
    classes = np.repeat(np.arange(40), photos)
    found = [mean_interval(random.random(len(classes)) < shares[classes], classes) for _ in range(2 * TRIALS)]
    assert 0.93 <= held(shares.mean(), found) <= 0.98


def test_classes_of_one_photo_are_drawn_together() -> None:
    """Each drawn from itself, a thousand photos say a share to the last digit, which they do not know."""
    hits = np.arange(1000) % 5 < 3
    each, plain = mean_interval(hits, np.arange(1000)), mean_interval(hits)
    assert (each.low, each.high) == pytest.approx((plain.low, plain.high), abs=0.003)
    one = mean_interval([1, 0, 1, 1], np.array([0, 0, 0, 1]))  # with the others: there is no second one
    assert 0 <= one.low < one.value < one.high <= 1
    assert mean_interval([1], np.array([0])) == Interval(1, 1, 1)


def test_no_interval_leaves_what_a_mean_can_be() -> None:
    """A share of 121 %."""
    assert mean_interval([1, 0], np.array([0, 0])) == Interval(0.5, 0, 1)
    of_classes = class_mean_interval([1, 0, 1, 0, 1], np.array([0, 0, 1, 1, 1]))
    assert of_classes.low >= 0 and of_classes.high <= 1


def test_a_difference_is_drawn_in_pairs() -> None:
    """Two templates err on the same photos: intervals side by side would hide every gain."""
    random = np.random.default_rng(3)
    found = []
    for _ in range(TRIALS):
        hard = random.random(300)
        found.append(difference_interval(hard < 0.7, hard < 0.65))
    assert 0.90 <= held(0.05, found) <= 0.99
    hard = random.random(300)
    pair = difference_interval(hard < 0.7, hard < 0.65)
    assert pair.high - pair.low < 0.06  # by hand: 2 * 1.96 * sqrt(0.05 * 0.95 / 300) = 0.049; unpaired 0.15
    assert pair.value == pytest.approx(np.mean(hard < 0.7) - np.mean(hard < 0.65))


def test_what_belongs_together_is_drawn_together() -> None:
    """Five captions of one photo, all hits or none, are one photo's worth of evidence."""
    hits = np.arange(40) % 2 * 5
    whole = ratio_interval(hits, np.full(40, 5))
    each = mean_interval(np.repeat(hits / 5, 5))
    assert whole.value == each.value == 0.5
    assert whole.high - whole.low > 1.8 * (each.high - each.low)


def test_a_ratio_counts_what_each_unit_has() -> None:
    """A photo with one caption and a photo with nine are not half each."""
    assert ratio_interval([1, 0], [1, 9]).value == pytest.approx(0.1)


def test_one_measurement_has_one_interval_and_order_of_the_classes_is_nothing() -> None:
    """A report that changes when it is made again is not believed."""
    hits, classes = np.array([1, 0, 1, 1, 0, 1]), np.array([1, 0, 1, 0, 0, 1])
    assert mean_interval(hits, classes) == mean_interval(hits, classes)
    order = np.argsort(classes, kind="stable")
    assert mean_interval(hits, classes) == mean_interval(hits[order], classes[order])


def test_the_mean_of_classes_counts_each_class_once() -> None:
    """Nine of ten photos of one class hide that the other is never recognised."""
    found = class_mean_interval([1] * 9 + [0], np.array([0] * 9 + [3]))
    assert found.value == pytest.approx(0.5)


def test_the_interval_of_a_mean_of_classes_is_as_wide_as_those_of_its_classes() -> None:
    """Too narrow, a difference by chance passes for one of models."""
    found = class_mean_interval([1] * 60 + [0] * 40 + [1] * 80 + [0] * 20, np.repeat([0, 1], 100))
    # 1.96 deviations: the variance of a mean of two shares is (.6 * .4 / 100 + .8 * .2 / 100) / 4.
    assert (found.low, found.high) == pytest.approx((0.7 - 0.062, 0.7 + 0.062), abs=0.01)
