"""How far a variant's vectors are from the reference's: cosines, the ten nearest photos, recall, labels. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.cards import Comparison

Vectors = NDArray[np.float32]

NEAREST = 10
RECALL_AT = (1, 5, 10)


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What one variant makes of the held-out material; unit rows."""

    photos: Vectors
    texts: Vectors
    labels: Vectors


def compared(
    variant: Views, reference: Views, owners: tuple[int, ...] | None, least_cosine: float, least_top10: float
) -> Comparison:
    """`owners` names the photo of each text, where texts are captions."""
    images = _cosines(variant.photos, reference.photos)
    texts = _cosines(variant.texts, reference.texts)
    scores, true_scores = variant.texts @ variant.photos.T, reference.texts @ reference.photos.T
    change: tuple[float, ...] = ()
    if owners is not None:
        pairs = zip(_recall(scores, owners), _recall(true_scores, owners), strict=True)
        change = tuple(round(one - other, 4) for one, other in pairs)
    moved = _likeliest(variant) != _likeliest(reference)
    return Comparison(
        photos=len(images),
        texts=len(texts),
        image_mean=_rounded(images.mean()),
        image_least=_rounded(images.min()),
        text_mean=_rounded(texts.mean()),
        text_least=_rounded(texts.min()),
        top10=_rounded(_overlap(scores, true_scores)),
        labels=_rounded(moved.mean()),
        recall=change,
        least_cosine=least_cosine,
        least_top10=least_top10,
    )


def _cosines(some: Vectors, others: Vectors) -> NDArray[np.float64]:
    return np.asarray((some.astype(np.float64) * others).sum(axis=1))


def _overlap(scores: Vectors, true_scores: Vectors) -> float:
    """The share of the nearest photos that both name; where there are ten photos or fewer, of a third of them."""
    count = min(NEAREST, max(1, scores.shape[1] // 3))
    near, truly_near = (np.argsort(-one, axis=1, kind="stable")[:, :count] for one in (scores, true_scores))
    return float(np.mean([len(set(a) & set(b)) / count for a, b in zip(near, truly_near, strict=True)]))


def _recall(scores: Vectors, owners: tuple[int, ...]) -> list[float]:
    """The share of captions whose own photo is among the first 1, 5, 10."""
    own = scores[np.arange(len(owners)), list(owners)]
    ranks = (scores >= own[:, None]).sum(axis=1)
    return [float((ranks <= k).mean()) for k in RECALL_AT]


def _likeliest(views: Views) -> NDArray[np.intp]:
    return np.asarray(np.argmax(views.photos @ views.labels.T, axis=1))


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 5)
