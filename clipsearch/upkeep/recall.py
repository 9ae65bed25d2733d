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
from clipsearch.index.catalog import Catalog
from clipsearch.query import parse
from clipsearch.types import Answer, AnyPath, LibraryAPI

AT = 20  # hits that are compared
_QUESTIONS = 50  # of each kind
_BEFORE = ("query", "text vectors", "image vectors")  # steps of an answer that no plan changes
_EQUAL = 1e-6  # cosines this near are one rank: which of two equal photos comes first says nothing


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one kind of question. Times are of a search once its words and pictures are vectors, in milliseconds."""

    kind: str  # "texts" or "photos"
    questions: int
    plan: str
    mean: float  # recall@20
    worst: float
    p50_ms: float
    p95_ms: float
    exact_p50_ms: float
    exact_p95_ms: float


@dataclass(frozen=True, slots=True)
class Recall:
    photos: int
    measured: tuple[Measured, ...]

    @property
    def verdict(self) -> str:
        worst = min((one.mean for one in self.measured), default=1.0)
        if worst >= 0.9999:
            return "Searches find every photo that an exact search finds."
        if worst >= 0.98:
            return f"Searches find {worst:.1%} of what an exact search finds; --exact finds all."
        return f"Searches miss {1 - worst:.1%} of what an exact search finds. Use --exact, and report this."


def some_texts(asked: Sequence[str]) -> list[str]:
    """What a person looked for, the latest first, then everyday texts. Without filters, which make any plan exact."""
    texts: list[str] = []
    for query in asked:
        with contextlib.suppress(UsageError):  # saved by an older clipsearch with another grammar
            texts += [term.text for term in parse(query).terms if not term.is_picture]
    everyday = background_texts()
    texts += everyday[:: max(1, len(everyday) // _QUESTIONS)]
    return list(dict.fromkeys(texts))[:_QUESTIONS]


def some_photos(catalog: Catalog) -> list[bytes]:
    """Paths of photos that are here, over the whole age of the library."""
    ids = np.sort(catalog.photos_matching((), date.today()))
    rows = catalog.photo_rows(ids[:: max(1, len(ids) // (2 * _QUESTIONS))].tolist())
    return [row.paths[0] for row in rows.values() if os.path.exists(row.paths[0])][:_QUESTIONS]


def recall(
    library: LibraryAPI, texts: Sequence[str], pictures: Sequence[AnyPath], progress: Callable[[int, int], None]
) -> Recall:
    """Asks each question as usual and exactly. A question that finds nothing (an empty library) is left out."""
    questions: list[tuple[str, Callable[[bool], Answer]]] = [
        *(("texts", _by_text(library, text)) for text in texts),
        *(("photos", _by_picture(library, path)) for path in pictures),
    ]
    found: dict[str, list[tuple[float, float, float, str]]] = {}
    for number, (kind, ask) in enumerate(questions, 1):
        if kind not in found:
            ask(False)  # what is loaded for the first question is not its time
        usual, true = ask(False), ask(True)
        found.setdefault(kind, []).append((_share(usual, true), _ms(usual), _ms(true), usual.plan))
        progress(number, len(questions))
    photos = questions[0][1](False).library if questions else 0
    return Recall(photos, tuple(_measured(kind, rows) for kind, rows in found.items()))


def _by_text(library: LibraryAPI, text: str) -> Callable[[bool], Answer]:
    quoted = '"' + text.replace('"', " ") + '"'  # a word of the query language is a word here
    return lambda exact: library.search(quoted, k=AT, exact=exact)


def _by_picture(library: LibraryAPI, path: AnyPath) -> Callable[[bool], Answer]:
    return lambda exact: library.search(images=[path], k=AT, exact=exact)


def _ms(answer: Answer) -> float:
    return sum(step.milliseconds for step in answer.steps if step.name not in _BEFORE)


def _share(usual: Answer, true: Answer) -> float:
    """Of the true hits, those that were found, or others as near as the farthest of them."""
    if not true.hits:
        return 1.0
    wanted = {hit.path for hit in true.hits}
    farthest = min(hit.score or 0.0 for hit in true.hits)
    good = sum(hit.path in wanted or (hit.score or 0.0) >= farthest - _EQUAL for hit in usual.hits)
    return min(1.0, good / len(true.hits))


def _measured(kind: str, rows: Sequence[tuple[float, float, float, str]]) -> Measured:
    shares, usual, exact = (np.array([row[column] for row in rows]) for column in range(3))
    p50, p95 = np.percentile(usual, [50, 95])
    exact_p50, exact_p95 = np.percentile(exact, [50, 95])
    return Measured(
        kind, len(rows), rows[-1][3], float(shares.mean()), float(shares.min()), float(p50), float(p95),
        float(exact_p50), float(exact_p95),
    )  # fmt: skip
