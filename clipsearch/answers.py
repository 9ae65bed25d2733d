"""From a question in vectors to hits: filters -> plan -> exact scores -> exclusions -> relevance -> order.

The half of a query that needs the catalog and no model. opened.py makes the vectors; index/nearest.py owns
the plans; search.py and relevance.py own the arithmetic.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from clipsearch.groups import better_ones
from clipsearch.index.catalog import Catalog, PhotoRow
from clipsearch.index.filters import is_meant
from clipsearch.index.nearest import Found, Searcher
from clipsearch.index.spaces import Space
from clipsearch.query import Filter
from clipsearch.relevance import DEFAULT_THRESHOLD, Background, likeness, relevance
from clipsearch.search import Ids, Vectors, diverse_order, mixture
from clipsearch.types import Answer, Hit, Sort, Step

_MIN_POOL = 100  # candidates that a diverse answer is chosen from, or five times as many as asked for
_MOST_POOL = 5000  # and never more: each choice is compared with all of them
_MOST_DIVERSE = 1000  # photos that are chosen so, in 1.5 s; all others follow by score
_COMPARED = 1000  # hits that are looked through for the same picture or moment; takes 10 ms
# Each photo is judged alone by `not:`, not as the best of a whole library. At 20 it drops half of the photos that
# mention the thing and 0.7 % of the others, at 200 a third and 0.1 % (docs/relevance.md, section 7).
_EXCLUDED_AMONG = 20
_DETAILS = 1024  # hits whose vectors are held at once: 2 MiB at 512 dimensions


@dataclass(frozen=True, slots=True)
class Question:
    """A query whose texts and pictures are vectors already."""

    parts: Vectors  # (terms, dim), unit rows
    weights: tuple[float, ...]
    is_image: bool  # only pictures were asked with: the graph may answer
    has_picture: bool  # then relevance is likeness, and nothing is gated by it
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

    def split(self, parts: Sequence[Step]) -> None:
        """Tells parts of the last step apart from the rest of it."""
        last = self.steps.pop()
        rest = last.milliseconds - sum(part.milliseconds for part in parts)
        self.steps += [*parts, Step(last.name, rest)]


def answered(
    catalog: Catalog,
    nearest: Searcher,
    space: Space,
    question: Question,
    background: Callable[[], Background],
    watch: Stopwatch,
) -> Answer:
    """The answer, from one snapshot of the catalog; `background` is asked for where a relevance is needed.

    Raises UsageError when the terms cancel each other out.
    """
    photos = catalog.photo_count()
    search = _Search(catalog, nearest, space, question, background)
    among: Ids | None = None
    if question.is_filtered or not len(question.parts):
        with watch.step("filters"):
            among = catalog.photos_matching(
                question.filters, question.today, under=question.under, in_order=not len(question.parts)
            )
    searched = photos if among is None else len(among)
    if not len(question.parts):
        assert among is not None  # nothing but filters was asked
        with watch.step("photos"):
            hits = search.ranked(search.filtered(among))
        return Answer(tuple(hits), "filter only", searched, photos, gate=None)
    with watch.step("candidates"):
        vector = mixture(list(question.parts), question.weights)
        found = search.candidates(vector, among)
    with watch.step("relevance"):
        hits = search.scored(vector, found)
    gate = None if question.has_picture else DEFAULT_THRESHOLD
    if question.min_relevance is not None:
        gate = question.min_relevance
        hits = [hit for hit in hits if (hit.relevance or 0.0) >= gate]
    with watch.step("duplicates"):
        hits = search.ranked(_sorted(hits, question.sort or "score"))
    return Answer(tuple(hits), found.plan, searched, photos, gate=gate)


@dataclass(frozen=True, slots=True)
class _Search:
    """One question on its way through one snapshot."""

    catalog: Catalog
    nearest: Searcher
    space: Space
    question: Question
    background: Callable[[], Background]
    rows: dict[bytes, PhotoRow] = field(default_factory=dict)  # of the hits, by the path that is shown

    def candidates(self, vector: Vectors, among: Ids | None) -> Found:
        """The k best that no `not:` drops, in the order of score or, on demand, diverse."""
        total = self.catalog.vector_count(self.space) if among is None else len(among)
        asked = min(self.question.k or total, total)
        pool = max(_MIN_POOL, min(5 * asked, _MOST_POOL))
        wanted = min(total, max(pool, asked)) if self.question.diverse else asked
        reach = wanted
        while True:
            found = self._nearest_to(vector, reach, among)
            kept = self._without_excluded(found)
            # What was dropped is made up for by looking further, until there is nothing left to look at.
            if len(kept.ids) >= wanted or len(found.ids) < reach or reach >= total:
                break
            reach = min(total, 4 * reach)
        if self.question.diverse:
            best = diverse_order(kept.scores[:pool], self._vectors(kept.ids[:pool]), min(asked, _MOST_DIVERSE))
            order = np.concatenate([np.array(best, np.intp), np.setdiff1d(np.arange(len(kept.ids)), best)])
            kept = replace(kept, ids=kept.ids[order], scores=kept.scores[order])
        return replace(kept, ids=kept.ids[:asked], scores=kept.scores[:asked])

    def scored(self, vector: Vectors, found: Found) -> list[Hit]:
        """Hits with their relevance and what each term gives to their score."""
        hits: list[Hit] = []
        weights = np.array(self.question.weights, np.float32)
        wanted = self._wanted(vector)
        shares = self.question.parts * (weights / np.linalg.norm(weights @ self.question.parts))[:, None]
        for ids, scores in _chunks(found):
            vectors = self._vectors(ids)
            if self.question.has_picture:
                relevances = likeness(vector, vectors, self.background())
            else:
                relevances = relevance(wanted, vectors @ wanted, vectors, self.background())
            rows = self.catalog.photo_rows(ids.tolist())
            hits += [
                self._hit(rows[photo_id], score, relevant, tuple(share))
                for photo_id, score, relevant, share in zip(
                    ids.tolist(), scores.tolist(), relevances.tolist(), (vectors @ shares.T).tolist(), strict=True
                )
            ]
        return hits

    def _wanted(self, vector: Vectors) -> Vectors:
        """What is looked for, without what is looked away from: that lowers a score and says nothing of fitting.

        "a - b" reaches the gate for 14 % of pairs of nouns, "a" alone for 84 % (docs/relevance.md, section 7).
        """
        weights = np.maximum(np.array(self.question.weights), 0)
        if not weights.any():
            return vector
        return mixture(list(self.question.parts[weights > 0]), weights[weights > 0].tolist())

    def filtered(self, among: Ids) -> list[Hit]:
        """Photos that fit the filters and no `not:`; only the rows that are shown are read, if their order allows."""
        question = self.question
        if len(question.excluded):
            found = self.nearest.find_among(self.catalog, self.space, question.excluded[0], len(among), among)
            among = among[np.isin(among, self._without_excluded(found).ids)]
        sort = question.sort or "date"
        shown = among[: question.k or None] if sort == "date" else among
        rows = self.catalog.photo_rows(shown.tolist())
        hits = [self._hit(rows[photo_id], None, None, ()) for photo_id in shown.tolist()]
        return _sorted(hits, sort)[: question.k or None]

    def ranked(self, hits: Sequence[Hit]) -> list[Hit]:
        """The hits with their ranks, and which of them show what a better one shows."""
        better = better_ones(self.catalog, self.space, [self.rows[hit.path] for hit in hits[:_COMPARED]])
        better += [None] * (len(hits) - len(better))
        return [
            replace(hit, rank=rank, same_as=None if first is None else first + 1)
            for rank, (hit, first) in enumerate(zip(hits, better, strict=True), 1)
        ]

    def _hit(self, row: PhotoRow, score: float | None, relevant: float | None, contributions: tuple[float, ...]) -> Hit:
        paths = row.paths
        if len(paths) > 1:  # shown by a copy that lies where one asked
            filters, under = self.question.filters, self.question.under
            paths = tuple(sorted(paths, key=lambda path: not is_meant(path, filters, under=under)))
        self.rows[paths[0]] = row
        described = row.metadata
        return Hit(
            0, paths[0], score, relevant, paths[1:], described.width, described.height, described.taken_at,
            row.offline, contributions,
        )  # fmt: skip

    def _nearest_to(self, vector: Vectors, k: int, among: Ids | None) -> Found:
        if among is not None:
            return self.nearest.find_among(self.catalog, self.space, vector, k, among, exact=self.question.exact)
        is_image, exact = self.question.is_image, self.question.exact
        return self.nearest.find(self.catalog, self.space, vector, k, is_image=is_image, exact=exact)

    def _without_excluded(self, found: Found) -> Found:
        if not len(self.question.excluded) or not len(found.ids):
            return found
        keep: list[np.bool_] = []
        background = replace(self.background(), photos=_EXCLUDED_AMONG)
        for ids, _ in _chunks(found):
            vectors = self._vectors(ids)
            shows = [relevance(text, vectors @ text, vectors, background) for text in self.question.excluded]
            keep += list(np.max(shows, axis=0) < DEFAULT_THRESHOLD)
        kept = np.array(keep, np.bool_)
        return replace(found, ids=found.ids[kept], scores=found.scores[kept])

    def _vectors(self, ids: Ids) -> Vectors:
        """The unit vectors (n, dim) of photos that have one, in the order of `ids`."""
        vectors = np.empty((len(ids), self.space.identity.dim), np.float32)
        place = {photo_id: row for row, photo_id in enumerate(ids.tolist())}
        for known, stored in self.catalog.vectors_of(self.space, ids.tolist()):
            vectors[[place[photo_id] for photo_id in known.tolist()]] = stored
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)  # unit again after f16


def _chunks(found: Found) -> Iterator[tuple[Ids, Vectors]]:
    for start in range(0, len(found.ids), _DETAILS):
        yield found.ids[start : start + _DETAILS], found.scores[start : start + _DETAILS]


def _sorted(hits: Sequence[Hit], sort: Sort) -> list[Hit]:
    """By date the newest first and those without one last; by name in the order of file names."""
    if sort == "date":
        dated = sorted((hit for hit in hits if hit.taken_at), key=lambda hit: hit.taken_at or "", reverse=True)
        return [*dated, *(hit for hit in hits if not hit.taken_at)]
    if sort == "name":
        return sorted(hits, key=lambda hit: (os.path.basename(hit.path).lower(), hit.path))
    return list(hits)
