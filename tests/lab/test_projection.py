"""Places on a map beside cases counted by hand, and which photos stand for many."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.errors import SystemFault
from clipsearch.lab.projection import neighbours_kept, own_places, pca_places, placed, spread_sample


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def groups(each: int, dim: int = 16) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Three groups of vectors that are far apart."""
    rng = np.random.default_rng(5)
    truth = np.repeat(np.arange(3), each)
    return unit(np.eye(3, dim)[truth] * 4 + rng.standard_normal((3 * each, dim)) * 0.5), truth


def test_the_widest_direction_lies_across_and_is_never_turned_round() -> None:
    """A map that is mirrored each time it is made cannot be found one's way on."""
    vectors = np.array([[3, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32)
    found = pca_places(vectors)
    assert np.abs(found).tolist() == pytest.approx(np.array([[3, 0], [3, 0], [0, 1], [0, 1]]))
    assert found[0, 0] == pytest.approx(3) and found[2, 1] == pytest.approx(1)
    order = np.array([2, 0, 3, 1])
    assert pca_places(vectors[order]) == pytest.approx(found[order])
    assert pca_places(vectors + np.float32(7)) == pytest.approx(found, abs=1e-5)  # about the mean, not the origin
    assert pca_places(np.ones((3, 1), np.float32)).tolist() == [[0, 0]] * 3  # one dimension is a line


def test_no_two_photos_lie_on_one_spot_and_the_others_stay() -> None:
    """A burst of twenty is one thumbnail, however close one comes."""
    places = np.array([[0.0, 0], [8, 4], *[[2.0, 2]] * 20])
    found = own_places(places)
    assert len({tuple(place) for place in found.round(6).tolist()}) == 22
    assert found[:2].ravel().tolist() == pytest.approx([0, 0, 1, 0.5], abs=1 / 255)
    assert np.abs(found[2:] - [0.25, 0.25]).max() < 4 / 255  # near where they belong
    distances = np.hypot(*(found[:, None] - found).transpose(2, 0, 1)) + np.eye(22)
    assert distances.min() > 0.49 / 255  # half a cell, so that a zoom parts them
    assert np.isfinite(own_places(np.zeros((5, 2)))).all()


def test_photos_that_stand_for_all_are_as_many_of_each_region_as_their_share() -> None:
    """Drawn by chance, a small region is left out now and then; the first thousand are one year's."""
    rng = np.random.default_rng(2)
    places = np.concatenate([rng.normal((0, at), (1, 0.01), (n, 2)) for at, n in ((0, 900), (5, 90), (9, 10))])
    region = np.repeat([0, 1, 2], [900, 90, 10])
    shuffled = rng.permutation(1000)
    chosen = spread_sample(places[shuffled], 100)
    assert len(set(chosen.tolist())) == 100 and (np.diff(chosen) > 0).all()
    assert np.bincount(region[shuffled][chosen]).tolist() == [90, 9, 1]
    assert spread_sample(places, 1000).tolist() == list(range(1000))
    assert spread_sample(places, 5000).tolist() == list(range(1000))


def test_neighbours_kept_are_those_of_both() -> None:
    """A share of all pairs would be near 1 for any map."""
    angles = np.radians([0, 10, 90, 100])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    good, bad = np.array([[0.0, 0], [1, 0], [9, 0], [8, 0]]), np.array([[0.0, 0], [9, 0], [1, 0], [8, 0]])
    assert neighbours_kept(vectors, good, 1) == 1 and neighbours_kept(vectors, bad, 1) == 0
    assert neighbours_kept(vectors, np.array([[0.0, 0], [1, 0], [1.5, 0], [9, 0]]), 1) == 0.5
    assert neighbours_kept(vectors, bad) == 1  # of all the others, all are kept
    many, _ = groups(250)
    assert neighbours_kept(many, np.random.default_rng(0).random((750, 2))) < 0.05


def test_umap_without_its_extra_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A map by PCA in its place would be believed to be UMAP's."""
    plain = builtins.__import__

    def without(name: str, *others: Any) -> Any:
        if name == "umap":
            raise ImportError(name)
        return plain(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemFault) as raised:
        placed(groups(5)[0], "umap")
    assert "clipsearch[lab]" in raised.value.hint and "--by pca" in raised.value.hint


@pytest.mark.slow
def test_umap_keeps_groups_together_and_repeats() -> None:
    """Another map each time, or groups that are torn."""
    pytest.importorskip("umap", reason="umap-learn is not installed")
    vectors, truth = groups(40)
    first = placed(vectors, "umap")
    assert np.array_equal(first, placed(vectors, "umap"))
    centres = np.array([first[truth == one].mean(axis=0) for one in range(3)])
    found = ((first[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (found == truth).mean() == 1
    assert neighbours_kept(vectors, first) > neighbours_kept(vectors, pca_places(vectors))
    assert len(placed(vectors[:3], "umap")) == 3  # the fewest that a map takes
