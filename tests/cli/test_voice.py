"""--quiet, --verbose and --color, before and behind every verb; exit codes; pipes that close."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clipsearch.cli import VERBS
from clipsearch.errors import Exit
from tests.cli.program import Program, copied, said_once

ESCAPE = b"\x1b["


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_them(program: Program, verb: str) -> None:
    """An option that holds for nine verbs of ten is looked up every time."""
    text = program(verb, "--help").stdout.decode()
    for option in ("-q, --quiet", "-v, --verbose", "--color"):
        assert option in text


def test_quiet_leaves_answers_and_errors_only(program: Program, photos: Path) -> None:
    """A job of cron that says what it did sends a mail every night; one that hides what failed sends none."""
    folder = program.folder / "in"
    copied(photos, folder, "food/coffee-cup.jpg", "broken/half-copied.jpg")
    for before, behind in ((["-q"], []), ([], ["--quiet"])):
        assert program(*before, "index", folder, *behind).stderr == ""
    assert program("search", "ext:png", "-q").stderr == "" and program("search", "ext:png").stderr != ""
    zsl = program("zsl", folder, "--labels", "a,b", "-q")
    assert "half-copied.jpg was left out" in zsl.stderr and b"coffee-cup.jpg" in zsl.stdout
    assert said_once(program("search", "year:20", "-q"), 2)
    nothing = program.folder / "empty"
    nothing.mkdir()
    assert "holds no photos" in program("index", nothing, "-q").stderr
    shown = program.on_terminal("-q", "index", folder)
    assert shown.code == 0 and shown.stdout == b""


def test_verbose_adds_scores_and_names(program: Program, photos: Path) -> None:
    """Who wonders about an answer has to ask in JSON."""
    folder = program.folder / "in"
    copied(photos, folder, "food/coffee-cup.jpg", "broken/half-copied.jpg")
    assert "half-copied.jpg: " in program("index", folder, "-v").stderr
    score = program("search", "coffee", "--all", "--json").json[0]["score"]
    for call in (["-v", "search", "coffee", "--all"], ["search", "coffee", "--all", "-v"]):
        assert f"{score:.3f}" in program.on_terminal(*call).text
    assert f"{score:.3f}" not in program.on_terminal("search", "coffee", "--all").text


def test_color_wins_over_the_terminal_and_over_no_color(indexed: Program) -> None:
    """`| less -R` would be grey, and a terminal that shows no colours full of codes."""
    assert ESCAPE in indexed.on_terminal("config", "show").stdout
    assert ESCAPE not in indexed("config", "show").stdout
    for before, behind in ((["--color", "always"], []), ([], ["--color", "always"])):
        assert ESCAPE in indexed(*before, "config", "show", *behind).stdout
        assert ESCAPE in indexed(*before, "config", "show", *behind, env={"NO_COLOR": "1"}).stdout
    for option, env in (
        (["--color", "never"], {}), (["--color", "auto"], {"NO_COLOR": "1"}), ([], {"CLIPSEARCH_COLOR": "never"}),
    ):  # fmt: skip
        assert ESCAPE not in indexed.on_terminal(*option, "config", "show", env=env).stdout
    assert ESCAPE in indexed.on_terminal("config", "show", env={"NO_COLOR": ""}).stdout  # empty is not set
    assert "--color" in said_once(indexed("status", "--color", "yes"), 2)


def test_pictures_obey_too(indexed: Program) -> None:
    """Half a screen of colours for somebody who has switched them off."""
    call = ("search", "in:food", "-k", "1", "--show", "--pictures", "blocks")
    color = b"\x1b[38;"
    assert color in indexed.on_terminal(*call).stdout
    assert color not in indexed.on_terminal(*call, "--color", "never").stdout
    assert color in indexed.on_terminal(*call, "--color", "always", env={"NO_COLOR": "1"}).stdout


def test_a_path_in_a_pipe_is_never_colored(indexed: Program) -> None:
    """An escape code in a path names no file."""
    assert ESCAPE not in indexed("search", "in:food", "--color", "always").stdout


def test_a_narrow_terminal_keeps_names_and_breaks_no_line(indexed: Program, photos: Path) -> None:
    """A phone or a split screen: /wo…e.jpg names no photo, and a label on the next line belongs to none."""
    shown = indexed.on_terminal("search", "in:city", "-k", "3", columns=40).text
    rows = [line for line in shown.splitlines() if ".jpg" in line]
    assert len(rows) == 3 and max(map(len, rows)) <= 40, shown
    undated = indexed.on_terminal("search", "singaporean city", "--all", "-k", "1", columns=40).text
    assert re.search(r"…[\w-]{8,}\.jpg", undated), undated
    labels = indexed.on_terminal("zsl", photos / "food", "--labels", "cup of coffee,bread,fruit", columns=40).text
    rows = [line for line in labels.splitlines() if "%" in line]
    assert len(rows) == 3 and max(map(len, rows)) <= 40, labels
    models = indexed.on_terminal("model", "list", columns=60).text
    assert not [line for line in models.splitlines() if len(line) > 60 and "/" not in line], models


# -- exit codes ------------------------------------------------------------------------------------


def test_each_exit_code_means_what_it_says(program: Program, photos: Path) -> None:
    """A script that tells "nothing found" from "no library" by the code takes the wrong branch."""
    folder = program.folder / "in"
    copied(photos, folder, "food/coffee-cup.jpg")
    met = {
        program("search", "ext:jpg").code: Exit.LIBRARY,
        program("index", folder).code: Exit.DONE,
        program("search", "ext:png").code: Exit.NOTHING_FOUND,
        program("search", "year:20").code: Exit.USAGE,
        program("index", "--model", "none").code: Exit.MODEL,
        program("index", program.folder / "none").code: Exit.SYSTEM,
    }
    assert all(code == meaning for code, meaning in met.items())
    assert {*met} | {Exit.INTERRUPTED} == {*Exit}  # the interrupt is tested in test_index.py and test_batch.py


# -- pipes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        ("search", "ext:jpg"), ("search", "ext:jpg", "-v", "--explain", "-q"), ("similar", "{photo}", "--json"),
        ("zsl", "{folder}", "--labels", "a,b"), ("zsl", "{folder}", "--labels", "a,b", "--ndjson"),
        ("errors",), ("errors", "--json"), ("status",), ("status", "--json"), ("model", "list"),
        ("config", "show"), ("config", "show", "--json"), ("saved", "--json"), ("completion", "fish"), ("--help",),
        ("index", "{folder}", "--progress", "json"),
    ],
)  # fmt: skip
def test_a_pipe_closed_early_is_silent(indexed: Program, photos: Path, call: tuple[str, ...]) -> None:
    """`| head -1` would print a traceback about a broken pipe under its answer."""
    arguments = [word.format(photo=photos / "food/coffee-cup.jpg", folder=photos / "food") for word in call]
    with indexed.start(*arguments) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        said = process.stderr.read().decode()
    lines = [line for line in said.splitlines() if not line.startswith(("Done in", str(photos)))]
    assert not [line for line in lines if "Traceback" in line or "Error" in line or "clipsearch:" in line], said
