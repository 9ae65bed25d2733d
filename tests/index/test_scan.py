"""Scans find what sorting all products finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.index import scan


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 400),
    dim=st.integers(1, 40),
    count=st.integers(1, 120),
    block=st.sampled_from([7, 64, 1000]),
    kind=st.sampled_from([np.int8, np.float16]),
    share=st.sampled_from([None, 0.0, 0.1, 0.9]),
    seed=st.integers(0, 1000),
)
def test_the_best_rows_are_those_of_all_products(
    rows: int, dim: int, count: int, block: int, kind: type[np.generic], share: float | None, seed: int
) -> None:
    """A hit that is lost between two blocks, or behind rows that may not answer, is lost in silence."""
    random = np.random.default_rng(seed)
    matrix = (random.standard_normal((rows, dim)) * 40).astype(kind)
    query = (random.standard_normal(dim) * 40).astype(kind)
    ids = random.permutation(3 * rows)[:rows]
    accepted = None if share is None else random.random(2 * rows) < share  # ids beyond its end may not answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_BLOCK", block)
        found = scan.best_rows(query, matrix, count, ids, accepted)
    products = matrix.astype(np.float64) @ query.astype(np.float64)
    may = np.ones(rows, bool) if accepted is None else np.array([i < len(accepted) and accepted[i] for i in ids])
    assert may[found].all() and len(set(found.tolist())) == len(found)
    if count >= rows:  # nothing is left out
        assert sorted(found.tolist()) == np.flatnonzero(may).tolist()
        return
    best = np.sort(products[may])[::-1][:count]
    assert np.allclose(np.sort(products[found])[::-1], best, rtol=1e-3, atol=1e-2)
