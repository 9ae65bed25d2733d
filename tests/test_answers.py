"""From a question in vectors to hits: hand-made vectors in a real catalog, and a relevance done in one's head."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from clipsearch import answers
from clipsearch.answers import Question, Stopwatch, answered
from clipsearch.errors import UsageError
from clipsearch.index.catalog import Catalog
from clipsearch.index.nearest import Nearest
from clipsearch.index.spaces import Space
from clipsearch.query import Filter
from clipsearch.relevance import background_of
from clipsearch.types import Answer, Metadata, SpaceIdentity, Stamp

DIM = 4
X, Y, Z, W = np.eye(DIM, dtype=np.float32)
NOTHING = background_of(np.eye(DIM, dtype=np.float32), np.eye(DIM, dtype=np.float32), photos=DIM)


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


class Gallery:
    """A catalog with photos under /photos, asked with vectors."""

    def __init__(self, folder: Path) -> None:
        self.catalog = Catalog.open_writer(folder / "catalog.db")
        self.space: Space = self.catalog.space_for(SpaceIdentity("hand-made", "starter", DIM))
        self.catalog.add_root(b"/photos", is_file=False)
        (self.root,) = self.catalog.roots()
        self._nearest = Nearest(folder / "vectors")
        self._inodes = iter(range(1, 10_000))

    def add(self, name: str, vector: np.ndarray, *, copies: Sequence[str] = (), **metadata: object) -> None:
        with self.catalog.transaction():
            described = replace(Metadata(40, 30, "JPEG"), **metadata)  # type: ignore[arg-type]
            photo_id = self.catalog.put_photo(name.encode().ljust(32, b"."), described)
            self.catalog.put_vector(self.space, photo_id, vector, "by hand")
            for path in (name, *copies):
                folder, _, base = path.rpartition("/")
                stamp = Stamp(folder.encode(), base.encode(), 1, 1, next(self._inodes))
                self.catalog.put_file(self.root.id, stamp, photo_id)

    def ask(
        self, *parts: np.ndarray, weights: Sequence[float] = (), watch: Stopwatch | None = None, **fields
    ) -> Answer:  # type: ignore[no-untyped-def]
        question = Question(
            parts=np.array(parts, np.float32).reshape(-1, DIM),
            weights=tuple(weights) or (1.0,) * len(parts),
            is_image=fields.get("has_picture", False),
            has_picture=fields.pop("has_picture", False),
            excluded=np.array(fields.pop("excluded", ()), np.float32).reshape(-1, DIM),
            today=date(2024, 7, 1),
            **fields,
        )
        return answered(self.catalog, self._nearest, self.space, question, lambda: NOTHING, watch or Stopwatch())


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    """Relevance is the score itself, and 0.6 fits; what it really is has tests of its own."""
    monkeypatch.setattr(answers, "DEFAULT_THRESHOLD", 0.6)
    monkeypatch.setattr(answers, "relevance", lambda query, scores, vectors, background: np.float64(scores))
    monkeypatch.setattr(answers, "likeness", lambda query, vectors, background: np.float64(vectors @ query))
    made = Gallery(tmp_path)
    yield made
    made.catalog.close()


@pytest.fixture
def fan(gallery: Gallery) -> Gallery:
    """Ten photos from X (00) nearly to Y (09), each a little further; 03 and 07 have no date.

    Taken, from 00: 2010, 2017, 2014, -, 2018, 2015, 2012, -, 2016, 2013.
    """
    for number in range(10):
        angle = np.pi / 2 * number / 10
        taken = None if number in (3, 7) else f"20{10 + 7 * number % 10}-01-01T00:00:00"
        gallery.add(f"{number:02}.jpg", unit(np.cos(angle), np.sin(angle), 0, 0), taken_at=taken)
    return gallery


def names(answer: Answer) -> list[str]:
    return [os.path.basename(hit.path).decode().removesuffix(".jpg") for hit in answer.hits]


def test_hits_are_ranked_by_their_cosine(fan: Gallery) -> None:
    """The first photo must be the nearest, and a score the cosine that it is said to be."""
    answer = fan.ask(X, k=3)
    assert names(answer) == ["00", "01", "02"]
    assert [hit.rank for hit in answer.hits] == [1, 2, 3]
    assert [hit.score for hit in answer.hits] == pytest.approx(np.cos(np.pi / 20 * np.arange(3)), abs=1e-3)
    assert (answer.plan, answer.searched, answer.library, answer.gate) == ("exact", 10, 10, 0.6)


def test_contributions_say_what_each_term_gave_and_sum_to_the_score(fan: Gallery) -> None:
    """An explanation that does not add up explains nothing; a term looked away from takes away."""
    answer = fan.ask(X, Y, Z, weights=(2, -1, 0.5), k=0)
    length = np.sqrt(4 + 1 + 0.25)
    for hit in answer.hits:
        assert hit.score is not None and sum(hit.contributions) == pytest.approx(hit.score, abs=1e-4)
        angle = np.pi / 2 * int(os.path.basename(hit.path)[:2]) / 10
        wanted = (2 * np.cos(angle) / length, -np.sin(angle) / length, 0)
        assert hit.contributions == pytest.approx(wanted, abs=1e-3)


def test_terms_that_cancel_out_are_refused(fan: Gallery) -> None:
    """An order by rounding errors would be shown as an answer."""
    with pytest.raises(UsageError, match="cancel"):
        fan.ask(X, X, weights=(1, -1))


@pytest.mark.parametrize(("k", "count"), [(1, 1), (9, 9), (10, 10), (11, 10), (0, 10)])
def test_k_is_how_many_and_zero_is_all(fan: Gallery, k: int, count: int) -> None:
    """Whoever exports everything would lose the last one, or everything."""
    assert len(fan.ask(X, k=k).hits) == count
    assert len(fan.ask(k=k, filters=(Filter("is", "landscape"),)).hits) == count


def test_what_is_excluded_is_made_up_for(fan: Gallery) -> None:
    """Asking for 3 photos without people must not give none because the 3 nearest show people."""
    answer = fan.ask(Y, k=3, excluded=[Y])  # 05 to 09 are more than 0.6 like Y
    assert names(answer) == ["04", "03", "02"]
    assert names(fan.ask(Y, k=0, excluded=[Y])) == ["04", "03", "02", "01", "00"]
    assert names(fan.ask(Y, k=9, excluded=[X, Y])) == []
    assert names(fan.ask(Y, k=2, excluded=[Y], filters=(Filter("taken", "2010..2017"),))) == ["02", "01"]


def test_what_is_excluded_is_dropped_and_not_subtracted(fan: Gallery) -> None:
    """not: is hard: the scores of what stays are those of the query alone."""
    plain = {hit.path: hit.score for hit in fan.ask(X, k=0).hits}
    for hit in fan.ask(X, k=0, excluded=[Y]).hits:
        assert hit.score == plain[hit.path]


def test_a_filter_is_searched_exactly_and_counts_what_it_left(fan: Gallery) -> None:
    """A filter applied to the 20 nearest alone would find nothing in a large library."""
    answer = fan.ask(X, k=2, filters=(Filter("after", "2014"),))
    assert names(answer) == ["01", "04"]
    assert (answer.plan, answer.searched, answer.library) == ("filtered exact", 4, 10)
    nothing = fan.ask(X, filters=(Filter("after", "2030"),))
    assert (nothing.hits, nothing.searched, nothing.plan) == ((), 0, "filtered exact")


def test_filters_alone_give_the_newest_first_and_what_has_no_date_last(fan: Gallery) -> None:
    """A list of photos has an order that people know, and no score that means nothing."""
    answer = fan.ask(k=0, filters=(Filter("is", "landscape"),))
    taken = [hit.taken_at for hit in answer.hits]
    assert taken[:8] == sorted(filter(None, taken), reverse=True) and taken[8:] == [None, None]
    assert {(hit.score, hit.relevance, hit.contributions) for hit in answer.hits} == {(None, None, ())}
    assert (answer.plan, answer.gate, answer.fitting) == ("filter only", None, answer.hits)
    assert names(fan.ask(k=2, filters=(Filter("is", "landscape"),))) == names(answer)[:2]


def test_filters_alone_are_sorted_by_name_before_they_are_cut(fan: Gallery) -> None:
    """The first three by name are not the three newest, by name."""
    assert names(fan.ask(k=3, sort="name", filters=(Filter("is", "landscape"),))) == ["00", "01", "02"]


def test_sorting_arranges_the_best_and_does_not_choose_others(fan: Gallery) -> None:
    """Sorted by date before it is cut, an answer would be the newest photos and not those that were asked for."""
    assert sorted(names(fan.ask(X, k=5, sort="date"))) == ["00", "01", "02", "03", "04"]
    by_date = fan.ask(X, k=5, sort="date").hits
    assert [hit.taken_at and hit.taken_at[:4] for hit in by_date] == ["2018", "2017", "2014", "2010", None]
    assert [hit.rank for hit in by_date] == [1, 2, 3, 4, 5]
    assert names(fan.ask(Y, k=3, sort="name")) == ["07", "08", "09"]


def test_a_threshold_of_ones_own_drops_hits_and_is_the_gate(fan: Gallery) -> None:
    """--min-relevance that only dims what is below would hand it to a script all the same."""
    answer = fan.ask(X, k=0, min_relevance=0.9)
    assert names(answer) == ["00", "01", "02"] and answer.gate == 0.9
    unlimited = fan.ask(X, k=0)
    assert len(unlimited.hits) == 10 and len(unlimited.fitting) == 6  # the gate hides, and drops nothing


def test_pictures_alone_have_no_gate(fan: Gallery) -> None:
    """What is nearest to a picture is what was asked for, however far it is."""
    answer = fan.ask(X, k=0, has_picture=True)
    assert answer.gate is None and len(answer.fitting) == 10
    assert len(fan.ask(X, k=0, has_picture=True, min_relevance=0.9).hits) == 3


def test_a_photo_is_shown_by_the_copy_that_lies_where_one_asked(gallery: Gallery) -> None:
    """Asked for one folder, a person would be shown a path in another one."""
    gallery.add("a/first.jpg", X, copies=["b/second.jpg", "c/third.jpg"])
    gallery.add("a/other.jpg", Y)
    (hit,) = gallery.ask(X, under=b"/photos/b").hits
    assert hit.path == b"/photos/b/second.jpg"
    assert hit.copies == (b"/photos/a/first.jpg", b"/photos/c/third.jpg")
    (hit,) = gallery.ask(under=b"/photos/c/third.jpg").hits
    assert hit.path == b"/photos/c/third.jpg" and hit.score is None


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ([("in", "Deck")], b"b/deck/second.jpg"),
        ([("in", "elsewhere"), ("in", "b")], b"b/deck/second.jpg"),
        ([("in", "/photos/c")], b"c/third.jpeg"),
        ([("in", "/photos/c/third.jpeg")], b"c/third.jpeg"),
        ([("ext", "jpeg")], b"c/third.jpeg"),
        ([("in", "photos"), ("ext", "jpeg")], b"c/third.jpeg"),
        ([("type", "jpeg")], b"a/first.jpg"),
    ],
)
def test_a_photo_is_shown_by_the_copy_that_the_filters_mean(
    gallery: Gallery, filters: list[tuple[str, str]], shown: bytes
) -> None:
    """`in:Deck` in a pipe would copy, open or delete a file in another folder."""
    gallery.add("a/first.jpg", X, copies=["b/deck/second.jpg", "c/third.jpeg"])
    (hit,) = gallery.ask(X, filters=tuple(Filter(key, value) for key, value in filters)).hits
    assert hit.path == b"/photos/" + shown and len(hit.copies) == 2


def test_a_diverse_answer_of_all_photos_compares_the_best_only(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each choice is compared with all candidates: `--diverse -k 0` of 200,000 photos would run for hours."""
    for number in range(3):
        gallery.add(f"0{number}.jpg", unit(1, 0.001 * number, 0, 0))
    gallery.add("03.jpg", unit(0.5, 0, 0.8, 0))
    for number in range(4, 12):
        gallery.add(f"{number:02}.jpg", unit(0.1, 0.1 * number, 0, 1))
    asked = unit(1, 0, 0.55, 0)
    monkeypatch.setattr(answers, "_MIN_POOL", 5)
    monkeypatch.setattr(answers, "_MOST_POOL", 5)
    monkeypatch.setattr(answers, "_MOST_DIVERSE", 2)
    by_score, diverse = names(gallery.ask(asked, k=0)), names(gallery.ask(asked, k=0, diverse=True))
    assert by_score[:4] == ["00", "01", "02", "03"] and diverse[:2] == ["00", "03"]
    assert diverse[2:] == ["01", "02", *by_score[4:]]
    assert names(gallery.ask(asked, k=7, diverse=True)) == diverse[:7]


def test_a_photo_whose_files_are_gone_answers_nothing(fan: Gallery) -> None:
    """A path that does not exist any more is the wrong answer to everything."""
    known = fan.catalog.known_files(fan.root.id, fan.space.id)
    fan.catalog.forget_files([file.id for file in known if file.stamp.name == b"00.jpg"])
    assert names(fan.ask(X, k=2)) == ["01", "02"]
    assert "00" not in names(fan.ask(k=0, filters=(Filter("is", "landscape"),)))


def test_a_diverse_answer_chooses_among_more_than_it_shows(gallery: Gallery) -> None:
    """Of ten frames of one second and a second scene, two photos are to be one of each."""
    for number in range(10):
        gallery.add(f"frame-{number}.jpg", unit(1, 0.001 * number, 0, 0))
    gallery.add("scene.jpg", unit(0, 0.3, 0.95, 0))
    gallery.add("far.jpg", W)
    asked = unit(1, 0, 1, 0)
    assert all(name.startswith("frame") for name in names(gallery.ask(asked, k=2)))
    first, second = names(gallery.ask(asked, k=2, diverse=True))
    assert first.startswith("frame") and second == "scene"
    assert len(gallery.ask(asked, k=0, diverse=True).hits) == 12
    assert names(gallery.ask(asked, k=1, diverse=True, excluded=[X])) == ["scene"]


def test_an_answer_says_what_its_steps_took(fan: Gallery) -> None:
    """--explain that leaves the slow step out sends people the wrong way."""
    watch = Stopwatch()
    fan.ask(X, filters=(Filter("is", "landscape"),), watch=watch)
    assert [step.name for step in watch.steps] == ["filters", "candidates", "relevance", "duplicates"]
    assert all(0 <= step.milliseconds < 10_000 for step in watch.steps)
    with pytest.raises(ZeroDivisionError), watch.step("failing"):
        _ = 1 / 0
    assert watch.steps[-1].name == "failing"
