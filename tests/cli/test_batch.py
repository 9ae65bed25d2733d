"""`clipsearch search --batch` and `--files0-from`: many questions, many paths."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Program, copied, said_once


def rows(stdout: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


def conversation(program: Program, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "clipsearch", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=program.environment,
        start_new_session=True,
    )  # fmt: skip


def test_one_line_in_is_one_line_out_in_the_same_order(indexed: Program, tmp_path: Path) -> None:
    """Answers that cannot be put beside their questions are worth nothing."""
    queries = ["a dog", "", "   ", "in:food", "2:flowers - red"]
    file = tmp_path / "queries.txt"
    file.write_text("\ufeff" + "\r\n".join(queries))  # as an editor on Windows writes it
    outcome = indexed("search", "--batch", file, "-k", "3")
    asked = [query for query in queries if query.strip()]
    answers = rows(outcome.stdout)
    assert outcome.code == 0 and [answer["query"] for answer in answers] == asked
    for answer in answers:
        assert answer["hits"] == indexed("search", answer["query"], "-k", "3", "--json").json
    assert rows(indexed("search", "--batch", "-", "-k", "3", stdin=file.read_bytes()).stdout) == answers


def test_a_query_that_cannot_be_answered_leaves_the_others_their_answers(indexed: Program) -> None:
    """One typing mistake in the middle of a night's work would end it."""
    lines = b'year:20\nbeach "\nlike:/no/such.jpg\n\xff\xfe\n@unknown\nin:food\n'
    outcome = indexed("search", "--batch", "-", stdin=lines)
    *failed, last = rows(outcome.stdout)
    assert outcome.code == 0 and len(last["hits"]) == 3 and len(failed) == 5
    for answer in failed:
        assert set(answer) == {"query", "error", "hint"} and answer["error"] and answer["hint"]
    assert failed[3]["query"] == "\\xff\\xfe"


def test_the_exit_code_says_whether_anything_was_found(indexed: Program) -> None:
    """`if clipsearch search --batch …` takes the wrong branch."""
    assert indexed("search", "--batch", "-", stdin=b"in:nowhere\nin:food\n").code == 0
    assert indexed("search", "--batch", "-", stdin=b"in:nowhere\nyear:20\n").code == 1
    assert indexed("search", "--batch", "-", stdin=b"").code == 1


def test_each_answer_is_there_before_the_next_question(indexed: Program) -> None:
    """A program that asks, reads and asks again would wait for ever."""
    with conversation(indexed, "search", "--batch", "-", "-k", "1") as process:
        assert process.stdin and process.stdout
        for query in ("in:food", "in:animals"):
            process.stdin.write(query.encode() + b"\n")
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 60)[0], "no answer"
            assert json.loads(process.stdout.readline())["query"] == query
        process.stdin.close()
        assert process.wait(60) == 0


def test_an_interrupt_ends_it_cleanly(indexed: Program) -> None:
    """A traceback at the end of a file that somebody parses."""
    with conversation(indexed, "search", "--batch", "-", "-k", "1") as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"in:food\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["hits"]
        os.killpg(process.pid, signal.SIGINT)
        assert (process.wait(60), process.stderr.read(), process.stdout.read()) == (130, b"\n", b"")
        process.stdin.close()


def test_what_would_be_wrong_with_every_query_is_said_once(program: Program, indexed: Program) -> None:
    """A thousand lines that all say that there is no library."""
    assert "library" in said_once(program("search", "--batch", "-", stdin=b"a\nb\n"), 3)
    assert "--batch" in said_once(indexed("search", "a dog", "--batch", "-"), 2)
    assert "no/such" in said_once(indexed("search", "--batch", "no/such"), 5)


def test_a_list_of_paths_is_indexed(program: Program, photos: Path) -> None:
    """What `find -print0` finds could not be indexed when it is more than a command line holds."""
    folder = program.folder / "in"
    copied(photos, folder, "food/coffee-cup.jpg", "animals/jellyfish.jpg", "garden/dandelions.jpg")
    listed = b"%b\0%b" % (os.fsencode(folder / "coffee-cup.jpg"), os.fsencode(folder / "jellyfish.jpg"))
    assert program("index", "--files0-from", "-", stdin=listed).code == 0
    assert program("status", "--json").json["photos"] == 2


def test_an_empty_list_indexes_nothing(program: Program, photos: Path) -> None:
    """A `find` that finds nothing would start to index every folder there is."""
    (photo,) = copied(photos, program.folder / "in", "food/coffee-cup.jpg")
    program("index", photo.parent)
    copied(photos, photo.parent, "animals/jellyfish.jpg")
    outcome = program("index", "--files0-from", "-", stdin=b"")
    assert outcome.code == 0 and "nothing is indexed" in outcome.stderr
    assert program("status", "--json").json["photos"] == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses names that are not UTF-8")
def test_a_list_of_paths_is_labelled_whatever_their_bytes(program: Program, photos: Path) -> None:
    """Names with line breaks or without UTF-8 are why lists end with NUL bytes."""
    folder = os.fsencode(program.folder / "in")
    os.mkdir(folder)
    names = [folder + b"/caf\xe9.jpg", folder + b"/two\nlines.jpg"]
    for name in names:
        shutil.copy(os.fsencode(photos / "food/coffee-cup.jpg"), name)
    file = program.folder / "list"
    file.write_bytes(b"\0".join(names) + b"\0")
    outcome = program("zsl", "--files0-from", file, "--labels", "cup,dog")
    assert outcome.code == 0
    assert [line for name in names for line in [name + b"\tcup\t"] if line in outcome.stdout] == [
        name + b"\tcup\t" for name in names
    ]
    assert program("zsl", "--files0-from", "-", "--labels", "cup,dog", stdin=b"").code == 1
    assert "no library" in said_once(program("zsl", "--labels", "cup,dog"), 3)  # whose photos are meant
