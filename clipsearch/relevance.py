"""Placeholder until calibrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
GATE = 0.5


@dataclass(frozen=True, slots=True)
class Background:
    sample: Vectors
    bank: Vectors


def background(sample: Vectors, bank: Vectors) -> Background:
    return Background(sample, bank)


def relevance(query: Vectors, scores: Vectors, vectors: Vectors, background: Background) -> NDArray[np.float64]:
    seen = background.sample @ query
    middle = float(np.median(seen))
    spread = float(np.median(np.abs(seen - middle))) * 1.4826 + 1e-3
    return np.asarray(1 / (1 + np.exp(np.clip(1.5 - (scores - middle) / spread, -50, 50))), np.float64)
