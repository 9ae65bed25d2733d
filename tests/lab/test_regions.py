"""Regions of a map and what they are called."""

from __future__ import annotations

import numpy as np

from clipsearch.lab.regions import names, regions

# 32 texts, so that the two best of a region may name it: a cat, a dog, then what fits nothing.
TEXTS = ["a cat", "a dog", *(f"text {number}" for number in range(30))]
BANK = np.eye(32, dtype=np.float32)


def photos(cats: int, dogs: int, others: int) -> tuple[np.ndarray, np.ndarray]:
    kinds = np.repeat([0, 1, 20], [cats, dogs, others])
    return 0.2 + 0.3 * BANK[kinds].astype(np.float32), np.repeat([0, 1, 2], [cats, dogs, others])


def test_regions_are_what_lies_together() -> None:
    """Torn clusters, or two as one, have names that fit neither."""
    rng = np.random.default_rng(1)
    middles = np.array([[0.0, 0], [9, 0], [0, 9], [9, 9]])
    places = np.concatenate([rng.normal(middle, 0.3, (8, 2)) for middle in middles])  # 32 photos: four regions
    found = regions(places)
    assert sorted(np.unique(found)) == [0, 1, 2, 3]
    assert all(len(set(group)) == 1 for group in found.reshape(4, 8).tolist())
    assert regions(np.zeros((9, 2))).tolist() == [0] * 9  # on one spot there is one region
    assert np.array_equal(found, regions(places))


def test_a_region_is_named_by_what_sets_it_apart() -> None:
    """The text that fits everything best would name every region."""
    vectors, region = photos(5, 4, 6)
    vectors[:, 31] = 0.9  # all of them show it, and cats a little more
    vectors[:5, 31] = 0.92
    assert names(vectors, region, TEXTS, BANK) == ["a cat", "a dog", "text 18"]


def test_a_region_without_a_clear_name_has_none() -> None:
    """A wrong name on a map is worse than none."""
    vectors, region = photos(5, 4, 6)
    vectors[0:3, 0], vectors[5:11, 0] = 0.1, 0.3  # most cats look less like one than other photos do
    assert names(vectors, region, TEXTS, BANK)[0] is None
    vectors, region = photos(5, 4, 6)
    vectors[:, 2:5] = 0.8  # cats differ by "a cat", and it is only the fourth that fits them
    assert names(vectors, region, TEXTS, BANK)[0] is None
    vectors, region = photos(2, 6, 6)
    assert names(vectors, region, TEXTS, BANK)[0] is None  # two photos have anything in common
    assert names(vectors, np.zeros(14, np.int64), TEXTS, BANK) == [None]  # apart from nothing


def test_no_name_is_given_twice() -> None:
    """Two places called "a cat": which one is it?"""
    vectors, _ = photos(9, 4, 60)
    region = np.repeat([0, 1, 2, 3], [4, 5, 4, 60])
    vectors[:9] += 0.3 * BANK[2]
    found = names(vectors, region, TEXTS, BANK)
    assert found[1] == "a cat" and found[0] != "a cat"
