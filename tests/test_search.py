"""Ranking: six hand-made vectors are enough to see what is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.errors import UsageError
from clipsearch.search import DIVERSITY, best, best_of_chunks, cosines, diverse_order, mixture


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def test_a_mixture_is_the_unit_vector_of_the_weighted_sum() -> None:
    """Weights that are lost or squared would rank the wrong photo first."""
    mixed = mixture([unit(1, 0), unit(0, 1)], [2.0, -1.0])
    np.testing.assert_allclose(mixed, np.array([2, -1]) / np.sqrt(5), atol=1e-6)


def test_terms_that_cancel_out_are_refused() -> None:
    """ "cat - cat" has no direction; NaN scores would be shown as an answer."""
    with pytest.raises(UsageError, match="cancel"):
        mixture([unit(1, 2), unit(1, 2)], [1.0, -1.0])


def test_a_score_is_the_cosine_although_storage_rounded() -> None:
    """f16 rows are not exactly unit; a score above 1 would be nonsense."""
    rows = np.stack([unit(3, 4), unit(4, 3), unit(-3, -4)]).astype(np.float16)
    scores = cosines(unit(3, 4), rows)
    np.testing.assert_allclose(scores, [1, 0.96, -1], atol=5e-4)
    assert scores.max() <= 1


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_chunks_give_what_one_sort_gives(rows: int, k: int, chunk: int, seed: int) -> None:
    """Where a chunk ends must not change an answer, not even its last digit."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((rows, 8)).astype(np.float16)
    vectors[rows // 2] = vectors[0]  # an equal score, so that the order of ids decides
    ids = random.permutation(rows).astype(np.int64)
    query = unit(*random.standard_normal(8))
    chunks = [(ids[i : i + chunk], vectors[i : i + chunk]) for i in range(0, rows, chunk)]
    found, scores = best_of_chunks(query, chunks, k)
    expected = sorted(zip(-cosines(query, vectors), ids, strict=True))[:k]
    assert [(-score, photo) for score, photo in zip(scores, found, strict=True)] == expected


def test_all_of_many_chunks_are_sorted_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorting what is kept again with every chunk made `-k 0` of 200,000 photos wait for 10 s."""
    sorted_rows = 0

    def counting(ids: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        nonlocal sorted_rows
        sorted_rows += len(ids)
        return best(ids, scores, k)

    monkeypatch.setattr("clipsearch.search.best", counting)
    vectors = np.ones((50, 8), np.float16)
    chunks = [(np.arange(50) + 50 * n, vectors) for n in range(200)]
    ids, _ = best_of_chunks(unit(*np.ones(8)), chunks, 10_000)
    assert len(ids) == 10_000 and sorted_rows <= 3 * 10_000


def test_equal_scores_come_in_the_order_of_ids() -> None:
    """The same question asked twice must give the same list."""
    ids, _ = best(np.array([9, 3, 5]), np.array([0.5, 0.5, 0.7], np.float32), 3)
    assert ids.tolist() == [5, 3, 9]


# Rows of the identity, the second one the first again: a burst of two, and three photos unlike all others.
BURST = np.eye(5, dtype=np.float32)[[0, 0, 1, 2, 3]]
WANTED = np.array([1, 0.99, 0.8, 0.4, 0], np.float32)


def test_a_diverse_answer_shows_the_second_of_a_burst_after_what_is_unlike_it() -> None:
    """Five frames of one second would fill the screen. By hand: 0.6 wanted, less 0.4 for the same photo, is 0.194
    for the second frame, 0.48 and 0.24 for the two that follow; likeness to the latest alone would bring it third."""
    assert diverse_order(WANTED, BURST, 5) == [0, 2, 3, 1, 4]
    assert diverse_order(WANTED, BURST, 2) == [0, 2]


def test_a_diverse_order_does_not_depend_on_how_high_a_model_scores() -> None:
    """Texts score 0.1 where pictures score 0.8; without their spread every burst would win over every text."""
    assert diverse_order(WANTED * np.float32(0.05) + np.float32(0.15), BURST, 5) == [0, 2, 3, 1, 4]
    lifted = np.concatenate([BURST, np.full((5, 1), 2, np.float32)], axis=1) / np.sqrt(np.float32(5))
    assert diverse_order(WANTED, lifted, 5) == [0, 2, 3, 1, 4]  # all likenesses at least 0.8, as some models have them


def test_a_diverse_order_of_few_is_every_one_once() -> None:
    """An answer of one photo, or of one photo many times, must not divide by nothing."""
    assert diverse_order(np.empty(0, np.float32), np.empty((0, 2), np.float32), 3) == []
    assert diverse_order(np.ones(1, np.float32), unit(1, 0)[None], 3) == [0]
    assert sorted(diverse_order(np.ones(4, np.float32), np.stack([unit(1, 0)] * 4), 9)) == [0, 1, 2, 3]


def spread(values: list[float]) -> list[float]:
    return [(one - min(values)) / ((max(values) - min(values)) or 1.0) for one in values]


def maximal_marginal_relevance(scores: np.ndarray, vectors: np.ndarray, k: int) -> list[int]:
    """Carbonell and Goldstein's definition, word by word, with lambda = 1 - DIVERSITY, and both likenesses spread:
    of the D_i in R without S that with the largest lambda * Sim1(D_i, Q) - (1 - lambda) * max over D_j in S of
    Sim2(D_i, D_j)."""
    wanted = spread(scores.tolist())
    first = max(range(len(scores)), key=lambda i: wanted[i])
    least = min(float(np.dot(vectors[i], vectors[first])) for i in range(len(scores)))
    selected: list[int] = []
    while len(selected) < min(k, len(scores)):
        values = {}
        for i in set(range(len(scores))) - set(selected):
            likeness = [(float(np.dot(vectors[i], vectors[j])) - least) / max(1 - least, 1e-3) for j in selected]
            values[i] = (1 - DIVERSITY) * wanted[i] - DIVERSITY * max([0.0, *likeness])
        selected.append(max(values, key=lambda i: (values[i], -i)))
    return selected


@given(st.integers(1, 12), st.integers(1, 12), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_a_diverse_order_is_that_of_maximal_marginal_relevance(rows: int, k: int, dim: int, seed: int) -> None:
    """A running maximum that is updated with the wrong photo, or too late, still looks diverse."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((rows, dim)) + 1
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    scores = random.random(rows).astype(np.float32)
    assert diverse_order(scores, vectors, k) == maximal_marginal_relevance(scores, vectors, k)


def test_likeness_is_the_largest_and_neither_the_sum_nor_the_mean() -> None:
    """Four photos along a quarter circle, all but alike wanted: 0°, 90°, 30° and 80°.

    By hand: 0° and 90° come first, the best and the least like it. To the nearer of them 30° is alike by cos 30° = 0.87
    and 80° by cos 10° = 0.98, so 30° comes next. Summed, 30° has 0.87 + 0.5 = 1.37 and 80° 0.17 + 0.98 = 1.16, and the
    double of 90° would be shown before it; so with their mean.
    """
    angles = np.radians([0, 90, 30, 80])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    wanted = np.array([1, 0.5, 0.5, 0.5], np.float32)
    # The first is wanted most; of the others, equal in that, only likeness decides.
    assert diverse_order(wanted, vectors, 4) == [0, 1, 2, 3]


def test_the_weight_of_likeness_is_that_of_diversity() -> None:
    """By hand, beside the best: 0.6 * 0.8 - 0.4 * 0.5 = 0.28 for the second and 0.6 * 0.4 = 0.24 for the third, which
    is unlike all. Weights turned round, 0.4 and 0.6, would give 0.02 and 0.16, and show the third first."""
    vectors = np.stack([unit(1, 0, 0), unit(1, np.sqrt(3), 0), unit(0, 0, 1), unit(0, 0, 1)])
    assert diverse_order(np.array([1, 0.8, 0.4, 0], np.float32), vectors, 3) == [0, 1, 2]
