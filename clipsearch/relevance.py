"""From a cosine to a relevance in 0..1: how far a photo stands out from what its library gives to any text.

Cosines of a text and a photo are no percentages: a right pair has 0.2, a wrong one 0.05, and both move with the text,
the photo and the model. So a score is put between two levels that the library itself shows: what everyday texts (the
bank) score with photos they do not fit, and what the best of them score with photos they do fit. 0.5 is where the best
of as many photos as the library has would come by chance. docs/relevance.md has the derivation and the validation.

Pure numpy: it sees vectors and scores, and knows no text, file, database or model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Vectors = NDArray[np.float32] | NDArray[np.float16]

# "More likely relevant than not", where queries with and without an answer are equally frequent (docs, section 2).
DEFAULT_THRESHOLD = 0.5

# The constants, each fitted on captioned photos with three models and rounded (docs/relevance.md, section 3).
FLOOR_SHARE = 1 / 3  # a matched score rises by this share of the query's mean score over the library
PHOTO_SHARE = 1 / 4  # this share of the matched level is the photo's own, the rest the library's
BEST_SHARE = 1 / 60  # the bank's best on a photo: the 5th of 300, so that one odd text decides nothing
CHANCE_SPREAD = 0.40  # standard deviation of what does not match; 1 is the distance between the two levels
MOST_PHOTOS = 2_000  # beyond, more photos raise no threshold: a library that large has more that does match
STEEPNESS = 6.0  # log odds gained on the way from the unmatched to the matched level

_LEAST_SPAN = 1e-6  # a bank of equal texts has no levels; nothing is divided by zero


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What a library's photos score with the bank's texts. Made by `background_of`; depends on no query."""

    bank: Vector  # (m, d), unit rows
    mean: Vector  # (d,), mean vector of the sample, shorter than 1
    photos: int  # how many the library has
    unmatched: float  # mean score of all pairs of a text and a photo, less their floor
    matched: float  # mean over the photos of their best texts' score, less its floor
    least_matched: float  # lowest of the photos
    most_matched: float  # highest of them

    @property
    def chance(self) -> float:
        """How far the best of `photos` unmatched scores comes, in units of matched - unmatched.

        The extreme of n normal draws lies near sqrt(2 ln n) standard deviations (Gumbel; +1 for a library of one).
        """
        return CHANCE_SPREAD * math.sqrt(2 * math.log(min(self.photos, MOST_PHOTOS) + 1))


def background_of(sample: Vectors, bank: Vectors, *, photos: int) -> Background:
    """Of a library with `photos` photos, `sample` (n >= 1, d) are vectors of some. `bank` (m >= 1, d): everyday texts.

    500 photos drawn at random are enough: more move a relevance by a hundredth or two (docs, section 6).
    """
    drawn, texts = sample.astype(np.float32), bank.astype(np.float32)
    mean = np.asarray(drawn.mean(axis=0, dtype=np.float64), np.float32)
    scores = _above_floor(drawn, mean) @ texts.T
    best = _best(scores)
    return Background(
        bank=texts,
        mean=mean,
        photos=photos,
        unmatched=float(scores.mean(dtype=np.float64)),
        matched=float(best.mean(dtype=np.float64)),
        least_matched=float(best.min()),
        most_matched=float(best.max()),
    )


def relevance(query: Vector, scores: Vector, vectors: Vectors, background: Background) -> NDArray[np.float64]:
    """Relevance (k,), 0..1, of photos to a text: `scores` (k,) are the cosines of `vectors` (k, d) with the query (d,).

    `query` is the unit vector of a text or of a mixture that subtracts nothing (docs, section 7). Of one photo
    relevance rises with the score. Of two photos the one with the lower score may have the higher relevance, if it fits
    everything less well; among the 20 best scores lies the best relevance (docs, section 4).
    """
    best = _best(_above_floor(vectors.astype(np.float32), background.mean) @ background.bank.T)
    level = (scores.astype(np.float64) - _floor(query, background) - background.unmatched) / _span(best, background)
    return _probability(STEEPNESS * (level - background.chance))


def likeness(query: Vector, vectors: Vectors, background: Background) -> NDArray[np.float64]:
    """0..1 (k,): how alike the bank's texts describe the query and `vectors` (k, d). For queries with a picture.

    The correlation of what the texts score with both, less the library's mean; below 0 counts as 0. Pictures without
    relation have about 0, a photo with itself 1. It says how alike, not whether one was meant: nothing is gated by it.
    """
    # A mean of few photos is mostly those photos; half of it for one, nearly all of it for a hundred.
    mean = background.mean * np.float32(background.photos / (background.photos + 1))
    asked = _standardised((query - mean) @ background.bank.T)
    found = _standardised((vectors.astype(np.float32) - mean) @ background.bank.T)
    return np.asarray(np.clip(found @ asked / len(background.bank), 0, 1), np.float64)


def _above_floor(photos: Vector, mean: Vector) -> Vector:
    """q·(v - share·mean) is q's score with v less q's floor, for every q at once."""
    return photos - np.float32(FLOOR_SHARE) * mean


def _floor(query: Vector, background: Background) -> float:
    return FLOOR_SHARE * float(query @ background.mean)


def _best(scores: Vector) -> Vector:
    """Photos' (k, m) scores with the bank -> (k,), the score that BEST_SHARE of the texts reach."""
    texts = scores.shape[1]
    rank = max(1, round(BEST_SHARE * texts))
    return np.asarray(np.partition(scores, texts - rank, axis=1)[:, texts - rank])


def _span(best: NDArray[np.floating], background: Background) -> NDArray[np.float64]:
    """From the unmatched level to the matched one, for photos whose best texts score `best` (k,).

    Held to what the sample shows: a photo unlike all of it (a blank page) gets no level of its own.
    """
    own = np.clip(best.astype(np.float64), background.least_matched, background.most_matched)
    level = PHOTO_SHARE * own + (1 - PHOTO_SHARE) * background.matched
    return np.asarray(np.maximum(level - background.unmatched, _LEAST_SPAN))


def _standardised(scores: Vector) -> NDArray[np.float64]:
    """Along the last axis: mean 0, standard deviation 1; zeros where all are equal."""
    centred = scores.astype(np.float64) - scores.mean(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(centred / np.maximum(centred.std(axis=-1, keepdims=True), 1e-12))


def _probability(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    # 1/(1+exp(-x)) without overflow for any x.
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))
