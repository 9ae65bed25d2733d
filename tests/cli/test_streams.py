"""Streams that are closed, that cannot hold a character, and readers that go away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import Program, said_once


@pytest.mark.parametrize(
    "call",
    [
        ("search", "in:food"),
        ("search", "in:food", "--json"),
        ("search", "coffee", "--all", "--exec", "yes {}"),
        ("errors",),
        ("--help",),
    ],
)
def test_a_reader_that_has_seen_enough_is_told_apart_from_nothing_found(
    indexed: Program, call: tuple[str, ...]
) -> None:
    """`set -o pipefail` takes 1 for an empty answer; and each --exec after the first complains."""
    with indexed.start(*call) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, b"")


@pytest.fixture
def foreign(program: Program, photos: Path) -> Program:
    """A library with a name that Latin-1 cannot hold."""
    folder = program.folder / "día 犬"
    folder.mkdir()
    shutil.copy2(photos / "food/coffee-cup.jpg", folder)
    assert program("index", folder).code == 0
    return program


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["latin-1", "ascii", "C"],
)
def test_an_encoding_without_a_character_loses_no_answer(foreign: Program, env: dict[str, str]) -> None:
    """A traceback about a codec, after half of the photos, on the one machine with an old locale."""
    expected = foreign("search", "ext:jpg", "--json").json
    for form in ("--json", "--ndjson"):
        outcome = foreign("search", "ext:jpg", form, env=env)
        found = json.loads(outcome.stdout.decode("ascii"))  # valid whatever the encoding
        assert (found if form == "--json" else [found]) == expected, outcome.stderr
    for call in (("search", "coffee", "--all"), ("search", "coffee", "--all", "--show", "--pictures", "blocks")):
        shown = foreign.on_terminal(*call, env=env)
        assert shown.code == 0 and "coffee-cup.jpg" in shown.text, shown.text
    assert foreign("index", "--progress", "json", env=env).code == 0


def test_a_closed_stdout_is_said_and_the_others_are_not_missed(indexed: Program) -> None:
    """cron and daemons close streams: a traceback, or worse, the library under the number of stderr."""

    def closed(call: str) -> tuple[int, str]:
        line = f"'{sys.executable}' -m clipsearch {call}"
        done = subprocess.run(["sh", "-c", line], env=indexed.environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    code, said = closed("search in:food >&-")
    assert code == 5 and "stdout is closed" in said and "hint: " in said and "Traceback" not in said
    assert closed("search in:food 2>&-") == (0, "")
    assert closed("search in:food -k many 2>&-") == (2, "")
    assert closed("search --batch - <&-") == (1, "")


def test_a_command_that_failed_is_not_said_to_be_repeatable(indexed: Program) -> None:
    """The hint of copies, which are not made twice, would run a command twice."""
    outcome = indexed("search", "in:food", "-k", "1", "--exec", "false")
    assert outcome.code == 5 and outcome.stderr.endswith("hint: What is not named here is done.\n")
    assert said_once(outcome, 5)
