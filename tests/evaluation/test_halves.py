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
    assert np.abs(first - second).max() <= 1
    odd = halves(np.repeat(np.arange(6), 3))  # the one more would always go to one side
    assert len(odd.choosing) == len(odd.telling) == 9


def test_the_halves_are_the_same_every_time_and_not_the_order_of_the_files() -> None:
    """Files of one camera lie together: the first half of them is another kind of photo than the second."""
    truth = np.repeat([0, 1], 20)
    assert np.array_equal(halves(truth).choosing, halves(truth).choosing)
    assert 2 < (halves(truth).choosing < 10).sum() < 8


@pytest.mark.parametrize("classes", [[0], [3, 3, 3, 3]])
def test_photos_of_one_class_are_refused(classes: list[int]) -> None:
    """Of ten classes nine could not be read: what is left is recognised by anything, and fitted by any scale."""
    with pytest.raises(UsageError, match="are of 1 class"):
        halves(np.array(classes))


@pytest.mark.parametrize("classes", [[0, 1], [0, 0, 1]])
def test_a_half_of_one_class_is_refused(classes: list[int]) -> None:
    """A scale fitted on one photo of one class is the coldest there is."""
    with pytest.raises(UsageError, match="too few"):
        halves(np.array(classes))
    assert len(halves(np.array([0, 0, 1, 1])).choosing) == 2
