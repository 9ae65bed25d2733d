"""What chooses does not tell."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.evaluation.halves import halves


def test_each_photo_is_on_one_side_and_each_class_on_both() -> None:
    """A photo on both sides lets luck look like skill; a class on one side is chosen for and never measured."""
    truth = np.random.default_rng(0).integers(0, 5, 101)
    parts = halves(truth)
    assert sorted([*parts.choosing, *parts.telling]) == list(range(101))
    first, second = (np.bincount(truth[one], minlength=5) for one in (parts.choosing, parts.telling))
    assert np.abs(first - second).max() <= 1 and abs(len(parts.choosing) - len(parts.telling)) <= 1


def test_the_halves_are_the_same_every_time_and_not_the_order_of_the_files() -> None:
    """Files of one camera lie together: the first half of them is another kind of photo than the second."""
    truth = np.zeros(40, np.int64)
    assert np.array_equal(halves(truth).choosing, halves(truth).choosing)
    assert 5 < (halves(truth).choosing < 20).sum() < 15


def test_one_photo_is_refused() -> None:
    """Half of one photo would be a share of nothing: NaN."""
    with pytest.raises(UsageError, match="cannot be divided"):
        halves(np.zeros(1, np.int64))
