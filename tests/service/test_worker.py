"""The warm library in its thread: turns, folders, what it notices of the disk, how it fails. With the real starter."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.errors import LibraryError, SystemFault
from clipsearch.library import Library
from clipsearch.service.worker import Worker
from tests.cli.program import Program, copied
from tests.conftest import SAMPLES
from tests.service.served import LIMIT_S, paths_of


@pytest.fixture
def own(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Paths:
    monkeypatch.chdir(tmp_path)  # a worker leaves the folder of its process; this brings it back
    return paths_of(program)


@pytest.fixture
def worker(own: Paths) -> Iterator[Worker]:
    with Worker(own) as worker:
        yield worker


def count(library: Library) -> int:
    return library.search("an animal", k=1).library


def text_tower(library: Library) -> object:
    engine = library._opened._engine
    return engine and engine._text_tower


def test_another_library_in_the_same_place_is_noticed(
    worker: Worker, own: Paths, program: Program, tmp_path: Path
) -> None:
    """An index made anew would be answered from the deleted one, which the open file keeps alive."""
    assert worker.call(count) == 5
    shutil.rmtree(own.library)
    with pytest.raises(LibraryError, match="There is no library"):
        worker.call(count)
    copied(SAMPLES, tmp_path / "other", "food/coffee-cup.jpg")
    assert program("index", tmp_path / "other").code == 0
    assert worker.call(count) == 1


def test_a_relevance_follows_the_library(worker: Worker, own: Paths, program: Program, tmp_path: Path) -> None:
    """It is measured against the other photos; an old measure would let another photo through than a fresh process."""
    before = worker.call(lambda library: library.search("an animal", k=0))
    copied(SAMPLES, tmp_path / "more", "food/bakery-pastries.jpg", "food/fruit-in-red-bowl.jpg")
    assert program("index", tmp_path / "more").code == 0
    after = worker.call(lambda library: library.search("an animal", k=0))
    with Library(own) as fresh:
        expected = fresh.search("an animal", k=0)
    assert after.hits == expected.hits
    assert [hit.relevance for hit in after.hits[:5]] != [hit.relevance for hit in before.hits[:5]]


def test_a_saved_search_is_known_at_once(worker: Worker, own: Paths) -> None:
    """`--save` writes beside the service."""
    assert worker.call(lambda library: library.search("@jelly", k=1), os.fsencode(SAMPLES)).hits
    with Library(own) as library:
        library.save_search("night", "a city at night")
    assert worker.call(lambda library: library.search("@night", k=1)).terms == ("a city at night",)


def test_the_model_is_loaded_once(worker: Worker) -> None:
    """Half a second for each new text is what the service is there to save."""
    worker.call(Library.warm_up)
    tower = worker.call(text_tower)
    assert tower is not None
    worker.call(lambda library: library.search("never asked before", k=1))
    worker.call(Library.warm_up)
    assert worker.call(text_tower) is tower


def test_others_have_their_turn_between_the_pieces_of_a_long_answer(worker: Worker, own: Paths, photos: Path) -> None:
    """Labelling a folder of new photos takes minutes; searches must not wait for its end."""
    new = [*copied(SAMPLES, own.library.parent / "new", "food/bakery-pastries.jpg"), photos]
    stream = worker.stream(lambda library, _: library.classify(new, ["an animal", "food"]))
    first = next(stream)
    # A search, and a library that was written meanwhile, change nothing for the pieces that are still to come.
    with Library(own) as library:
        library.save_search("between", "two pieces")
    assert worker.call(count) == 5
    paths = [first.path, *(piece.path for piece in stream)]
    with Library(own) as library:
        assert paths == [piece.path for piece in library.classify(new, ["an animal", "food"])]


def test_what_is_said_in_a_long_turn_is_heard_before_it_ends(worker: Worker) -> None:
    """ImageNet's labels are minutes of work before the first photo: a client that hears nothing gives up."""
    heard = threading.Event()

    def pieces(library: Library, tell: Callable[[str], None]) -> Iterator[str]:
        tell("half")
        assert heard.wait(10)
        tell("all")
        yield "first"
        tell("later")
        yield "second"

    stream = worker.stream(pieces)
    assert next(stream) == "half"
    heard.set()
    assert list(stream) == ["all", "first", "later", "second"]


def test_a_long_answer_that_is_left_in_the_middle_of_a_turn_is_ended(worker: Worker) -> None:
    """Whoever presses Ctrl-C while labels are encoded would leave a turn that never ends."""
    left, ended = threading.Event(), []

    def pieces(library: Library, tell: Callable[[str], None]) -> Iterator[str]:
        try:
            tell("half")
            assert left.wait(10)
            yield "first"
        finally:
            ended.append(threading.current_thread().name)

    stream = worker.stream(pieces)
    assert next(stream) == "half"
    left.set()
    stream.close()
    assert ended == ["clipsearch-library_0"] and worker.call(count) == 5


def test_a_long_answer_that_nobody_reads_any_more_is_ended(worker: Worker) -> None:
    """A client that left would keep decoding processes alive; and SQLite lets go in its own thread only."""
    ended: list[str] = []

    def pieces(library: Library, tell: Callable[[int], None]) -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            ended.append(threading.current_thread().name)

    stream = worker.stream(pieces)
    assert next(stream) == 0
    stream.close()
    assert ended == ["clipsearch-library_0"]


def test_relative_paths_are_those_of_whoever_asks(worker: Worker, photos: Path, tmp_path: Path) -> None:
    """The service's own folder would be searched for the caller's picture; or its disk kept from being unmounted."""
    assert worker.call(lambda _: os.getcwdb(), os.fsencode(photos)) == os.fsencode(photos)
    assert os.getcwdb() == b"/"
    with pytest.raises(SystemFault, match=r"cannot enter .*gone"):
        worker.call(lambda _: None, os.fsencode(tmp_path / "gone"))
    assert worker.call(lambda _: os.getcwdb()) == b"/"


def test_a_mistake_of_ours_is_told_logged_and_survived(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """One bad question would end the service for everybody, or vanish without a trace."""
    with caplog.at_level(logging.ERROR), pytest.raises(SystemFault, match=r"^ZeroDivisionError: .* mistake of clips"):
        worker.call(lambda _: 1 // 0)
    assert "Traceback" in caplog.text
    with pytest.raises(SystemFault, match=r"^No such file or directory: /no/such$"):
        worker.call(lambda _: os.listdir("/no/such"))
    assert worker.call(count) == 5


def test_whoever_waits_when_it_ends_is_told(own: Paths) -> None:
    """A client would wait for its whole time limit."""
    worker = Worker(own)
    busy, go_on = threading.Event(), threading.Event()

    def long(_: Library) -> bool:
        busy.set()
        return go_on.wait(LIMIT_S)

    told: list[object] = []

    def ask() -> None:
        try:
            told.append(worker.call(count))
        except SystemFault as error:
            told.append(error.message)

    first = threading.Thread(target=lambda: told.append(worker.call(long)))
    first.start()
    assert busy.wait(LIMIT_S)
    ending = threading.Thread(target=worker.__exit__)
    second = threading.Thread(target=ask)
    second.start()
    ending.start()
    while not worker._ending:
        threading.Event().wait(0.001)
    go_on.set()
    for thread in (first, second, ending):
        thread.join(LIMIT_S)
    assert sorted(map(str, told)) == ["The service is ending.", "True"]
    with pytest.raises(SystemFault, match="is ending"):
        worker.call(count)
