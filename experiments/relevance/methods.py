"""The methods that were compared. Each takes a library's photos and the bank, and gives a way to score queries.

A score (queries, photos) is higher for what fits better; only its order and a threshold on it matter.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from clipsearch import relevance as ours

Scores = NDArray[np.floating]
Vectors = NDArray[np.float32]
Method = Callable[[Vectors, Vectors], Callable[[Vectors], Scores]]  # (photos, bank) -> (queries -> scores)


def cosine(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    return lambda queries: queries @ photos.T


def query_z(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    """Standard deviations above the mean of this query's cosines over the library."""
    return lambda queries: _standardised(queries @ photos.T, 1)


def query_robust_z(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    """The same by median and median deviation."""

    def score(queries: Vectors) -> Scores:
        cosines = queries @ photos.T
        above = cosines - np.median(cosines, axis=1, keepdims=True)
        return np.asarray(above / (1.4826 * np.median(np.abs(above), axis=1, keepdims=True)))

    return score


def photo_z(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    """Standard deviations above the mean of the bank's cosines with this photo."""
    known = bank @ photos.T
    return lambda queries: (queries @ photos.T - known.mean(axis=0)) / known.std(axis=0)


def bank_rank(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    """The share of the bank that fits this photo less well than the query does; the cosine decides between equals."""
    known = np.sort(bank @ photos.T, axis=0)

    def score(queries: Vectors) -> Scores:
        cosines = queries @ photos.T
        below = np.stack([np.searchsorted(known[:, p], cosines[:, p]) for p in range(len(photos))], axis=1)
        return np.asarray(below + cosines)

    return score


def against_bank(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    """The log of a softmax's share at scale 40, with the bank as the other labels."""
    others = np.log(np.exp(40 * (bank @ photos.T)).mean(axis=0)) / 40
    return lambda queries: queries @ photos.T - others


def csls(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    """Twice the cosine less the mean of each side's 10 nearest (Conneau et al. 2018, arXiv 1710.04087)."""
    crowd = np.sort(bank @ photos.T, axis=0)[-10:].mean(axis=0)

    def score(queries: Vectors) -> Scores:
        cosines = queries @ photos.T
        return np.asarray(2 * cosines - np.sort(cosines, axis=1)[:, -10:].mean(axis=1, keepdims=True) - crowd)

    return score


def both_centred(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    """Every text less its mean over the library, then standard deviations above the bank's mean with this photo."""
    centred = photos - photos.mean(axis=0)
    return photo_z(centred, bank)


def levels(floor_share: float, photo_share: float) -> Method:
    """Our method with other shares, before it becomes a probability."""

    def method(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
        above = photos - np.float32(floor_share) * photos.mean(axis=0)
        known = bank @ above.T
        rank = max(1, round(ours.BEST_SHARE * len(bank)))
        best = np.sort(known, axis=0)[-rank]
        matched = photo_share * best + (1 - photo_share) * best.mean()
        return lambda queries: (queries @ above.T - known.mean()) / (matched - known.mean())

    return method


def shipped(photos: Vectors, bank: Vectors) -> Callable[[Vectors], Scores]:
    """clipsearch.relevance itself, one query at a time."""
    background = ours.background_of(photos, bank, photos=len(photos))
    return lambda queries: np.stack([ours.relevance(q, photos @ q, photos, background) for q in queries])


def _standardised(scores: Scores, axis: int) -> Scores:
    return np.asarray((scores - scores.mean(axis=axis, keepdims=True)) / scores.std(axis=axis, keepdims=True))


COMPARED: dict[str, Method] = {
    "cosine": cosine,
    "z over the library": query_z,
    "robust z over the library": query_robust_z,
    "z over the bank": photo_z,
    "rank in the bank": bank_rank,
    "softmax against the bank": against_bank,
    "CSLS": csls,
    "both means taken off": both_centred,
    "levels, floor 0, photo 0": levels(0, 0),
    "levels, floor 0, photo 1/4": levels(0, 1 / 4),
    "levels, floor 1/3, photo 0": levels(1 / 3, 0),
    "levels, floor 1/3, photo 1/4": levels(1 / 3, 1 / 4),
    "levels, floor 1/3, photo 1/2": levels(1 / 3, 1 / 2),
    "levels, floor 1/2, photo 1/4": levels(1 / 2, 1 / 4),
    "levels, floor 1, photo 1/4": levels(1, 1 / 4),
}
