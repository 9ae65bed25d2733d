"""Figures of an embedding space beside cases counted by hand, and beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.evaluation import geometry
from clipsearch.evaluation.geometry import (
    class_similarities,
    dimensions_for,
    effective_rank,
    matched_cosines,
    modality_gap,
    nearest,
    neighbour_accuracy,
    occurrences,
    pair_curves,
    silhouettes,
    skewness,
    spectrum,
)

# Two photos of a class 60 degrees apart, and one of another class at right angles to the first.
THREE = np.array([[1, 0], [0.5, 3**0.5 / 2], [0, 1]], np.float32)
TRUTH = np.array([0, 0, 1])


def clouds(count: int, classes: int, dim: int = 12) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, classes, count)
    vectors = rng.standard_normal((classes, dim))[truth] + rng.standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


def test_a_photo_is_not_compared_with_itself() -> None:
    """With itself, class 0 would be alike by 0.75, and small classes would look tight."""
    found = class_similarities(THREE, TRUTH, 3)
    assert found[0, 0] == pytest.approx(0.5)
    assert found[0, 1] == found[1, 0] == pytest.approx(3**0.5 / 4)  # 0 and cos 30°
    assert np.isnan(found[1, 1]) and np.isnan(found[2]).all()  # one photo, and none


def test_pairs_count_once_and_by_their_kind() -> None:
    """Each pair twice, or photos with themselves: a second hump at 1."""
    edges = np.array([-1.0, 0.25, 0.75, 1.0])
    same, other = pair_curves(THREE, TRUTH, edges)
    assert same.tolist() == [0, 1, 0] and other.tolist() == [0.5, 0, 0.5]
    vectors, truth = clouds(1200, 3)  # more than are compared at once
    fine = np.linspace(-1, 1, 2001)
    same, other = pair_curves(vectors, truth, fine)
    middles = (fine[1:] + fine[:-1]) / 2
    wanted = class_similarities(vectors, truth, 3)
    counts = np.bincount(truth)
    assert same @ middles == pytest.approx(np.average(np.diag(wanted), weights=counts * (counts - 1)), abs=1e-3)
    assert np.isnan(pair_curves(vectors[:1], truth[:1], fine)[0]).all()


def test_pairs_of_many_photos_are_those_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the photos took a hundred times as long, in silence."""
    vectors, _ = clouds(1200, 3)
    edges, everyone = np.linspace(-1, 1, 5), np.arange(1200)
    whole = pair_curves(vectors, everyone, edges)[1]
    monkeypatch.setattr(geometry, "MOST_PAIRED", 300)
    found = pair_curves(vectors, everyone, edges)[1]
    pairs = found * (300 * 299 / 2)
    assert pairs == pytest.approx(pairs.round(), abs=1e-6) and whole.tolist() != found.tolist()
    assert found == pytest.approx(whole, abs=0.02)
    assert found.tolist() == pair_curves(vectors, everyone, edges)[1].tolist()


def test_of_equal_neighbours_the_first_come_first() -> None:
    """Copies of one photo would change places from one run to the next, and hubs with them."""
    found = np.array([[1, 0]] + [[0, 1]] * 700 + [[0.6, 0.8]], np.float32)
    assert nearest(found[1:2], found, 4).tolist() == [[1, 2, 3, 4]]
    assert nearest(found[:1], found, 3).tolist() == [[0, 701, 1]]
    assert nearest(found[:1], found[:1], 3, are_same=True).shape == (1, 0)


def test_silhouettes_are_those_by_hand_and_of_scikit_learn() -> None:
    """A mean that holds the photo itself is too good, and by more in small classes."""
    from sklearn import metrics

    # Photo 0: 0.5 to its own, 1 to the other class. Photo 1: 0.5 and 1 - cos 30°. Photo 2 is alone.
    near = 1 - 3**0.5 / 2
    assert silhouettes(THREE, TRUTH, 2).tolist() == pytest.approx([0.5, (near - 0.5) / 0.5, 0])
    vectors, truth = clouds(300, 5)
    ours = silhouettes(vectors, truth, 6)  # the sixth has no photo, and is nobody's neighbour
    assert np.allclose(ours, metrics.silhouette_samples(vectors, truth, metric="cosine"), atol=1e-5)


def test_nobody_is_its_own_neighbour_and_the_nearest_comes_first() -> None:
    """Leave-one-out with oneself left in is always right."""
    assert nearest(THREE, THREE, 5, are_same=True).tolist() == [[1, 2], [2, 0], [1, 0]]
    assert nearest(THREE[:1], THREE, 2).tolist() == [[0, 1]]
    same = np.ones((4, 1), np.float32)
    assert nearest(same, same, 2, are_same=True).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    vectors, _ = clouds(1200, 3)
    found = nearest(vectors, vectors, 1, are_same=True)[:, 0]
    cosines = vectors @ vectors.T - 9 * np.eye(len(vectors))
    assert (found == cosines.argmax(axis=1)).mean() > 0.999 and (found != np.arange(1200)).all()


def test_neighbours_vote_and_the_nearest_breaks_a_tie() -> None:
    """The class with the lowest number would win every tie, and look good."""
    truth = np.array([1, 0, 1, 0])
    assert neighbour_accuracy(np.array([[2, 1], [3, 0], [0, 3], [2, 1]]), truth, 2) == 0.75
    assert neighbour_accuracy(np.array([[2, 1, 3], [3, 0, 2], [1, 3, 0], [1, 2, 0]]), truth, 2) == 0.0


def test_neighbours_vote_as_in_scikit_learn() -> None:
    """A figure of one's own cannot be compared with anybody's."""
    from sklearn import model_selection, neighbors

    vectors, truth = clouds(150, 2)
    theirs = model_selection.cross_val_score(
        neighbors.KNeighborsClassifier(5, metric="cosine"), vectors, truth, cv=model_selection.LeaveOneOut()
    ).mean()
    ours = neighbour_accuracy(nearest(vectors, vectors, 5, are_same=True), truth, 2)
    assert ours == pytest.approx(theirs)  # five votes for two classes: no ties


def test_a_hub_is_a_neighbour_of_all() -> None:
    """Skewness of distances, or with the wrong sign, would call a space even that has hubs."""
    counts = occurrences(np.array([[1], [0], [0], [0], [0]]), 6)
    assert counts.tolist() == [4, 1, 0, 0, 0, 0]
    # About the mean of 5/6 in sixths: 19, 1 and four times -5. Squares sum to 462, cubes to 6360.
    assert skewness(counts) == pytest.approx((6360 / 6) / (462 / 6) ** 1.5)
    assert skewness(np.full(6, 3)) == 0 and skewness(-counts) == -skewness(counts)


def test_the_spectrum_is_of_variances_about_the_mean() -> None:
    """Without centring the mean itself is the first direction; and singular values are no variances."""
    vectors = np.array([[5, 2, 0], [5, -2, 0], [5, 0, 1], [5, 0, -1]], np.float32)  # variances 8 : 2, about (5, 0, 0)
    shares = spectrum(vectors)
    assert shares.tolist() == pytest.approx([0.8, 0.2, 0])
    assert [dimensions_for(shares, share) for share in (0.5, 0.8, 0.9, 1.0)] == [1, 1, 2, 2]
    assert effective_rank(shares) == pytest.approx(0.8**-0.8 * 0.2**-0.2)
    assert effective_rank(np.full(7, 1 / 7)) == pytest.approx(7) and effective_rank(np.array([1.0, 0.0])) == 1
    assert spectrum(np.eye(8, 64, dtype=np.float32)).tolist() == pytest.approx([1 / 7] * 7)  # 8 points span 7


def test_the_gap_is_between_means_and_not_between_pairs() -> None:
    """The mean distance of right pairs is another figure, and never 0 where each text is somewhat off."""
    images = np.array([[1, 0], [0, 1]], np.float32)
    assert modality_gap(images, images[::-1]) == pytest.approx(0)
    assert modality_gap(images, -images) == pytest.approx(2**0.5)
    texts = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    # (0.5, 0.5) and (1.6/3, 0.6): hand.
    assert modality_gap(images, texts) == pytest.approx(((0.1 / 3) ** 2 + 0.1**2) ** 0.5, abs=1e-6)


def test_wrong_pairs_are_all_but_the_right_ones() -> None:
    """A mean over all pairs is neither, and with few photos close to both."""
    images = np.array([[1, 0], [0, 1]], np.float32)
    texts = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    right, wrong = matched_cosines(images, texts, np.array([0, 0, 1]))
    assert (right, wrong) == (pytest.approx((1 + 0.6 + 1) / 3), pytest.approx(0.8 / 3))
    assert np.isnan(matched_cosines(images[:1], texts[:1], np.array([0]))[1])
