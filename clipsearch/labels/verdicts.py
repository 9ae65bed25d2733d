"""What may be said of a photo: from probabilities of the labels to one name, a broader one, or none.

A softmax shares one whole among the labels whatever the photo shows, so its probability cannot say that none fits: a
peer's first version sorted 21,488 of 23,584 photos away on confident, wrong labels. So the best label is compared with
the everyday texts that fit the photo best and mean none of the labels: `fits`. Which rules were tried, and how often
this one is right: docs/labels.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.types import LabelScore, LabelSet

Vectors = NDArray[np.float32]

RIVAL = 3  # a photo shows more than one thing: the best two everyday texts may be true beside the label
SAME_PAIRS = (
    0.002  # of all pairs of everyday texts: those as alike as these mean the same, whatever the model's cosines
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one photo: its labels, most probable first, and what it may be called; None where nothing is clear."""

    labels: tuple[LabelScore, ...]
    label: str | None
    probability: float | None  # of that label; of a broader one, of all its kinds


def ensembled(vectors: Vectors) -> Vectors:
    """One unit vector for one label: the mean of its prompts' unit vectors (prompts, d), made unit again.

    As open_clip's `build_zero_shot_classifier` defines it.
    """
    mean = vectors.astype(np.float64).mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def alternatives(bank: Vectors, labels: Vectors) -> Vectors:
    """Of the everyday texts (texts, d) those that mean none of the labels (labels, d).

    One at least: many labels together leave none in a model whose texts all lie close together, as in OpenAI's CLIP.
    """
    likeness = (bank @ labels.T).max(axis=1)
    pairs = (bank @ bank.T)[np.triu_indices(len(bank), 1)]
    same = np.quantile(pairs, 1 - SAME_PAIRS) if len(pairs) else 1.0
    return np.asarray(bank[(likeness < same) | (likeness == likeness.min())])


def rivals_of(photos: Vectors, bank: Vectors) -> NDArray[np.float32]:
    """What the RIVAL-th best of the texts (texts, d) scores with each photo (n, d): float32 (n,)."""
    scores = photos @ bank.T
    rank = max(0, scores.shape[1] - RIVAL)
    return np.asarray(np.partition(scores, rank, axis=1)[:, rank])


def verdicts(
    labels: LabelSet,
    cosines: NDArray[np.float32],
    probabilities: NDArray[np.float64],
    *,
    exclusive: bool,
    fits: NDArray[np.bool_],
    margin: float = 0.0,
    top: int | None = None,
) -> Iterator[Verdict]:
    """One for each photo. `cosines` and `probabilities` are (photos, labels that are asked).

    `exclusive`: the probabilities share one whole. `fits` (photos,): whether the best label says anything at all.
    `margin`: how much the best must be above the next. `top`: how many labels a verdict lists.
    """
    asked = labels.labels
    order = _best_first(probabilities, max(2, top or 0) if top else None)
    shown = order[:, :top]
    shares = np.take_along_axis(probabilities, shown, axis=1)
    scores = np.take_along_axis(cosines, shown, axis=1)
    needed = np.array([label.threshold or 0.0 for label in asked])
    best = order[:, 0]
    clear = fits & (probabilities[np.arange(len(best)), best] >= needed[best])
    if margin and len(asked) > 1:
        ahead = np.take_along_axis(probabilities, order[:, :2], axis=1)
        clear &= ahead[:, 0] - ahead[:, 1] >= margin
    above = _groups(labels)
    for row, (places, of_shares, of_scores, is_clear) in enumerate(
        zip(shown.tolist(), shares.tolist(), scores.tolist(), clear.tolist(), strict=True)
    ):
        listed = tuple(
            LabelScore(asked[place].name, share, score)
            for place, share, score in zip(places, of_shares, of_scores, strict=True)
        )
        said: tuple[str, float] | tuple[None, None] = (None, None)
        if is_clear:
            said = asked[places[0]].name, of_shares[0]
        elif fits[row]:
            said = _broader(above[places[0]], probabilities[row], exclusive)
        yield Verdict(listed, *said)


def _best_first(probabilities: NDArray[np.float64], count: int | None) -> NDArray[np.intp]:
    """Places (photos, count or all), the best first, equal ones in the order given."""
    if count is None or count >= probabilities.shape[1]:
        return np.argsort(-probabilities, axis=1, kind="stable")
    some = np.sort(np.argpartition(-probabilities, count - 1, axis=1)[:, :count], axis=1)
    shares = np.take_along_axis(probabilities, some, axis=1)
    return np.take_along_axis(some, np.argsort(-shares, axis=1, kind="stable"), axis=1)


_Group = tuple[str, float | None, list[int]]  # its name, its threshold, the places of its kinds


def _groups(labels: LabelSet) -> list[list[_Group]]:
    """For each label asked those above it, the nearest first."""
    by_name = {label.name: label for label in (*labels.labels, *labels.groups)}
    chains = []
    for label in labels.labels:
        chain, at = [], label.under
        while at is not None:
            chain.append(at)
            at = by_name[at].under
        chains.append(chain)
    kinds = {
        name: [place for place, chain in enumerate(chains) if name in chain or labels.labels[place].name == name]
        for chain in chains
        for name in chain
    }
    return [[(name, by_name[name].threshold, kinds[name]) for name in chain] for chain in chains]


def _broader(
    above: list[_Group], shares: NDArray[np.float64], exclusive: bool
) -> tuple[str, float] | tuple[None, None]:
    """The nearest label above that is likely enough: of kinds that exclude each other it has the sum."""
    for name, threshold, kinds in above:
        share = float(shares[kinds].sum() if exclusive else shares[kinds].max())
        if share >= (0.5 if threshold is None else threshold):
            return name, share
    return None, None
