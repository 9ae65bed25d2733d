"""What `doctor --recall` measures is what a person misses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clipsearch.background import background_texts
from clipsearch.index import nearest as plans
from clipsearch.index import sketch, vectors
from clipsearch.index.catalog import Catalog
from clipsearch.index.nearest import Nearest
from clipsearch.index.vectors import make_checkpoint
from clipsearch.lab.recall import finding
from clipsearch.query import parse
from clipsearch.types import Answer, Hit, LibraryAPI, Step
from clipsearch.upkeep.recall import Recall, as_words, recall, some_texts
from tests.index.filled import DIM, fill, identity, new_root
from tests.support.encoder import hashed_vector


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


def test_a_question_without_a_true_hit_says_nothing() -> None:
    """A filter that nothing fits would be found whole by any index."""
    library = cast(LibraryAPI, SimpleNamespace(search=lambda *_, **how: answer("", [], 1)))
    found = recall(library, ["x"], [], lambda done, total: None)
    assert found.measured == () and "nothing to compare" in finding(found).says


def test_plans_are_told_apart() -> None:
    """A filter makes a question exact; its 1.0 must not make up for what a graph loses."""

    def search(query: str = "", *, exact: bool = False, **_: Any) -> Answer:
        whole = exact or query == "x"
        hits = answer("abcd" if whole else "abef", [0.9, 0.8, 0.7, 0.6] if whole else [0.9, 0.8, 0.2, 0.1], 3).hits
        return Answer(hits, "filtered exact" if query == "x" else "sketch", 9, 9, None)

    library = cast(LibraryAPI, SimpleNamespace(search=search))
    found = recall(library, ["x", "y"], [], lambda done, total: None, k=4)
    assert {one.plan: one.mean for one in found.measured} == {"filtered exact": 1.0, "sketch": 0.5}
    assert found.k == 4


def test_a_text_is_asked_as_words() -> None:
    (term,) = parse(as_words('size:>3mb "or" -dog')).terms
    assert not term.is_picture and "size:>3mb" in term.text


@pytest.fixture
def degradable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LibraryAPI:
    """A real index of 200 photos with sketches and a graph; only words and pictures are hashed in place of a model."""
    for module, name, value in (
        (plans, "SCAN_ROWS", 0), (plans, "WHOLE", 0), (vectors, "LARGE_ROWS", 1), (sketch, "KEPT", 0.5),
        (sketch, "_STEP", 8), (sketch, "MOST_POOR", 1.1), (vectors, "MOST_POOR", 1.1), (sketch, "_POOR", 9.9),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    catalog = Catalog.open_writer(tmp_path / "catalog.db")
    space = catalog.space_for(identity())
    fill(catalog, space, new_root(catalog, b"/photos"), 200)
    make_checkpoint(catalog, space, tmp_path / "vectors")
    index = Nearest(tmp_path / "vectors")

    def search(query: str = "", *, images: Any = (), k: int = 20, exact: bool = False) -> Answer:
        asked = hashed_vector(images[0] if images else query.encode(), DIM)
        found = index.find(catalog, space, asked, k, is_image=bool(images), exact=exact)
        hits = tuple(
            Hit(int(photo), b"%d" % photo, float(score), None, (), 1, 1, None, False)
            for photo, score in zip(found.ids, found.scores, strict=True)
        )
        return Answer(hits, found.plan, 200, 200, None, steps=(Step("candidates", 1.0),))

    return cast(LibraryAPI, SimpleNamespace(search=search, close=catalog.close))


def test_a_degraded_index_is_below_one_and_a_whole_one_is_not(
    degradable: LibraryAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number that a person trusts must fall when hits are lost, for each plan by itself."""
    texts, pictures = [f"text {number}" for number in range(20)], [b"picture %d" % number for number in range(20)]

    def measured_now() -> dict[str, float]:
        found = recall(degradable, texts, pictures, lambda done, total: None, k=10)
        for one in found.measured:
            assert one.low <= one.mean <= one.high and one.questions == 20
        return {one.plan: one.mean for one in found.measured}

    whole = measured_now()
    assert whole["sketch + re-rank + tail"] == 1.0 and whole["graph + tail"] > 0.9  # which walks halves of vectors
    monkeypatch.setattr(plans, "reranked", lambda k, rows: 12)
    monkeypatch.setattr(plans, "walked", lambda k: 12)
    degraded = measured_now()
    assert degraded.keys() == whole.keys()
    assert all(degraded[plan] < whole[plan] - 0.1 for plan in whole), (whole, degraded)
    monkeypatch.setattr(plans, "SCAN_ROWS", 1000)
    assert measured_now() == {"exact": 1.0}
    cast(Any, degradable).close()
