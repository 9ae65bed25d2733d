"""The service through its client: the same answers and errors as a library opened here, and nothing heavy imported."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipsearch.config import Paths
from clipsearch.errors import ClipsearchError
from clipsearch.library import Library
from clipsearch.service.client import Client, running
from clipsearch.service.record import Record, read_record, record_path, write_record
from clipsearch.types import Answer, LibraryAPI
from tests.cli.program import Program
from tests.service.served import Served, paths_of
from tests.test_imports import HEAVY, loaded_by


@pytest.fixture(scope="module")
def local(indexed: Program) -> Iterator[Library]:
    with Library(paths_of(indexed)) as library:
        yield library


@pytest.fixture
def both(
    served: Served, local: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[LibraryAPI, LibraryAPI]:
    """(through the service, opened here), both seen from the photos' folder."""
    monkeypatch.chdir(photos)
    client = running(paths_of(served.program))
    assert client is not None
    return client, local


def untimed(answer: Answer) -> Answer:
    """Without what took how long, and without what only the first to ask has to do: open the model, encode."""
    once = {"open the model", "tokenize", "encode"}
    steps = (replace(step, milliseconds=0.0) for step in answer.steps if step.name not in once)
    return replace(answer, steps=tuple(steps))


SEARCHES: list[dict[str, Any]] = [
    {"query": "a jellyfish"},
    {"query": "2:dogs - window not:food", "k": 3},
    {"query": "coffee in:./food"},
    {"query": "like:animals/jellyfish.jpg - water"},
    {"query": "@jelly in:animals", "k": 0},
    {"query": "ext:jpg", "sort": "name", "k": 2},
    {"query": "night", "under": "city"},
    {"query": "night", "under": b"./city", "exact": True},
    {"query": "animal", "diverse": True, "k": 3},
    {"query": "animal", "min_relevance": 0.5},
    {"query": "+ night", "images": [Path("animals/jellyfish.jpg"), "food/coffee-cup.jpg"]},
    {"images": [b"animals/caf\xe9.jpg"]},
    {"query": " ".join(["photograph"] * 100)},
]


@pytest.mark.parametrize("question", SEARCHES, ids=lambda question: str(question.get("query", ""))[:30])
def test_a_search_answers_alike_field_for_field(both: tuple[LibraryAPI, LibraryAPI], question: dict[str, Any]) -> None:
    """An answer that depends on who gives it cannot be trusted."""
    asked, local = both
    expected = untimed(local.search(**question))
    assert expected.hits or "min_relevance" in question
    assert untimed(asked.search(**question)) == expected


def test_similar_classify_photo_and_status_answer_alike(both: tuple[LibraryAPI, LibraryAPI], tmp_path: Path) -> None:
    """As above, for everything else that is asked."""
    asked, local = both
    shutil.copy("food/coffee-cup.jpg", tmp_path / "new.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    questions: list[Callable[[LibraryAPI], object]] = [
        lambda library: untimed(library.similar("animals/dogs-at-window.jpg", k=2, under="animals")),
        lambda library: list(library.classify(["animals", tmp_path], ["cat", "coffee"], templates=["a {}", "one {}."])),
        lambda library: library.photo("animals/caf\udce9.jpg"),
        lambda library: library.photo("nowhere.jpg"),
        lambda library: library.status(),
    ]
    for question in questions:
        assert question(asked) == question(local)


ERRORS: list[Callable[[LibraryAPI], object]] = [
    lambda library: library.search("dog + "),
    lambda library: library.search("dog - dog"),
    lambda library: library.search("year:soon"),
    lambda library: library.search("@nobody"),
    lambda library: library.search(""),
    lambda library: library.search("like:nowhere.jpg"),
    lambda library: library.similar("nowhere.jpg"),
    lambda library: list(library.classify(["nowhere"], ["cat", "dog"])),
    lambda library: list(library.classify(["animals"], ["cat", "cat"])),
    lambda library: list(library.classify(["animals"], ["cat", "dog"], templates=["no place"])),
]


@pytest.mark.parametrize("question", ERRORS)
def test_an_error_is_told_alike(both: tuple[LibraryAPI, LibraryAPI], question: Callable[[LibraryAPI], object]) -> None:
    """Scripts that look at exit codes would break when a service runs."""
    told = []
    for library in both:
        with pytest.raises(ClipsearchError) as caught:
            question(library)
        told.append((type(caught.value), caught.value.message, caught.value.hint))
    assert told[0] == told[1]


def test_the_client_imports_nothing_heavy() -> None:
    """A command that the service answers would wait for numpy all the same."""
    loaded = loaded_by("import clipsearch.service.client")
    assert not (HEAVY | {"sqlite3", "click"}) & loaded
    ours = {name for name in loaded if name.startswith("clipsearch")}
    assert not {
        name for name in ours if name.startswith(("clipsearch.library", "clipsearch.engine", "clipsearch.index"))
    }


# -- when it is not the service that should answer --------------------------------------------------


def test_only_the_service_of_these_places_and_this_program_is_asked(served: Served, tmp_path: Path) -> None:
    """Another model folder may hold another model of that name; another version may mean something else."""
    ours = paths_of(served.program)
    assert served.record.serves(ours)
    assert not served.record.serves(replace(ours, models=tmp_path))
    assert not served.record.serves(replace(ours, cache=tmp_path))
    assert not served.record.serves(replace(ours, library=tmp_path))
    assert not replace(served.record, version="0.0.0").serves(ours)


@pytest.fixture
def stale(served: Served, paths: Paths) -> Record:
    """A record of a server that is gone; nothing listens at its port."""
    paths.library.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    places = {name: str(getattr(paths, name)) for name in ("library", "cache", "models")}
    return replace(served.record, socket=None, port=port, token="token", proof="proof", **places)


def test_a_record_whose_server_is_gone_is_passed_over(stale: Record, paths: Paths) -> None:
    """A killed server would take searching away with it."""
    write_record(paths.library, stale)
    assert running(paths) is None
    write_record(paths.library, replace(stale, port=None, socket=os.fsencode(paths.library / "gone.sock")))
    assert running(paths) is None
    assert record_path(paths.library).exists()  # it is not ours to clean up


@pytest.mark.parametrize("reply", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"SSH-2.0-X\r\n", b"", None])
def test_another_program_at_the_port_is_not_believed(stale: Record, paths: Paths, reply: bytes | None) -> None:
    """Its paths would be taken for photos and piped into rm."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        write_record(paths.library, replace(stale, port=other.getsockname()[1]))

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply or b"")

        if reply is not None:  # None: it takes the connection and says nothing
            thread = threading.Thread(target=answer)
            thread.start()
        assert running(paths) is None
        if reply is not None:
            thread.join(10)


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"version": 1}', b"\xff", b"x" * 100_000])
def test_a_record_that_cannot_be_read_is_none(paths: Paths, text: bytes) -> None:
    """A half-written or newer record would end every search."""
    paths.library.mkdir(parents=True)
    record_path(paths.library).write_bytes(text)
    assert read_record(paths.library) is None and running(paths) is None


def test_progress_is_heard_as_if_it_were_made_here(both: tuple[LibraryAPI, LibraryAPI]) -> None:
    """Labels that take minutes looked like a program that hangs, and after two minutes were given up."""
    heard: tuple[list[tuple[str, int, int]], ...] = ([], [])
    for library, said in zip(both, heard, strict=True):
        results = list(library.classify(["food"], ["cat", "dog"], progress=lambda *told, said=said: said.append(told)))
        assert len(results) == len(list(library.classify(["food"], ["cat", "dog"])))
    assert heard[0] == heard[1] and ("encoding labels", 2, 2) in heard[0]


def test_a_service_that_ends_in_between_is_one_sentence(stale: Record) -> None:
    """A traceback of http.client tells nobody what happened."""
    client = Client(stale, b"/")
    for question in (client.status, lambda: list(client.classify(["a"], ["b"]))):
        with pytest.raises(ClipsearchError) as caught:
            question()
        assert caught.value.message == f"The service (process {stale.pid}) ended before it had answered."


def test_an_answer_in_lines_that_was_cut_off_is_an_error(stale: Record, served: Served) -> None:
    """Half of the labels would pass for all of them."""
    line = b'{"path": "/a.jpg", "labels": [], "label": null, "probability": null}\n'
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nClipsearch-Proof: proof\r\nConnection: close\r\n\r\n" + line)

        thread = threading.Thread(target=answer)
        thread.start()
        results = Client(replace(stale, port=other.getsockname()[1]), b"/").classify(["a"], ["b"])
        assert next(iter(results)).path == b"/a.jpg"
        with pytest.raises(ClipsearchError, match="ended before it had answered"):
            next(iter(results))
        thread.join(10)
