"""Vectors as places in a plane: PCA in numpy, UMAP where the extra [lab] is installed; which photos stand for many.

The only file that knows umap. Everything is deterministic: the same vectors give the same map, on one machine.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import SystemFault
from clipsearch.evaluation.geometry import nearest

Projection = Literal["pca", "umap"]
PROJECTIONS: tuple[Projection, ...] = ("pca", "umap")
Vectors = NDArray[np.float32]  # (n, d), unit rows
Places = NDArray[np.float64]  # (n, 2)

NEIGHBOURS = 10  # that a map is judged by
_REDUCED = 50  # dimensions that UMAP gets: it is some times faster than with all, and keeps as many neighbours
_LOCAL = 15  # UMAP's own default: neighbours that it holds together
_LEAST_CELLS = 256  # of a side
_CURVE_BITS = 16  # of a side, on the curve that photos are sampled along


def placed(vectors: Vectors, by: Projection) -> Places:
    """Places of at least 3 vectors, wider than high. Raises SystemFault for umap without the extra [lab]."""
    return pca_places(vectors) if by == "pca" else _umap_places(vectors)


def pca_axes(vectors: Vectors, count: int) -> NDArray[np.float64]:
    """(d, count or fewer): the directions of the largest variance, each turned so that its largest part is positive."""
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:count]
    largest = np.abs(axes).argmax(axis=1)  # an SVD may turn any direction round
    return np.asarray((axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]).T, np.float64)


def pca_places(vectors: Vectors) -> Places:
    places = np.zeros((len(vectors), 2))
    found = vectors @ pca_axes(vectors, 2)
    places[:, : found.shape[1]] = found - found.mean(axis=0)
    return places


def _umap_places(vectors: Vectors) -> Places:
    """Begins at the places of PCA: that repeats, and keeps far regions where they are (Kobak and Linderman 2021)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba and of umap's optional parts, when they are loaded
        try:
            import umap
        except ImportError as error:
            raise SystemFault(
                "UMAP is not installed.", "Install it: pip install 'clipsearch[lab]'. Without it: --by pca"
            ) from error
        start = pca_places(vectors)
        model = umap.UMAP(
            metric="cosine",
            n_neighbors=min(_LOCAL, len(vectors) - 1),
            init=(start / max(float(start.std(axis=0).max()), 1e-9)).astype(np.float32),
            random_state=0,
            n_jobs=1,  # more of them would give another map each time
        )
        found = model.fit_transform(vectors @ pca_axes(vectors, _REDUCED))
    return pca_places(np.asarray(found, np.float32))  # turned, so that its longer side lies across


def own_places(places: Places, room: int = 4) -> Places:
    """The same in 0..1 across and as much down, each on a cell of its own: what lies on one spot is moved apart.

    A side has `room` times as many cells as n photos would fill, or enough that nobody sees them; a photo moves to the
    nearest one that is free, the first photo first.
    """
    side = max(_LEAST_CELLS, room * int(np.ceil(np.sqrt(len(places)))))
    low, extent = places.min(axis=0), max(float(np.ptp(places, axis=0).max()), 1e-12)
    wanted = (places - low) / extent * (side - 1)
    taken: set[tuple[int, int]] = set()
    found = np.empty_like(wanted)
    for row, (x, y) in enumerate(wanted.tolist()):
        column, line = _nearest_free(x, y, taken)
        taken.add((column, line))
        # Inside the cell a part of what it is off the middle, or one would see the cells.
        found[row] = column + _off(x - column), line + _off(y - line)
    found -= found.min(axis=0)
    return np.asarray(found / max(float(found.max()), 1.0), np.float64)


def _nearest_free(x: float, y: float, taken: set[tuple[int, int]]) -> tuple[int, int]:
    """Rings around the spot, until none farther out can be nearer."""
    column, row = round(x), round(y)
    best: tuple[float, tuple[int, int]] | None = None
    ring = 0
    while best is None or ring - 0.5 < best[0]:
        for cell in _ring(column, row, ring):
            if cell not in taken:
                away = float(np.hypot(cell[0] - x, cell[1] - y))
                if best is None or (away, cell) < best:
                    best = away, cell
        ring += 1
    return best[1]


def _off(away: float) -> float:
    return away / 2 if abs(away) <= 0.5 else 0.0


def _ring(column: int, row: int, ring: int) -> list[tuple[int, int]]:
    if ring == 0:
        return [(column, row)]
    sides = range(-ring, ring + 1)
    across = [(column + step, row + edge) for step in sides for edge in (-ring, ring)]
    return across + [(column + edge, row + step) for step in sides[1:-1] for edge in (-ring, ring)]


def neighbours_kept(vectors: Vectors, places: Places, k: int = NEIGHBOURS) -> float:
    """Share 0..1 of the k nearest photos, by cosine, that are among the k nearest on the map."""
    k = min(k, len(vectors) - 1)
    wanted = nearest(vectors, vectors, k, are_same=True)
    kept = 0
    squares = (places**2).sum(axis=1)
    for start in range(0, len(places), 512):
        rows = np.arange(start, min(start + 512, len(places)))
        distances = squares[rows, None] + squares - 2 * places[rows] @ places.T
        distances[np.arange(len(rows)), rows] = np.inf
        shown = np.argpartition(distances, k - 1, axis=1)[:, :k]
        kept += int((wanted[rows][:, :, None] == shown[:, None, :]).sum())
    return kept / (len(vectors) * k)


def spread_sample(places: Places, count: int) -> NDArray[np.int64]:
    """Rows (count,) that stand for all, in their order: every n-th along a curve that fills the plane (Morton 1966).

    So each region has as many as its share, and none that is larger than a step is left out, as it could be by chance.
    """
    if count >= len(places):
        return np.arange(len(places))
    low, extent = places.min(axis=0), np.maximum(np.ptp(places, axis=0), 1e-12)
    cells = ((places - low) / extent * (2**_CURVE_BITS - 1)).astype(np.uint64)
    order = np.argsort(_interleaved(cells[:, 0]) | (_interleaved(cells[:, 1]) << np.uint64(1)), kind="stable")
    chosen = (np.arange(count) + 0.5) * len(places) / count
    return np.sort(order[chosen.astype(np.int64)])


def _interleaved(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each bit with a zero before it."""
    spread = np.zeros_like(values)
    for bit in range(_CURVE_BITS):
        spread |= ((values >> np.uint64(bit)) & np.uint64(1)) << np.uint64(2 * bit)
    return spread
