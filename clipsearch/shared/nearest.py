"""The plan of a search in a shared library: by Lance's index, or all vectors, and exact scores in the end.

As in index.nearest, scores come from the f16 vectors by `search.cosines`, whatever has found them.
"""

from __future__ import annotations

from clipsearch.index.catalog import Catalog
from clipsearch.index.nearest import WHOLE, Found
from clipsearch.index.spaces import Space
from clipsearch.search import Ids, Vectors, best_of_chunks
from clipsearch.shared.catalog import SharedCatalog
from clipsearch.shared.store import Rows
from clipsearch.types import CheckpointStatus

FEW = 2_000  # photos that a filter leaves are read one by one up to here: 2 MB at 512 dimensions


def reranked(k: int) -> int:
    """How many that the index proposes are ranked exactly: 200 of a million hold 1.000 of a text's 20 best."""
    return max(200, 5 * k)


class SharedNearest:
    """Satisfies index.nearest.Searcher for catalogs of shared libraries."""

    def find(
        self, catalog: Catalog, space: Space, vector: Vectors, k: int, *, is_image: bool, exact: bool = False
    ) -> Found:
        shared = _shared(catalog)
        if WHOLE * k > catalog.vector_count(space):
            return Found(*best_of_chunks(vector, shared.vector_chunks(space), k), "exact")
        return _searched(shared, vector, k, exact=exact)

    def find_among(
        self, catalog: Catalog, space: Space, vector: Vectors, k: int, among: Ids, *, exact: bool = False
    ) -> Found:
        shared = _shared(catalog)
        if len(among) <= FEW or WHOLE * k > len(among):
            found = best_of_chunks(vector, catalog.vectors_of(space, among.tolist()), k)
            return Found(*found, "filtered exact")
        return _searched(shared, vector, k, exact=exact, among=shared.rows_of(space, among))

    def status(self, catalog: Catalog, space: Space | None) -> CheckpointStatus:
        store = _shared(catalog).store
        how = "index of Lance" if store.is_indexed else "no index; searches read all vectors"
        published = f", published {when.astimezone():%Y-%m-%d %H:%M}" if (when := store.published_at()) else ""
        return CheckpointStatus(store.version, store.edition.vectors, 0, how + published, healthy=True)


def _searched(shared: SharedCatalog, vector: Vectors, k: int, *, exact: bool, among: Rows | None = None) -> Found:
    by_index = shared.store.is_indexed and not exact
    proposed, vectors = shared.store.nearest(vector, reranked(k), exact=not by_index, among=among)
    ids, scores = best_of_chunks(vector, [(shared.photos_of(proposed), vectors)], k)
    plan = "Lance index + re-rank" if by_index else "exact"
    return Found(ids, scores, plan if among is None else f"filtered {plan}")


def _shared(catalog: Catalog) -> SharedCatalog:
    assert isinstance(catalog, SharedCatalog)  # both come from one Source
    return catalog
