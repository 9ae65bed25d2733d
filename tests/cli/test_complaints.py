"""A mistyped line is answered in the program's own words, with what to type instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipsearch.cli import VERBS
from tests.cli.program import Program, said_once


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("search dog -k many", '-k is "many", which does not fit.', "It takes a whole number from 0 on."),
        ("search dog -k -1", '-k is "-1", which does not fit.', "It takes a whole number from 0 on."),
        ("search dog -k", "-k needs a value.", "clipsearch search --help"),
        ("search dog --min-relevance 2", '--min-relevance is "2.0"', "It takes a number from 0 to 1."),
        ("search dog --sort size", '--sort is "size"', "It takes score, date or name."),
        ("search dog --jsn", "There is no option --jsn. Did you mean --json", "clipsearch search --help"),
        ("search -people", "There is no option -p.", 'clipsearch search -- "- people"'),
        ("search dog --json=yes", "--json takes no value.", "clipsearch search --help"),
        ("similar", "clipsearch similar needs PHOTO.", "clipsearch similar --help"),
        ("completion", "clipsearch completion needs SHELL.", "It is bash, zsh or fish."),
        ("completion tcsh", 'SHELL is "tcsh"', "It takes bash, zsh or fish."),
        ("serch red dog", 'There is no command "serch". Did you mean search?', "clipsearch search red dog"),
        ("dog on a beach", 'There is no command "dog".', "clipsearch search dog on a beach"),
        ("help", 'There is no command "help".', "clipsearch --help"),
    ],
)
def test_each_is_one_sentence_and_what_to_do(program: Program, line: str, said: str, hint: str) -> None:
    """Python's quotes, tabs that are shown as \\x09, and a hint that leads to a page of 90 lines."""
    outcome = program(*line.split())
    assert said in said_once(outcome, 2)
    assert outcome.stderr.splitlines()[-1].startswith("hint: ") and hint in outcome.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "call",
    [
        ("--library", "", "status"), ("status", "--library", ""), ("index", ""), ("index", "--model", ""),
        ("index", "--files0-from", ""), ("search", "dog", "--copy-to", ""), ("search", "dog", "--link-to", ""),
        ("search", "dog", "--under", ""), ("search", "dog", "--image", ""), ("search", "dog", "--html", ""),
        ("search", "--batch", ""), ("similar", ""), ("duplicates", "--under", ""), ("zsl", "", "--labels", "a,b"),
        ("zsl", "x.jpg", "--labels-file", ""),
    ],
)  # fmt: skip
def test_an_empty_value_is_refused(program: Program, tmp_path: Path, call: tuple[str, ...]) -> None:
    """`--copy-to "$TARGET"` without a TARGET fills the folder one is in; `--library ""` searches another library."""
    assert " is empty." in said_once(program(*call, cwd=tmp_path), 2)
    assert [one.name for one in tmp_path.iterdir()] == ["machine"]


@pytest.mark.parametrize("call", [("index", "--files0-from"), ("search", "--batch"), ("zsl", "x.jpg", "--labels-file")])
def test_a_file_that_cannot_be_read_is_the_systems(program: Program, tmp_path: Path, call: tuple[str, ...]) -> None:
    """Three options that read a file, and three exit codes."""
    assert "/no/such cannot be read" in said_once(program(*call, "/no/such"), 5)
    assert "cannot be read" in said_once(program(*call, tmp_path), 5)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_fits_80_columns(program: Program, verb: str) -> None:
    """Lines that a terminal breaks in the middle of a word, below columns that no longer are some."""
    shown = program(*verb.split(), "--help", env={"COLUMNS": "80"}).stdout.decode()
    assert [line for line in shown.splitlines() if len(line) > 80] == []
