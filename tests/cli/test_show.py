"""`--show`: pictures in the terminal, by the way it speaks, on real pseudo-terminals."""

from __future__ import annotations

import hashlib
import math
import os
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.pictures.protocol import is_installed
from tests.cli.program import Program, copied, said_once

ASK = ("search", "an animal", "-k", "4", "--all", "--show")
needs_extra = pytest.mark.skipif(not is_installed(), reason="the extra [graphics] is not installed")


@pytest.fixture
def without_extra(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing can import textual_image."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['textual_image'] = None")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


def test_a_terminal_gets_a_grid_with_number_dots_and_name_below(indexed: Program) -> None:
    """Pictures without names cannot be opened, and names without pictures are the table."""
    shown = indexed.on_terminal(*ASK, columns=100)
    assert shown.code == 0
    blocks = [line for line in shown.text.splitlines() if "▀" in line]
    assert len(blocks) > 10
    facts = [line for line in shown.text.splitlines() if "●" in line]
    assert [re.findall(r"(\d+)  [●○]{5}", line) for line in facts] == [["1", "2", "3"], ["4"]]
    assert re.search(r"[\w-]+\.jpg", shown.text)


@pytest.mark.parametrize("columns", [30, 80, 120])
def test_the_grid_fits_the_terminal(indexed: Program, columns: int) -> None:
    """One character too many and every row of every picture wraps."""
    shown = indexed.on_terminal(*ASK, columns=columns)
    widths = [len(line) for line in shown.text.splitlines()[:-1]]  # the last one is the count
    assert columns - 6 <= max(widths) <= columns
    for line in shown.stdout.decode().splitlines():
        assert line.count("▀") == 0 or "\x1b[0m" in line  # the next line has its own colours


def test_no_color_shows_shades_and_no_escape_sequence(indexed: Program) -> None:
    """Who sets NO_COLOR has a terminal or an eye that cannot take them."""
    shown = indexed.on_terminal(*ASK, env={"NO_COLOR": "1"})
    assert shown.code == 0 and b"\x1b" not in shown.stdout
    assert "▀" not in shown.text and "#" in shown.text


@pytest.mark.parametrize(
    ("env", "start"),
    [
        ({"KITTY_WINDOW_ID": "1"}, "\x1b_Ga=T,f=100,"),
        ({"TERM_PROGRAM": "iTerm.app"}, "\x1b]1337;File=inline=1;"),
        pytest.param({"TERM": "foot"}, "\x1bP0;0;0q", marks=needs_extra),
    ],
)
def test_real_pictures_reach_terminals_that_have_them(indexed: Program, env: dict[str, str], start: str) -> None:
    """Somebody with such a terminal would never see more than blocks."""
    shown = indexed.on_terminal(*ASK, columns=100, env=env).stdout.decode()
    assert shown.count("\x1b7\x1b[") == shown.count("\x1b8") == 4  # each starts at a place and comes back
    assert shown.count(start) == 4 and "▀" not in shown
    assert "●" in shown and ".jpg" in shown


@pytest.mark.parametrize(
    ("protocol", "start"),
    [
        ("kitty", b"\x1b_G"),
        ("iterm2", b"\x1b]1337;"),
        ("blocks", "▀".encode()),
        pytest.param("sixel", b"\x1bP", marks=needs_extra),
    ],
)
def test_a_forced_protocol_works_in_a_pipe(indexed: Program, protocol: str, start: bytes) -> None:
    """Previews of other programs read from a pipe and draw on a terminal."""
    outcome = indexed(*ASK, "--pictures", protocol)
    assert outcome.code == 0 and start in outcome.stdout


def test_none_is_the_table(indexed: Program) -> None:
    """A setting for all terminals must not turn the command into an error on one."""
    table = indexed.on_terminal("search", "an animal", "-k", "4", "--all").text
    shown = indexed.on_terminal(*ASK, "--pictures", "none").text
    assert shown.splitlines()[:-1] == table.splitlines()[:-1]  # the last line has a time


def test_a_pipe_is_refused_in_one_sentence(indexed: Program) -> None:
    """Escape sequences in a file, or silently no pictures: both are riddles."""
    outcome = indexed(*ASK)
    assert said_once(outcome, 2) == "Pictures need a terminal."
    assert outcome.stdout == b"" and "--html" in outcome.stderr


def test_forms_exclude_each_other(indexed: Program, tmp_path: Path) -> None:
    """Pictures in the middle of JSON are neither."""
    for other in ("--json", "--ndjson", "-0", f"--html={tmp_path / 'page.html'}"):
        said_once(indexed(*ASK, other), 2)
    assert not (tmp_path / "page.html").exists()


def test_a_missing_extra_is_named_or_blocks_take_its_place(indexed: Program, without_extra: dict[str, str]) -> None:
    """A traceback about a module, or a screen of blocks without a word, leaves people where they are."""
    outcome = indexed(*ASK, "--pictures", "sixel", env=without_extra)
    assert said_once(outcome, 2) == "Pictures by sixel need the extra [graphics]."
    assert "pip install 'clipsearch[graphics]'" in outcome.stderr
    shown = indexed.on_terminal(*ASK, env={**without_extra, "TERM": "foot"})
    assert shown.code == 0 and "▀" in shown.text
    assert "pip install 'clipsearch[graphics]'" in shown.text
    assert indexed.on_terminal(*ASK, env={**without_extra, "KITTY_WINDOW_ID": "1"}).stdout.count(b"\x1b_Ga=T") == 4


@needs_extra
def test_the_terminal_is_asked_nothing(indexed: Program) -> None:
    """An answer that arrives on stdin is typed into the shell, or waited for where there is none."""
    for env in ({"TERM": "foot"}, {"KITTY_WINDOW_ID": "1"}):
        shown = indexed.on_terminal(*ASK, env=env).stdout
        assert not re.search(rb"\x1b\[>?0?c|\x1b\[1[468]t|a=q", shown)


def test_a_photo_that_is_gone_leaves_its_place_and_its_reason(program: Program, photos: Path) -> None:
    """One deleted file must not shift the names under other pictures."""
    folder = program.folder / "in"
    first, *_ = copied(photos, folder, "animals/jellyfish.jpg", "garden/dandelions.jpg")
    program("index", folder)
    first.unlink()
    shown = program.on_terminal("search", "a jellyfish", "--all", "--show")
    assert shown.code == 0
    assert "it is not there now" in shown.text
    assert "jellyfish.jpg" in shown.text and "dandelions.jpg" in shown.text and "▀" in shown.text


def test_every_picture_stands_above_its_own_name(program: Program) -> None:
    """Pictures come as they are ready, those that were kept first; a wrong name under one is worse than none."""
    colours = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}
    folder = program.folder / "in"
    folder.mkdir()
    for name, rgb in colours.items():
        Image.new("RGB", (320, 240), rgb).save(folder / f"{name}.png")
    program("index", folder)
    ask = ("search", "a red picture", "--all", "--show")
    program.on_terminal(*ask)
    first = Path(program(*ask[:-1]).paths[0])
    (program.library / "thumbs" / f"{hashlib.sha256(first.read_bytes()).hexdigest()}.webp").unlink()
    shown = program.on_terminal(*ask, env={"COLORTERM": "truecolor"})
    names = next(line for line in shown.text.splitlines() if ".png" in line).split()
    line = next(line for line in shown.stdout.decode().splitlines() if "▀" in line)
    seen = [tuple(map(int, rgb)) for rgb in re.findall(r"38;2;(\d+);(\d+);(\d+)", line)]
    places = [seen[place * len(seen) // 3 + 2] for place in range(3)]
    nearest = [min(colours, key=lambda name: math.dist(colours[name], rgb)) for rgb in places]
    assert [f"{name}.png" for name in nearest] == names


def test_a_name_cannot_write_to_the_terminal(program: Program, photos: Path) -> None:
    """A name with escape sequences could rewrite the screen, one that is not UTF-8 end the program."""
    folder = program.folder / "in"
    (source,) = copied(photos, folder, "animals/jellyfish.jpg")
    os.rename(source, os.path.join(os.fsencode(folder), b"a\x1b[31m\xff\n.jpg"))
    program("index", folder)
    shown = program.on_terminal("search", "jellyfish", "--all", "--show", env={"NO_COLOR": "1"})
    assert shown.code == 0 and b"\x1b" not in shown.stdout
    assert "a\\x1b[31m\\xff\\x0a.jpg" in shown.text


def test_similar_shows_too(indexed: Program, photos: Path) -> None:
    """The two commands answer alike in every other form."""
    shown = indexed.on_terminal("similar", photos / "animals/jellyfish.jpg", "-k", "2", "--show")
    assert shown.code == 0 and "▀" in shown.text and "jellyfish.jpg" in shown.text


def test_nothing_found_says_so_and_shows_nothing(indexed: Program) -> None:
    """An empty grid looks like a broken terminal."""
    shown = indexed.on_terminal("search", "a dog", "year:1890", "--show")
    assert shown.code == 1 and "None of 45 photos" in shown.text and "▀" not in shown.text


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_the_second_look_decodes_nothing(indexed: Program) -> None:
    """Decoding 20 photos again on each look is what the cache is for."""
    indexed.on_terminal(*ASK)
    thumbs = indexed.library / "thumbs"
    before = {path.name: path.stat().st_ino for path in thumbs.iterdir()}
    assert len(before) >= 4
    assert indexed.on_terminal(*ASK).code == 0
    assert {path.name: path.stat().st_ino for path in thumbs.iterdir()} == before
