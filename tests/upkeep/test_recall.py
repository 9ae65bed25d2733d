"""What `doctor --recall` measures is what a person misses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from clipsearch.background import background_texts
from clipsearch.types import Answer, Hit, LibraryAPI, Step
from clipsearch.upkeep.recall import Recall, recall, some_texts


def answer(paths: str, scores: list[float], ms: float) -> Answer:
    hits = tuple(Hit(0, name.encode(), score, None, (), 1, 1, None, False)
                 for name, score in zip(paths, scores, strict=True))  # fmt: skip
    return Answer(hits, "graph", 9, 9, None, steps=(Step("text vectors", 1000), Step("candidates", ms)))


def measured(usual: str, usual_scores: list[float]) -> Recall:
    """Of a library whose true hits are a, b, c, d."""

    def search(query: str = "", *, exact: bool = False, **_: Any) -> Answer:
        return answer("abcd", [0.9, 0.8, 0.7, 0.7], 30) if exact else answer(usual, usual_scores, 3)

    library = cast(LibraryAPI, SimpleNamespace(search=search))
    return recall(library, ["x", "y"], [b"/p.jpg"], lambda done, total: None)


@pytest.mark.parametrize(
    ("usual", "scores", "share"),
    [
        ("abcd", [0.9, 0.8, 0.7, 0.7], 1.0),
        ("abce", [0.9, 0.8, 0.7, 0.7], 1.0),  # as near as d: which of them comes says nothing
        ("abce", [0.9, 0.8, 0.7, 0.6], 0.75),
        ("ef", [0.1, 0.1], 0.0),
        ("", [], 0.0),
    ],
)
def test_the_share_of_true_hits_is_what_is_told(usual: str, scores: list[float], share: float) -> None:
    """A number that is always 1 is no measure."""
    result = measured(usual, scores)
    assert [(one.kind, one.questions) for one in result.measured] == [("texts", 2), ("photos", 1)]
    for one in result.measured:
        assert (one.mean, one.worst, one.p50_ms, one.exact_p95_ms) == (share, share, 3, 30)
    assert ("every photo" in result.verdict) is (share == 1.0)


def test_what_was_asked_comes_before_everyday_texts() -> None:
    """One's own library is measured with one's own words."""
    texts = some_texts(["beach + sunset year:2020", "like:cat.jpg", "size:>", 'dog "old dog"'])
    assert texts[:3] == ["beach", "sunset", "dog"] or texts[:2] == ["beach", "sunset"]
    assert len(texts) == 50 == len(set(texts)) and set(texts[5:]) <= set(background_texts())
