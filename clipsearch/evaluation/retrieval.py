"""Captions to photos and back: the recall that models are compared by, with how sure it is.

R@k of captions: the share of captions whose photo is among the k best photos. R@k of photos: the share of photos with
one of their captions among the k best captions. Both as CLIP-benchmark has them (which leaves equal scores to
torch.topk, in any order; here what comes first in the file wins). Pure numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.evaluation.intervals import ratio_interval

Vectors = NDArray[np.float32]
Places = NDArray[np.int64]

_SCORES = 1 << 24  # that are compared at once: 64 MiB, whether there are 1,000 others or 155,000


@dataclass(frozen=True, slots=True)
class Recall:
    k: int
    share: float  # 0..1
    low: float  # of the 95 % interval, over photos drawn with their captions
    high: float


def to_photos(captions: Vectors, photos: Vectors, photo_of: Places, ks: tuple[int, ...] = (1, 5, 10)) -> list[Recall]:
    """R@k of captions (n, d), each about photo `photo_of[i]` of (m, d)."""
    ranks = _ranks(captions, photos, photo_of)
    return [_recall(ranks < k, photo_of, k) for k in ks]


def to_captions(photos: Vectors, captions: Vectors, photo_of: Places, ks: tuple[int, ...] = (1, 5, 10)) -> list[Recall]:
    """R@k of photos (m, d): whether one of the captions (n, d) that are about it comes among the k best.

    A photo without captions is never found, and counts.
    """
    best = np.full(len(photos), len(captions), np.int64)
    order = np.argsort(photo_of, kind="stable")
    ends = np.searchsorted(photo_of[order], np.arange(len(photos) + 1))
    together = max(1, _SCORES // len(captions))
    for start in range(0, len(photos), together):
        scores = photos[start : start + together] @ captions.T
        for row, score in enumerate(scores, start):
            own = order[ends[row] : ends[row + 1]]
            if own.size:
                first = own[score[own].argmax()]  # of equal ones the first
                best[row] = (score > score[first]).sum() + (score[:first] == score[first]).sum()
    numbers = np.arange(len(photos))
    return [_recall(best < k, numbers, k) for k in ks]


def _ranks(queries: Vectors, found: Vectors, truth: Places) -> Places:
    """How many are above the right one, and of equal ones those that come before it."""
    ranks = np.empty(len(queries), np.int64)
    together = max(1, _SCORES // len(found))
    for start in range(0, len(queries), together):
        scores = queries[start : start + together] @ found.T
        right = truth[start : start + together, None]
        own = np.take_along_axis(scores, right, axis=1)
        before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < right))
        ranks[start : start + together] = before.sum(axis=1)
    return ranks


def _recall(hits: NDArray[np.bool_], photo_of: Places, k: int) -> Recall:
    """Photos are drawn, not captions: five captions of one photo are hard or easy together."""
    photos = int(photo_of.max()) + 1
    good = np.bincount(photo_of, hits, minlength=photos)
    all_ = np.bincount(photo_of, minlength=photos)
    found = ratio_interval(good, all_)
    return Recall(k, float(hits.mean()), found.low, found.high)
