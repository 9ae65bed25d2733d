"""The plan of a search: which photos are nearest to a vector, by scan, by generation or through its graph.

Whatever the plan, scores come from the vectors in SQLite (search.cosines), so an answer does not depend on
how it was found. A damaged or missing generation costs time, never a result (I2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.catalog import Catalog
from clipsearch.index.spaces import Space
from clipsearch.search import Ids, Vectors, best_of_chunks
from clipsearch.types import CheckpointStatus

if TYPE_CHECKING:
    from clipsearch.index.vectors import Generation

# Up to here the vectors are scanned from SQLite: 5,000 rows take 20 ms, importing USearch takes 50 ms (2 cores).
SCAN_ROWS = 5_000

# USearch ranks in f16 arithmetic; the order at the edge is settled by the exact scores of some more candidates.
_MARGIN = 16


@dataclass(frozen=True, slots=True)
class Found:
    ids: Ids  # best first
    scores: Vectors  # cosines
    plan: str


class Nearest:
    """Keeps the generation open between searches, so that its digest is computed once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: Generation | None = None

    def find(
        self, catalog: Catalog, space: Space, vector: Vectors, k: int, *, is_image: bool, exact: bool = False
    ) -> Found:
        """The k nearest photos that a file shows. `is_image`: the vector is an image's own; `exact`: no graph."""
        if catalog.vector_count(space) <= SCAN_ROWS or (generation := self._generation(catalog, space)) is None:
            return Found(*best_of_chunks(vector, _visible(catalog, space), k), "exact")
        from clipsearch.index.vectors import GRAPH_THRESHOLD

        hidden = catalog.hidden_photos()
        tail = catalog.photos_after(space, generation.checkpoint.max_seq)
        stale = np.union1d(hidden, tail)  # rows of the generation that must not answer (I6)
        # A text lies outside the cloud of images; the graph finds 0.65 of its true neighbours (DESIGN section 8).
        by_graph = is_image and not exact and generation.checkpoint.rows >= GRAPH_THRESHOLD
        keys = generation.nearest(vector, k + len(stale) + _MARGIN, exact=not by_graph)
        candidates = np.union1d(np.setdiff1d(keys, stale), np.setdiff1d(tail, hidden))
        return Found(
            *best_of_chunks(vector, catalog.vectors_of(space, candidates.tolist()), k),
            "graph + tail" if by_graph else "exact",
        )

    def find_among(self, catalog: Catalog, space: Space, vector: Vectors, k: int, among: Ids) -> Found:
        """The k nearest of these photos."""
        return Found(*best_of_chunks(vector, catalog.vectors_of(space, among.tolist()), k), "filtered exact")

    def status(self, catalog: Catalog, space: Space | None) -> CheckpointStatus:
        """How searching is backed, in words; checks the digest of the generation."""
        checkpoint = catalog.checkpoint(space) if space else None
        if space is None or checkpoint is None:
            tail = catalog.vector_count(space) if space else 0
            return CheckpointStatus(None, 0, tail, "none yet; searches read the catalog", healthy=tail == 0)
        from clipsearch.index.vectors import DamagedGeneration, open_generation

        tail = catalog.vector_count(space, after_seq=checkpoint.max_seq)
        state, healthy = "good", True
        try:
            open_generation(self._folder, checkpoint, space.identity.dim)
        except DamagedGeneration as error:
            state, healthy = f"{error}; searches read the catalog, the next clipsearch index makes a new one", False
        return CheckpointStatus(checkpoint.generation, checkpoint.rows, tail, state, healthy)

    def _generation(self, catalog: Catalog, space: Space) -> Generation | None:
        """The checkpoint, opened; None when there is none or it is not what its row says (I2)."""
        from clipsearch.index.vectors import DamagedGeneration, open_generation

        checkpoint = catalog.checkpoint(space)
        if checkpoint is None:
            return None
        if self._opened is None or self._opened.checkpoint != checkpoint:
            try:
                self._opened = open_generation(self._folder, checkpoint, space.identity.dim)
            except DamagedGeneration:
                return None  # `status` says so, and the next index run makes a new one
        return self._opened


def _visible(catalog: Catalog, space: Space) -> Iterator[tuple[Ids, NDArray[np.float16]]]:
    hidden = catalog.hidden_photos()
    for ids, vectors in catalog.vector_chunks(space):
        keep = ~np.isin(ids, hidden)
        yield ids[keep], vectors[keep]
