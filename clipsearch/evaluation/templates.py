"""Prompt templates on photos of known classes: which recognise most, alone and together. Pure numpy but for encoding.

Together they are averaged as published with CLIP (notebooks/Prompt_Engineering_for_ImageNet.ipynb): of each class the
unit vectors of its prompts, their mean, made unit again. The notebook's seven were found among eighty by forward
selection, as here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.evaluation.encoded import Progress
from clipsearch.labels.sets import published_templates
from clipsearch.labels.verdicts import ensembled

Vectors = NDArray[np.float32]
Classes = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Selected:
    """One step of forward selection."""

    template: int  # which of the candidates came to those before it
    accuracy: float  # of all so far together, 0..1, on the photos that choose


def told_templates(templates: Sequence[str]) -> str:
    """For a person, after "asked with": a figure without its templates cannot be compared with anybody's."""
    if len(templates) == 1:
        return f'"{templates[0]}"'
    for name, published in published_templates().items():
        if tuple(templates) == published:
            return f"the {len(published)} templates published for {name}, averaged"
    return f'{len(templates)} templates, averaged, "{templates[0]}" the first'


def template_vectors(
    engine: Engine,
    classes: Sequence[str],
    templates: Sequence[str],
    progress: Progress = lambda done, total: None,
) -> Vectors:
    """Each template with each class, encoded once, past the text cache: (templates, classes, dim), unit rows.

    `progress` is called after each template.
    """
    names = list(dict.fromkeys(classes))  # two of ImageNet's stand for two classes each
    places = [names.index(name) for name in classes]
    found = np.empty((len(templates), len(classes), engine.dim), np.float32)
    for number, template in enumerate(templates):
        found[number] = engine.freshly_encoded([template.replace("{}", name) for name in names])[places]
        progress(number + 1, len(templates))
    return found


def together(vectors: Vectors) -> Vectors:
    """The weights (classes, dim), unit rows, of templates (templates, classes, dim)."""
    return np.stack([ensembled(vectors[:, number]) for number in range(vectors.shape[1])])


def hits(photos: Vectors, weights: Vectors, truth: Classes) -> NDArray[np.bool_]:
    """Whether each photo (photos, dim) is recognised; of equal scores the class with the lower number wins."""
    return np.asarray((photos @ weights.T).argmax(axis=1) == truth)


def forward_selection(photos: Vectors, vectors: Vectors, truth: Classes) -> list[Selected]:
    """All candidates (templates, classes, dim), in each step the one that brings most; of equal ones the first.

    Memory: templates * photos * classes * 4 bytes, so that a step multiplies nothing anew. The score of a photo
    with a mean is the sum of its scores over the sum's length, and that follows from the candidates' own products.
    """
    scores = np.empty((len(vectors), len(photos), vectors.shape[1]), np.float32)
    for own, template in zip(scores, vectors, strict=True):
        np.matmul(photos, template.T, out=own)
    everyone = np.arange(len(vectors))
    products = np.einsum("scd,tcd->stc", vectors, vectors, optimize=True)
    total = np.zeros_like(scores[0])
    squared = np.zeros(vectors.shape[1])  # of the length of the sum so far, of each class
    left, chosen = everyone.tolist(), list[Selected]()
    while left:
        with_each = products[:, [one.template for one in chosen]].sum(axis=1)
        lengths = np.sqrt(np.maximum(squared + 2 * with_each + products[everyone, everyone], 0))
        shares = [_share(total + scores[one], lengths[one], truth) for one in left]
        best = left.pop(int(np.argmax(shares)))
        chosen.append(Selected(best, max(shares)))
        total += scores[best]
        squared = lengths[best] ** 2
    return chosen


def _share(total: Vectors, lengths: NDArray[np.float64], truth: Classes) -> float:
    return float(((total / np.maximum(lengths, 1e-12).astype(np.float32)).argmax(axis=1) == truth).mean())
