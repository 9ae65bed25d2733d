"""The plan of a search: which photos are nearest to a vector, by scan, by sketches or through the graph.

Whatever the plan, scores come from the vectors in SQLite (search.cosines), so an answer does not depend on how it was
found. A damaged or missing generation costs time, never a result (I2). docs/scale.md says which plan is taken when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.catalog import Catalog
from clipsearch.index.spaces import Space
from clipsearch.search import Ids, Vectors, best_of_chunks
from clipsearch.types import CheckpointStatus

if TYPE_CHECKING:
    from clipsearch.index.generation import Generation
    from clipsearch.index.graph import Graph

# Up to here the vectors are scanned from SQLite: 1,000 take 4 ms, about as long as opening a generation.
SCAN_ROWS = 1_000

# Photos that a filter leaves are read from SQLite one by one up to here, in 20 ms; more are told apart by a scan.
FEW = 3_000

# Hits in so many of which a library's photos go: more are found by reading all vectors once, in their order.
WHOLE = 4

# A scan in f16 has the order at its edge from a rounded query; some more candidates settle it.
_MARGIN = 16


def reranked(k: int, rows: int) -> int:
    """How many of the best sketches are ranked exactly.

    Of a million rows 500 hold 0.9995 of a text's 20 best, 5,000 of its 500 best; of three million 500 hold 0.996.
    """
    return max(500, rows // 4_000, 10 * k)


WALKED = 100  # hits up to which the graph is asked; for 500 of 0.99 recall it takes longer than the sketches


def walked(k: int) -> int:
    """How many the graph is asked for: 100 hold 0.998 of a photo's 20 nearest."""
    return max(100, 3 * k)


@dataclass(frozen=True, slots=True)
class Found:
    ids: Ids  # best first
    scores: Vectors  # cosines
    plan: str


class Searcher(Protocol):
    """What an answer needs of a plan: `Nearest` of a library's own vectors, `shared.nearest` of those in a store."""

    def find(
        self, catalog: Catalog, space: Space, vector: Vectors, k: int, *, is_image: bool, exact: bool = False
    ) -> Found: ...
    def find_among(
        self, catalog: Catalog, space: Space, vector: Vectors, k: int, among: Ids, *, exact: bool = False
    ) -> Found: ...
    def status(self, catalog: Catalog, space: Space | None) -> CheckpointStatus: ...


class Nearest:
    """Keeps the generation open between searches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: Generation | None = None

    def find(
        self, catalog: Catalog, space: Space, vector: Vectors, k: int, *, is_image: bool, exact: bool = False
    ) -> Found:
        """The k nearest photos that a file shows. `is_image`: the vector is an image's own.

        `exact`: neither sketches nor the graph; the same question asked both ways says what they miss.
        """
        total = catalog.vector_count(space)
        if total <= SCAN_ROWS or WHOLE * k > total or (generation := self._generation(catalog, space)) is None:
            return Found(*best_of_chunks(vector, _visible(catalog, space), k), "exact")
        hidden = catalog.hidden_photos()
        tail = catalog.photos_between(space, generation.checkpoint.max_seq)
        stale = np.union1d(hidden, tail)  # rows of the generation that must not answer (I6)
        gone = _gone(generation, total, tail)
        if exact or generation.projection is None:
            plan, candidates = "exact", _scanned(generation, vector, k + gone, _all_but(stale, generation))
        # A text lies outside the cloud of images; a graph loses a third of its true neighbours (DESIGN section 8).
        elif is_image and k <= WALKED and len(stale) <= walked(k) and (graph := _graph(generation)) is not None:
            plan, candidates = "graph + tail", _walked(generation, graph, vector, k + gone, stale)
        else:
            plan = "sketch + re-rank + tail"
            candidates = _sketched(generation, vector, k + gone, _all_but(stale, generation))
        merged = np.union1d(candidates, np.setdiff1d(tail, hidden))
        return Found(*best_of_chunks(vector, catalog.vectors_of(space, merged.tolist()), k), plan)

    def find_among(
        self, catalog: Catalog, space: Space, vector: Vectors, k: int, among: Ids, *, exact: bool = False
    ) -> Found:
        """The k nearest of these photos."""
        plan, candidates = "filtered exact", among
        worth_it = len(among) > FEW and WHOLE * k <= len(among)
        if worth_it and (generation := self._generation(catalog, space)) is not None:
            tail = catalog.photos_between(space, generation.checkpoint.max_seq)
            gone = _gone(generation, catalog.vector_count(space), tail)
            accepted = np.zeros(int(among.max()) + 1, np.bool_)
            accepted[among] = True
            tail = tail[tail < len(accepted)]
            tail = tail[accepted[tail]]
            accepted[tail] = False
            if exact or generation.projection is None:
                candidates = _scanned(generation, vector, k + gone, accepted)
            else:
                plan = "filtered sketch + re-rank + tail"
                candidates = _sketched(generation, vector, k + gone, accepted)
            candidates = np.union1d(candidates, tail)
        return Found(*best_of_chunks(vector, catalog.vectors_of(space, candidates.tolist()), k), plan)

    def status(self, catalog: Catalog, space: Space | None, *, thoroughly: bool = False) -> CheckpointStatus:
        """How searching is backed, in words; verifies files that something has touched, `thoroughly` all of them."""
        checkpoint = catalog.checkpoint(space) if space else None
        if space is None or checkpoint is None:
            tail = catalog.vector_count(space) if space else 0
            return CheckpointStatus(None, 0, tail, "none yet; searches read the catalog", healthy=tail == 0)
        from clipsearch.index.generation import DamagedGeneration, open_generation

        tail = catalog.tail_count(space, checkpoint.max_seq)
        state, healthy = "good", True
        try:
            open_generation(self._folder, checkpoint, space.identity.dim, thoroughly=thoroughly)
        except DamagedGeneration as error:
            state, healthy = f"{error}; searches read the catalog, the next clipsearch index makes a new one", False
        return CheckpointStatus(checkpoint.generation, checkpoint.rows, tail, state, healthy)

    def _generation(self, catalog: Catalog, space: Space) -> Generation | None:
        """The checkpoint, opened; None when there is none or it is not what its row says (I2)."""
        from clipsearch.index.generation import DamagedGeneration, open_generation

        checkpoint = catalog.checkpoint(space)
        if checkpoint is None:
            return None
        if self._opened is None or self._opened.checkpoint != checkpoint:
            try:
                self._opened = open_generation(self._folder, checkpoint, space.identity.dim)
            except DamagedGeneration:
                return None  # `status` says so, and the next index run makes a new one
        return self._opened


def _scanned(generation: Generation, vector: Vectors, k: int, accepted: NDArray[np.bool_] | None) -> Ids:
    from clipsearch.index.scan import best_rows

    query = vector.astype(np.float16)
    return generation.ids[best_rows(query, generation.vectors, k + _MARGIN, generation.ids, accepted)]


def _sketched(generation: Generation, vector: Vectors, k: int, accepted: NDArray[np.bool_] | None) -> Ids:
    """The best of the best sketches, ranked by their vectors, and of the poorly drawn."""
    from clipsearch.index.scan import best_rows

    assert generation.projection is not None
    query, ids = generation.projection.of_query(vector), generation.ids
    rows = best_rows(query, generation.sketches, reranked(k, len(ids)), ids, accepted)
    best, _ = best_of_chunks(vector, [(rows, generation.vectors[rows])], k + _MARGIN)
    return np.union1d(ids[best], _poor(generation, vector, k, accepted))


def _poor(generation: Generation, vector: Vectors, k: int, accepted: NDArray[np.bool_] | None) -> Ids:
    """The best of those whose sketches say little."""
    from clipsearch.index.scan import best_rows

    ids = generation.ids[generation.poor]
    return ids[best_rows(vector.astype(np.float16), generation.poor_vectors, k + _MARGIN, ids, accepted)]


def _graph(generation: Generation) -> Graph | None:
    """None where there is none, or where it went between two searches: it is mapped at the first that walks it, and a
    checkpoint may have removed it since the generation was opened. What it proposes, the sketches propose too."""
    if generation.graph_file is None:
        return None
    from clipsearch.index.graph import UnreadableGraph

    try:
        return generation.graph
    except UnreadableGraph:
        return None


def _walked(generation: Generation, graph: Graph, vector: Vectors, k: int, stale: Ids) -> Ids:
    from clipsearch.index.graph import nearest

    assert generation.projection is not None
    sketch, is_poor = generation.projection.drawn(vector[None])
    near = nearest(graph, sketch[0], walked(k) + len(stale))
    if is_poor[0]:  # so are those that look like it
        near = np.union1d(near, _poor(generation, vector, k + len(stale), None))
    return np.setdiff1d(near, stale)


def _gone(generation: Generation, total: int, tail: Ids) -> int:
    """Rows of the generation whose photos have no vector in SQLite any more; those written again are in the tail."""
    outdated = generation.checkpoint.rows - (total - len(tail))
    return outdated - int(np.isin(tail, generation.ids).sum()) if outdated else 0


def _all_but(stale: Ids, generation: Generation) -> NDArray[np.bool_] | None:
    """Which ids may answer; None for all."""
    if not len(stale):
        return None
    accepted = np.ones(int(max(generation.ids.max(), stale[-1])) + 1, np.bool_)
    accepted[stale] = False
    return accepted


def _visible(catalog: Catalog, space: Space) -> Iterator[tuple[Ids, NDArray[np.float16]]]:
    hidden = catalog.hidden_photos()
    for ids, vectors in catalog.vector_chunks(space):
        keep = ~np.isin(ids, hidden)
        yield ids[keep], vectors[keep]
