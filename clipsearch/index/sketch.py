"""Sketches: a fifth of a vector's bytes, by which the best few hundred are found that exact scores then rank.

The mean is taken away and the directions in which a space spreads most are kept (PCA), turned at random so that one
step serves all of them, and rounded to int8. Products of a query with sketches order photos nearly as cosines do:
all are less by what the query has in common with the mean. docs/scale.md has the measurements. Pure numpy.

A few photos lie outside those directions (X-rays among holidays), where a sketch would hide them. They are listed as
poorly drawn and always ranked exactly. If they become many, the space has moved, and directions are chosen again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

SAMPLE = 50_000  # rows that the directions are chosen from
KEPT = 0.92  # of the variance; at 0.88 the 500 best sketches miss 2 % of a text's 20 true hits, at 0.92 0.05 %
MOST_POOR = 0.01  # share of the rows that may be poorly drawn before the directions are chosen again

_STEP = 32  # dimensions are added so many at a time: the width of a vector register
_REACH = 4.0  # standard deviations that int8 spans; beyond, a coordinate is clipped
_POOR = 4.0  # standard deviations above the mean loss of the sample; one in a thousand of the made vectors


@dataclass(frozen=True, slots=True)
class Projection:
    """How vectors of `d` dimensions become sketches of `n`."""

    mean: Vectors  # (d,)
    directions: Vectors  # (n, d), orthonormal rows
    step: float  # what one unit of a sketch stands for
    poor_loss: float  # squared length outside the directions from which on a vector is poorly drawn

    def drawn(self, vectors: NDArray[np.float16] | Vectors) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
        """Sketches (m, n) of vectors (m, d), and which are poorly drawn."""
        centred = vectors.astype(np.float32) - self.mean
        kept = np.asarray(centred @ self.directions.T, np.float32)
        lost = np.einsum("md,md->m", centred, centred) - np.einsum("mn,mn->m", kept, kept)
        return _rounded(kept / np.float32(self.step)), lost > self.poor_loss

    def of_query(self, vector: Vectors) -> NDArray[np.int8]:
        """What is multiplied with sketches. Its own step cannot change an order, so it spans all of int8."""
        turned = self.directions @ vector
        return _rounded(turned * np.float32(127 / max(float(np.abs(turned).max()), 1e-12)))


def fitted(sample: NDArray[np.float16]) -> Projection:
    """The projection for a space of which `sample` (m, d) are vectors; the same sample gives the same one."""
    rows = sample.astype(np.float32)
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows -= mean
    spread, directions = np.linalg.eigh((rows.T @ rows).astype(np.float64) / len(rows))
    spread = np.maximum(spread[::-1], 0)
    enough = 1 + int(np.searchsorted(np.cumsum(spread), KEPT * spread.sum()))
    wide = min(len(spread), -(-enough // _STEP) * _STEP)
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((wide, wide)))
    chosen = np.ascontiguousarray((directions[:, ::-1][:, :wide] @ turn).T, np.float32)
    step = _REACH * float(np.sqrt(spread[:wide].mean())) / 127
    lost = np.einsum("md,md->m", rows, rows) - np.einsum("mn,mn->m", kept := rows @ chosen.T, kept)
    poor_loss = max(float(lost.mean() + _POOR * lost.std()), float(np.quantile(lost, 1 - MOST_POOR / 2)), 1e-3)
    return Projection(mean, chosen, max(step, 1e-9), poor_loss)


def _rounded(values: Vectors) -> NDArray[np.int8]:
    return np.clip(np.rint(values), -127, 127).astype(np.int8)
