"""How many of the true nearest photos a search finds, on one's own library with one's own words.

The plan of a search may leave a true hit out where it looks at a part of the vectors only. This asks the same
questions twice, as usual and with `exact`, and compares.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from clipsearch.background import background_texts
from clipsearch.errors import UsageError
from clipsearch.evaluation.intervals import mean_interval
from clipsearch.index.catalog import Catalog
from clipsearch.query import parse
from clipsearch.types import Answer, AnyPath, LibraryAPI

AT = 20  # hits that are compared, where nobody says another number
QUESTIONS = 50  # of each kind, likewise
_BEFORE = ("query", "text vectors", "image vectors")  # steps of an answer that no plan changes
_EQUAL = 1e-6  # cosines this near are one rank: which of two equal photos comes first says nothing


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one kind of question and one plan. Times are of a search once its words and pictures are vectors, in ms."""

    kind: str  # "texts" or "photos"
    questions: int
    plan: str
    mean: float  # recall@k
    low: float  # of the 95 % interval of the mean, questions drawn anew
    high: float
    worst: float
    p50_ms: float
    p95_ms: float
    exact_p50_ms: float
    exact_p95_ms: float


@dataclass(frozen=True, slots=True)
class Recall:
    photos: int
    k: int
    measured: tuple[Measured, ...]

    @property
    def verdict(self) -> str:
        worst = min((one.mean for one in self.measured), default=1.0)
        if worst >= 0.9999:
            return "Searches find every photo that an exact search finds."
        if worst >= 0.98:
            return f"Searches find {worst:.1%} of what an exact search finds; --exact finds all."
        return f"Searches miss {1 - worst:.1%} of what an exact search finds. Use --exact, and report this."


def some_texts(asked: Sequence[str], count: int = QUESTIONS) -> list[str]:
    """What a person looked for, the latest first, then everyday texts. Without filters, which make any plan exact."""
    texts: list[str] = []
    for query in asked:
        with contextlib.suppress(UsageError):  # saved by an older clipsearch with another grammar
            texts += [term.text for term in parse(query).terms if not term.is_picture]
    everyday = background_texts()
    texts += everyday[:: max(1, len(everyday) // count)]
    return list(dict.fromkeys(texts))[:count]


def as_words(text: str) -> str:
    """The text as a query that asks for it and for nothing else: a word of the query language is a word here."""
    return '"' + text.replace('"', " ") + '"'


def some_photos(catalog: Catalog, count: int = QUESTIONS) -> list[bytes]:
    """Paths of photos that are here, over the whole age of the library."""
    ids = np.sort(catalog.photos_matching((), date.today()))
    rows = catalog.photo_rows(ids[:: max(1, len(ids) // (2 * count))].tolist())
    return [row.paths[0] for row in rows.values() if os.path.exists(row.paths[0])][:count]


def recall(
    library: LibraryAPI,
    queries: Sequence[str],
    pictures: Sequence[AnyPath],
    progress: Callable[[int, int], None],
    k: int = AT,
) -> Recall:
    """Asks each question as usual and exactly. A question without a true hit (an empty library) is left out."""
    questions: list[tuple[str, Callable[[bool], Answer]]] = [
        *(("texts", _by_text(library, query, k)) for query in queries),
        *(("photos", _by_picture(library, path, k)) for path in pictures),
    ]
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    photos = 0
    for number, (kind, ask) in enumerate(questions, 1):
        if number == 1 or kind != questions[number - 2][0]:
            ask(False)  # what is loaded for the first question is not its time
        usual, true = ask(False), ask(True)
        photos = usual.library
        if true.hits:
            found.setdefault((kind, usual.plan), []).append((_share(usual, true), _ms(usual), _ms(true)))
        progress(number, len(questions))
    return Recall(photos, k, tuple(_measured(kind, plan, rows) for (kind, plan), rows in found.items()))


def _by_text(library: LibraryAPI, query: str, k: int) -> Callable[[bool], Answer]:
    return lambda exact: library.search(query, k=k, exact=exact)


def _by_picture(library: LibraryAPI, path: AnyPath, k: int) -> Callable[[bool], Answer]:
    return lambda exact: library.search(images=[path], k=k, exact=exact)


def _ms(answer: Answer) -> float:
    return sum(step.milliseconds for step in answer.steps if step.name not in _BEFORE)


def _share(usual: Answer, true: Answer) -> float:
    """Of the true hits, those that were found, or others as near as the farthest of them."""
    wanted = {hit.path for hit in true.hits}
    farthest = min(hit.score or 0.0 for hit in true.hits)
    good = sum(hit.path in wanted or (hit.score or 0.0) >= farthest - _EQUAL for hit in usual.hits)
    return min(1.0, good / len(true.hits))


def _measured(kind: str, plan: str, rows: Sequence[tuple[float, float, float]]) -> Measured:
    shares, usual, exact = (np.array([row[column] for row in rows]) for column in range(3))
    share = mean_interval(shares)
    p50, p95 = np.percentile(usual, [50, 95])
    exact_p50, exact_p95 = np.percentile(exact, [50, 95])
    return Measured(
        kind, len(rows), plan, share.value, share.low, share.high, float(shares.min()), float(p50),
        float(p95), float(exact_p50), float(exact_p95),
    )  # fmt: skip
