"""From a question in vectors to hits: filters -> plan -> exact scores -> exclusions -> relevance -> order.

The half of a query that needs the catalog and no model. library.py makes the vectors; index/nearest.py owns
the plans; search.py and relevance.py own the arithmetic.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from clipsearch.index.catalog import Catalog, PhotoRow, Space
from clipsearch.index.nearest import Found, Nearest
from clipsearch.index.roots import lies_in
from clipsearch.query import Filter
from clipsearch.relevance import GATE, Background, relevance
from clipsearch.search import Ids, Vectors, diverse_order, mixture
from clipsearch.types import Answer, Hit, Sort, Step

_MIN_POOL = 100  # candidates that a diverse answer is chosen from, or five times as many as asked for
_DETAILS = 1024  # hits whose vectors are held at once: 2 MiB at 512 dimensions


@dataclass(frozen=True, slots=True)
class Question:
    """A query whose texts and pictures are vectors already."""

    parts: Vectors  # (terms, dim), unit rows
    weights: tuple[float, ...]
    is_image: bool  # only pictures were asked with: the graph may answer, and nothing is gated
    excluded: Vectors  # (texts of not:, dim)
    filters: tuple[Filter, ...] = ()
    under: bytes | None = None
    k: int = 20  # 0: all
    sort: Sort | None = None  # None: by score; by date where nothing but filters is asked
    min_relevance: float | None = None
    diverse: bool = False
    exact: bool = False
    today: date = field(default_factory=date.today)

    @property
    def is_filtered(self) -> bool:
        return bool(self.filters) or self.under is not None


class Stopwatch:
    """Collects the steps of a search with what they took."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.steps.append(Step(name, (time.perf_counter() - started) * 1000))


def answered(
    catalog: Catalog, nearest: Nearest, space: Space, question: Question, background: Background, watch: Stopwatch
) -> Answer:
    """The answer, from one snapshot of the catalog. Raises UsageError when the terms cancel each other out."""
    photos = catalog.counts()[0]
    among: Ids | None = None
    if question.is_filtered or not len(question.parts):
        with watch.step("filters"):
            among = catalog.photos_matching(question.filters, question.today, under=question.under)
    searched = photos if among is None else len(among)
    if not len(question.parts):
        assert among is not None  # nothing but filters was asked
        with watch.step("photos"):
            among = _among_without_excluded(catalog, nearest, space, question, among, background)
            hits = _sorted(_unscored(catalog, question, among), question.sort or "date")[: question.k or None]
        return Answer(tuple(_ranked(hits)), "filter only", searched, photos, gate=None)
    vector = mixture(list(question.parts), question.weights)
    with watch.step("candidates"):
        found = _found(catalog, nearest, space, question, vector, among, background)
    with watch.step("relevance"):
        hits = _scored(catalog, space, question, vector, found, background)
    if question.min_relevance is not None:
        hits = [hit for hit in hits if (hit.relevance or 0.0) >= question.min_relevance]
    gate = None if question.is_image else GATE if question.min_relevance is None else question.min_relevance
    hits = _ranked(_sorted(hits, question.sort or "score"))
    return Answer(tuple(hits), found.plan, searched, photos, gate=gate)


def _found(
    catalog: Catalog,
    nearest: Nearest,
    space: Space,
    question: Question,
    vector: Vectors,
    among: Ids | None,
    background: Background,
) -> Found:
    """The k best candidates that no `not:` drops, in the order of score or, on demand, diverse."""
    total = catalog.vector_count(space) if among is None else len(among)
    wanted = min(question.k or total, total)
    if question.diverse:
        wanted = min(total, max(_MIN_POOL, 5 * wanted))
    reach = wanted
    while True:
        found = (
            nearest.find(catalog, space, vector, reach, is_image=question.is_image, exact=question.exact)
            if among is None
            else nearest.find_among(catalog, space, vector, reach, among)
        )
        kept = _without_excluded(catalog, space, question.excluded, found, background)
        # What was dropped is made up for by looking further, until there is nothing left to look at.
        if len(kept.ids) >= wanted or len(found.ids) < reach or reach >= total:
            break
        reach = min(total, 4 * reach)
    if question.diverse:
        vectors = _vectors(catalog, space, kept.ids)
        order = diverse_order(kept.scores, vectors, min(question.k or total, total))
        return replace(kept, ids=kept.ids[order], scores=kept.scores[order])
    return replace(kept, ids=kept.ids[:wanted], scores=kept.scores[:wanted])


def _without_excluded(catalog: Catalog, space: Space, excluded: Vectors, found: Found, background: Background) -> Found:
    if not len(excluded):
        return found
    keep = np.ones(len(found.ids), np.bool_)
    for start in range(0, len(found.ids), _DETAILS):
        part = slice(start, start + _DETAILS)
        vectors = _vectors(catalog, space, found.ids[part])
        for text in excluded:
            keep[part] &= relevance(text, vectors @ text, vectors, background) < GATE
    return replace(found, ids=found.ids[keep], scores=found.scores[keep])


def _among_without_excluded(
    catalog: Catalog, nearest: Nearest, space: Space, question: Question, among: Ids, background: Background
) -> Ids:
    """Photos that fit the filters and no `not:`, in their order."""
    if not len(question.excluded):
        return among
    found = nearest.find_among(catalog, space, question.excluded[0], len(among), among)
    return among[np.isin(among, _without_excluded(catalog, space, question.excluded, found, background).ids)]


def _scored(
    catalog: Catalog, space: Space, question: Question, vector: Vectors, found: Found, background: Background
) -> list[Hit]:
    hits: list[Hit] = []
    length = float(np.linalg.norm((question.parts * np.array(question.weights)[:, None]).sum(axis=0)))
    for start in range(0, len(found.ids), _DETAILS):
        ids, scores = found.ids[start : start + _DETAILS], found.scores[start : start + _DETAILS]
        vectors = _vectors(catalog, space, ids)
        relevances = relevance(vector, scores, vectors, background)
        shares = vectors @ question.parts.T * (np.array(question.weights) / length)
        rows = catalog.photo_rows(ids.tolist())
        for photo_id, score, relevant, share in zip(
            ids.tolist(), scores.tolist(), relevances.tolist(), shares.tolist(), strict=True
        ):
            hits.append(_hit(rows[photo_id], question.under, score, relevant, tuple(share)))
    return hits


def _unscored(catalog: Catalog, question: Question, among: Ids) -> list[Hit]:
    """Photos that fit the filters; only as many rows are read as are shown, where their order allows it."""
    shown = among[: question.k or None] if (question.sort or "date") == "date" else among
    rows = catalog.photo_rows(shown.tolist())
    return [_hit(rows[photo_id], question.under, None, None, ()) for photo_id in shown.tolist()]


def _vectors(catalog: Catalog, space: Space, ids: Ids) -> Vectors:
    """The unit vectors (n, dim) of photos that have one, in the order of `ids`."""
    vectors = np.empty((len(ids), space.identity.dim), np.float32)
    place = {photo_id: row for row, photo_id in enumerate(ids.tolist())}
    for known, stored in catalog.vectors_of(space, ids.tolist()):
        vectors[[place[photo_id] for photo_id in known.tolist()]] = stored
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)  # unit again after f16


def _hit(
    row: PhotoRow, under: bytes | None, score: float | None, relevant: float | None, contributions: tuple[float, ...]
) -> Hit:
    # Shown by the copy that lies where one asked.
    paths = sorted(row.paths, key=lambda path: under is not None and not lies_in(path, under) and path != under)
    described = row.metadata
    return Hit(
        0, paths[0], score, relevant, tuple(paths[1:]), described.width, described.height, described.taken_at,
        row.offline, contributions,
    )  # fmt: skip


def _sorted(hits: Sequence[Hit], sort: Sort) -> list[Hit]:
    """By date the newest first and those without one last; by name in the order of file names."""
    if sort == "date":
        dated = sorted((hit for hit in hits if hit.taken_at), key=lambda hit: hit.taken_at or "", reverse=True)
        return [*dated, *(hit for hit in hits if not hit.taken_at)]
    if sort == "name":
        return sorted(hits, key=lambda hit: (os.path.basename(hit.path).lower(), hit.path))
    return list(hits)


def _ranked(hits: Sequence[Hit]) -> list[Hit]:
    return [replace(hit, rank=rank) for rank, hit in enumerate(hits, 1)]
