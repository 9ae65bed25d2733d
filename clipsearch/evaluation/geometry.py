"""The shape of an embedding space, in figures that others define: similarity, separation, neighbours, spread, gap.

Pure numpy, over unit vectors, so that a cosine is a product. The tests compare each with a case counted by hand.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # (n, d), unit rows
Classes = NDArray[np.int64]  # (n,), the class of each, from 0
Figures = NDArray[np.float64]

MOST_PAIRED = 5_000  # vectors whose pairs are counted: 12.5 million pairs
_TOGETHER = 512  # rows that are compared with all others at once: 20 MB for 10,000


# -- classes --------------------------------------------------------------------------------------


def class_similarities(vectors: Vectors, truth: Classes, classes: int) -> Figures:
    """(classes, classes): the mean cosine of a photo of the row's class and another one of the column's.

    A photo is not compared with itself, which would lift the diagonal. NaN for a class without two photos (on the
    diagonal) or without any.
    """
    sums, counts = _class_sums(vectors, truth, classes)
    pairs = np.outer(counts, counts) - np.diag(counts)
    # Means factor: the sum over all pairs of two classes is the product of their sums.
    products = sums @ sums.T - np.diag(counts)
    return np.divide(products, pairs, out=np.full_like(products, np.nan), where=pairs > 0)


def silhouettes(vectors: Vectors, truth: Classes, classes: int) -> Figures:
    """(n,), -1..1: how much nearer the own class is than the nearest other one (Rousseeuw 1987), by cosine distance.

    (b - a) / max(a, b), a and b the mean distances to the others of the own class and to the nearest other class; 0 for
    the only photo of its class. Needs two classes with photos.
    """
    sums, counts = _class_sums(vectors, truth, classes)
    distances = 1 - (vectors.astype(np.float64) @ sums.T) / np.maximum(counts, 1)
    distances[:, counts == 0] = np.inf
    rows, own = np.arange(len(truth)), counts[truth]
    others = np.maximum(own - 1, 1)
    a = 1 - ((1 - distances[rows, truth]) * own - 1) / others  # without the photo itself, whose cosine is 1
    distances[rows, truth] = np.inf
    b = distances.min(axis=1)
    return np.where(own > 1, (b - a) / np.maximum(np.maximum(a, b), 1e-12), 0.0)


def pair_curves(vectors: Vectors, truth: Classes, edges: Figures) -> tuple[Figures, Figures]:
    """(bins,) each, sum 1: how the cosines of pairs of one class, and of two classes, spread over bins between `edges`.

    Each pair counts once, and no photo with itself; NaN where there is no such pair. Of more than MOST_PAIRED the pairs
    of as many, drawn at random but always the same.
    """
    if len(vectors) > MOST_PAIRED:
        drawn = np.random.default_rng(0).choice(len(vectors), MOST_PAIRED, replace=False)
        vectors, truth = vectors[drawn], truth[drawn]
    found = np.zeros((2, len(edges) - 1))
    for start, cosines in _cosines(vectors, vectors):
        rows = np.arange(start, start + len(cosines))[:, None]
        later = np.arange(len(vectors)) > rows
        same = truth[rows] == truth
        for kind, wanted in enumerate((later & same, later & ~same)):
            found[kind] += np.histogram(np.clip(cosines[wanted], edges[0], edges[-1]), edges)[0]
    same_, other = (shares / shares.sum() if shares.sum() else np.full_like(shares, np.nan) for shares in found)
    return same_, other


# -- neighbours -----------------------------------------------------------------------------------


def nearest(queries: Vectors, found: Vectors, k: int, *, are_same: bool = False) -> NDArray[np.int64]:
    """(queries, k): rows of `found` with the highest cosines, best first; of equal ones the first.

    `are_same`: both are the same vectors, and none is its own neighbour. k beyond what there is gives all.
    """
    k = min(k, len(found) - are_same)
    places = np.empty((len(queries), k), np.int64)
    for start, cosines in _cosines(queries, found):
        if are_same:
            rows = np.arange(len(cosines))
            cosines[rows, start + rows] = -np.inf
        for row, own in enumerate(cosines, start):
            places[row] = _highest(own, k)
    return places


def _highest(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Places of the k highest of (n,), best first. Only what is as high as the k-th is ordered, so n costs n."""
    if k == 0:
        return np.empty(0, np.int64)
    least = np.partition(values, len(values) - k)[len(values) - k]
    near = np.flatnonzero(values >= least)
    return near[np.argsort(-values[near], kind="stable")[:k]]


def neighbour_accuracy(neighbours: NDArray[np.int64], truth: Classes, classes: int) -> float:
    """Share 0..1 whose class is the one most of its neighbours have: k-NN, leave-one-out, each neighbour one vote.

    `neighbours` (n, k) as `nearest` gives them. Of classes with as many votes, that of the nearest neighbour wins.
    """
    votes = np.zeros((len(truth), classes))
    rows = np.arange(len(truth))
    k = neighbours.shape[1]
    for rank in range(k):  # the later votes are worth a little less, together less than one
        np.add.at(votes, (rows, truth[neighbours[:, rank]]), 1 - rank / (k * k + 1))
    return float((votes.argmax(axis=1) == truth).mean())


def occurrences(neighbours: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(count,): among how many neighbourhoods each is; k on average."""
    return np.bincount(neighbours.ravel(), minlength=count)


def skewness(values: NDArray[np.integer]) -> float:
    """The third standardised moment; of `occurrences` it is the hubness (Radovanović et al., JMLR 11, 2010).

    0 where all are as often a neighbour; above 1 a few photos are near to everything. 0 for equal values.
    """
    centred = values - values.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return float((centred**3).mean() / spread**3) if spread else 0.0


# -- directions -----------------------------------------------------------------------------------


def spectrum(vectors: Vectors) -> Figures:
    """(min(n - 1, d),): the share of the variance along each principal direction, the largest first; sum 1."""
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    variances = np.linalg.svd(centred, compute_uv=False)[: max(1, len(vectors) - 1)] ** 2
    return np.asarray(variances / max(variances.sum(), 1e-300), np.float64)


def dimensions_for(shares: Figures, wanted: float) -> int:
    """How many of the first directions hold the share `wanted` (0..1) of the variance."""
    return int(np.searchsorted(np.cumsum(shares), wanted - 1e-12) + 1)


def effective_rank(shares: Figures) -> float:
    """exp of the entropy of the shares, 1 to their number (Roy and Vetterli, EUSIPCO 2007), of the covariances."""
    some = shares[shares > 0]
    return float(np.exp(-(some * np.log(some)).sum()))


# -- pictures and texts ---------------------------------------------------------------------------


def modality_gap(images: Vectors, texts: Vectors) -> float:
    """The distance 0..2 between the mean image and the mean text (Liang et al., NeurIPS 2022, arXiv 2203.02053)."""
    return float(np.linalg.norm(images.mean(axis=0, dtype=np.float64) - texts.mean(axis=0, dtype=np.float64)))


def matched_cosines(images: Vectors, texts: Vectors, image_of: Classes) -> tuple[float, float]:
    """Mean cosine of right pairs, and of all others: text i belongs to image `image_of[i]` alone."""
    right = float(np.einsum("nd,nd->", texts, images[image_of], dtype=np.float64))
    total = float(images.sum(axis=0, dtype=np.float64) @ texts.sum(axis=0, dtype=np.float64))
    others = len(images) * len(texts) - len(texts)
    return right / len(texts), (total - right) / others if others else float("nan")


def _class_sums(vectors: Vectors, truth: Classes, classes: int) -> tuple[Figures, NDArray[np.int64]]:
    """(classes, d) sums of vectors, (classes,) photos."""
    sums = np.zeros((classes, vectors.shape[1]))
    np.add.at(sums, truth, vectors)
    return sums, np.bincount(truth, minlength=classes)


def _cosines(rows: Vectors, columns: Vectors) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(first row, cosines (some rows, all columns))."""
    for start in range(0, len(rows), _TOGETHER):
        yield start, rows[start : start + _TOGETHER] @ columns.T
