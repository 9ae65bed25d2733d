"""From cosines to label probabilities, under the model's own scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.cards import Scoring

Adjustments = NDArray[np.float64] | float  # (labels,), or one for all


def logits(
    cosines: NDArray[np.float32], scoring: Scoring, slopes: Adjustments = 1.0, biases: Adjustments = 0.0
) -> NDArray[np.float64]:
    """float (photos, labels) -> the same shape; what examples have taught comes last (labels/calibration.py)."""
    return np.asarray((scoring.scale * cosines.astype(np.float64) + scoring.bias) * slopes + biases)


def probabilities(
    cosines: NDArray[np.float32], scoring: Scoring, slopes: Adjustments = 1.0, biases: Adjustments = 0.0
) -> NDArray[np.float64]:
    """float (photos, labels) -> the same shape, 0..1.

    softmax: rows sum to 1 (CLIP, Radford et al. 2021, arXiv 2103.00020, figure 3). sigmoid: each pair on its
    own (SigLIP, Zhai et al. 2023, arXiv 2303.15343). Computed in float64, shifted, so that no scale overflows.
    """
    scores = logits(cosines, scoring, slopes, biases)
    if scoring.kind == "sigmoid":
        # 1/(1+exp(-x)) without overflow for any x.
        return np.asarray(np.exp(-np.logaddexp(0.0, -scores)))
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
