"""Ranking, in pure numpy: mixtures of vectors, exact scores, the best k. Sees arrays and ids, never paths or files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


def mixture(vectors: Sequence[Vectors], weights: Sequence[float]) -> Vectors:
    """The unit vector of a weighted sum of unit vectors.

    Raises UsageError when the parts cancel each other out, for then no direction is left.
    """
    total = np.zeros_like(vectors[0], dtype=np.float64)
    for vector, weight in zip(vectors, weights, strict=True):
        total += weight * vector.astype(np.float64)
    length = float(np.linalg.norm(total))
    if length < 1e-6 * sum(abs(weight) for weight in weights):
        raise UsageError("The terms cancel each other out.", "Change a weight, or leave a term away.")
    return np.asarray(total / length, np.float32)


def cosines(query: Vectors, vectors: NDArray[np.float16]) -> Vectors:
    """Scores float32 (n,) of stored f16 vectors (n, d) against a unit query (d,).

    Every plan ends here, so that a score does not depend on how its photo was found: each row is
    summed by itself (a matrix product would round differently with the number of rows).
    Stored vectors are rounded to f16, so they are divided by their length once more.
    """
    rows = vectors.astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, optimize=False))
    products = (rows * query).sum(axis=1, dtype=np.float32)
    return np.asarray(np.clip(products / np.maximum(lengths, np.float32(1e-12)), -1, 1), np.float32)


def best(ids: Ids, scores: Vectors, k: int) -> tuple[Ids, Vectors]:
    """The k highest scores, best first; equal scores in the order of ids, so that an answer repeats exactly."""
    order = np.lexsort((ids, -scores))[:k]
    return ids[order], scores[order]


_UNSORTED = 4096  # scores that may wait beyond twice as many as are asked for


def best_of_chunks(query: Vectors, chunks: Iterable[tuple[Ids, NDArray[np.float16]]], k: int) -> tuple[Ids, Vectors]:
    """The k best of vectors that come in chunks, in memory for one chunk and the scores of some 2 k rows."""
    kept: list[tuple[Ids, Vectors]] = [(np.empty(0, np.int64), np.empty(0, np.float32))]
    rows = 0
    for ids, vectors in chunks:
        kept.append((ids, cosines(query, vectors)))
        rows += len(ids)
        if rows > 2 * k + _UNSORTED:  # not with every chunk: where all are asked for, each would sort all again
            kept = [_best_of(kept, k)]
            rows = len(kept[0][0])
    return _best_of(kept, k)


def _best_of(parts: Sequence[tuple[Ids, Vectors]], k: int) -> tuple[Ids, Vectors]:
    return best(np.concatenate([ids for ids, _ in parts]), np.concatenate([scores for _, scores in parts]), k)


DIVERSITY = 0.4  # how much likeness to what is shown already counts against a photo; at 0.3 a burst fills the answer


def diverse_order(scores: Vectors, vectors: Vectors, k: int) -> list[int]:
    """Rows of the k candidates in the order of maximal marginal relevance.

    Each next one has the highest (1 - DIVERSITY) * wanted - DIVERSITY * likeness, likeness being the largest to
    one chosen before (Carbonell and Goldstein, SIGIR 1998). `scores` (n,) and unit `vectors` (n, d). Both are
    spread over 0..1, or the weights would mean nothing: cosines of texts differ by hundredths, and those among
    photos start at 0.5. `wanted` runs from the worst candidate to the best, likeness from the least like the
    best one to the same photo.
    """
    if not len(scores):
        return []
    wanted = (scores - scores.min()) / (float(scores.max() - scores.min()) or 1.0)
    least = float((vectors @ vectors[int(np.argmax(scores))]).min())
    likeness = np.zeros(len(scores), np.float32)
    order: list[int] = []
    for _ in range(min(k, len(scores))):
        value = (1 - DIVERSITY) * wanted - DIVERSITY * likeness
        value[order] = -np.inf
        chosen = int(np.argmax(value))
        order.append(chosen)
        likeness = np.maximum(likeness, (vectors @ vectors[chosen] - least) / max(1 - least, 1e-3))
    return order
