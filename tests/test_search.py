"""Ranking: six hand-made vectors are enough to see what is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.errors import UsageError
from clipsearch.search import best, best_of_chunks, cosines, mixture


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


def test_equal_scores_come_in_the_order_of_ids() -> None:
    """The same question asked twice must give the same list."""
    ids, _ = best(np.array([9, 3, 5]), np.array([0.5, 0.5, 0.7], np.float32), 3)
    assert ids.tolist() == [5, 3, 9]
