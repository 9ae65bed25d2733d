"""acc@k as one number, for tests that compare it with others' figures."""

from __future__ import annotations

from clipsearch.evaluation.metrics import Classes, Scores, ranks


def accuracy(scores: Scores, truth: Classes, k: int = 1) -> float:
    """As `zero_shot` counts it: the share of the photos whose class is among the k best."""
    return float((ranks(scores, truth) < k).mean())
