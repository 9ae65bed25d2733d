"""Pictures as text and as escape sequences: the right protocol, the right pixels, the right shape."""

from __future__ import annotations

import base64
import io
import re
from typing import get_args

import pytest
from PIL import Image

from clipsearch.errors import UsageError
from clipsearch.pictures import protocol
from clipsearch.pictures.blocks import Cell, cells, depth, half_blocks, palette_index
from clipsearch.pictures.graphics import CellSize, drawn
from clipsearch.pictures.protocol import Protocol, chosen, detected

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def plain(width: int, height: int, colour: tuple[int, int, int] = RED) -> bytes:
    return encoded(Image.new("RGB", (width, height), colour))


@pytest.fixture(scope="module")
def four() -> bytes:
    """red green over blue white, 2 x 2 px"""
    image = Image.new("RGB", (2, 2))
    for place, colour in zip([(0, 0), (1, 0), (0, 1), (1, 1)], [RED, GREEN, BLUE, WHITE], strict=True):
        image.putpixel(place, colour)
    return encoded(image)


# -- which protocol --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "blocks"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),  # over SSH
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"KONSOLE_VERSION": "230801"}, "iterm2"),
        ({"KONSOLE_VERSION": "200400"}, "blocks"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm"}, "sixel"),
        ({"TERM_PROGRAM": "vscode"}, "blocks"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, "blocks"),  # inherited from outside
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, "blocks"),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, "blocks"),
    ],
)
def test_the_environment_tells_the_protocol(environ: dict[str, str], expected: Protocol) -> None:
    """A terminal that does not speak what it gets shows pages of base64."""
    assert detected(environ, is_terminal=True) == expected
    assert detected(environ, is_terminal=False) == "none"


def test_a_named_protocol_is_a_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who forces a protocol knows more than the environment; something else in its place is a riddle."""
    monkeypatch.setattr(protocol, "is_installed", lambda: True)
    for wanted in get_args(Protocol):
        assert chosen(wanted, {"TERM": "xterm-kitty"}, is_terminal=False) == wanted
    monkeypatch.setattr(protocol, "is_installed", lambda: False)
    for wanted in ("kitty", "iterm2", "blocks", "none"):
        assert chosen(wanted, {}, is_terminal=True) == wanted  # type: ignore[arg-type]  # literals in a loop
    with pytest.raises(UsageError, match="need the extra") as caught:
        chosen("sixel", {}, is_terminal=True)
    assert "pip install 'clipsearch[graphics]'" in caught.value.hint
    with pytest.raises(UsageError):
        chosen("kitty", {}, is_terminal=True, through_extra=frozenset({"kitty", "sixel"}))


def test_auto_takes_half_blocks_where_the_extra_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that need a package are no reason for no pictures."""
    monkeypatch.setattr(protocol, "is_installed", lambda: False)
    assert chosen("auto", {"TERM": "foot"}, is_terminal=True) == "blocks"
    assert chosen("auto", {"TERM": "xterm-kitty"}, is_terminal=True) == "kitty"
    monkeypatch.setattr(protocol, "is_installed", lambda: True)
    assert chosen("auto", {"TERM": "foot"}, is_terminal=True) == "sixel"


# -- half blocks -----------------------------------------------------------------------------------


def test_four_pixels_are_two_half_blocks(four: bytes) -> None:
    """Upper and lower swapped turn every picture over in stripes."""
    assert cells(four, 2, 1) == [[Cell(RED, BLUE), Cell(GREEN, WHITE)]]
    assert half_blocks(four, 2, 1, "truecolor") == [
        "\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[38;2;0;255;0;48;2;255;255;255m▀\x1b[0m"
    ]
    assert half_blocks(four, 2, 1, "256") == ["\x1b[38;5;196;48;5;21m▀\x1b[38;5;46;48;5;231m▀\x1b[0m"]


def test_shades_have_no_escape_sequence_and_follow_the_light(four: bytes) -> None:
    """NO_COLOR means none, and a negative of a photo is hardly a photo."""
    (line,) = half_blocks(four, 2, 1, "none")
    assert re.fullmatch(r"[ -~]{2}", line)
    steps = "".join(half_blocks(plain(1, 2, (level,) * 3), 1, 1, "none")[0] for level in (0, 60, 128, 200, 255))
    assert steps == " :+*@" or len(set(steps)) == 5
    assert (steps[0], steps[-1]) == (" ", "@")


def test_an_odd_height_ends_with_the_terminals_own_ground() -> None:
    """A black line below a third of all pictures."""
    (first, last) = half_blocks(plain(1, 3), 9, 9, "truecolor")
    assert "48;2;255;0;0" in first
    assert last == "\x1b[49;38;2;255;0;0m▀\x1b[0m"


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((320, 240), (24, 9), (24, 9)),
        ((320, 160), (24, 9), (24, 6)),
        ((160, 320), (24, 9), (9, 9)),
        ((320, 1), (24, 9), (24, 1)),
        ((1, 320), (24, 9), (1, 9)),
        ((4, 4), (24, 9), (4, 2)),
    ],
)
def test_pictures_fit_their_box_and_keep_their_ratio(
    size: tuple[int, int], box: tuple[int, int], expected: tuple[int, int]
) -> None:
    """A cell is twice as high as wide; who forgets it shows everybody thin."""
    grid = cells(plain(*size), *box)
    assert (len(grid[0]), len(grid)) == expected
    assert len({len(line) for line in grid}) == 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-kitty"}, "truecolor"),  # COLORTERM does not pass SSH
        ({"TERM": "xterm-direct"}, "truecolor"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "tmux-256color"}, "256"),
        ({"TERM": "vt100"}, "none"),
        ({"TERM": "dumb"}, "none"),
        ({}, "none"),
        ({"TERM": "xterm-kitty", "COLORTERM": "truecolor", "NO_COLOR": "1"}, "none"),
        ({"TERM": "xterm-kitty", "NO_COLOR": ""}, "truecolor"),
    ],
)
def test_colours_are_those_the_terminal_has(environ: dict[str, str], expected: str) -> None:
    """Truecolor on a terminal without it blinks and underlines; NO_COLOR is to be respected."""
    assert depth(environ) == expected


def test_every_grey_and_every_corner_of_the_cube_has_its_own_palette_colour() -> None:
    """The nearest of 256 colours by a formula that is off by one tints everything."""
    assert [palette_index(rgb) for rgb in ((0, 0, 0), WHITE, RED, GREEN, BLUE)] == [16, 231, 196, 46, 21]
    assert [palette_index((8 + 10 * step,) * 3) for step in range(24)] == [232 + step for step in range(24)]
    assert palette_index((95, 135, 175)) == 16 + 36 * 1 + 6 * 2 + 3


# -- real pixels -----------------------------------------------------------------------------------


def test_kitty_gets_a_png_in_chunks_that_is_placed_without_moving_the_cursor() -> None:
    """A chunk beyond 4,096 characters is refused, and an answer that nobody reads is typed into the shell."""
    noise = encoded(Image.effect_noise((300, 200), 90).convert("RGB"))
    drawing = drawn("kitty", noise, 24, 9, CellSize(10, 20))
    parts = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", drawing.text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in parts) == drawing.text and len(parts) > 2
    assert all(len(data) <= 4096 and "q=2" in keys.split(",") for keys, data in parts)
    assert [keys.split(",")[-1] for keys, _ in parts] == ["m=1"] * (len(parts) - 1) + ["m=0"]
    assert {"a=T", "f=100", "C=1", "c=24"} <= set(parts[0][0].split(","))
    image = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in parts))))
    assert image.format == "PNG" and image.size == (240, 160)
    assert (drawing.columns, drawing.rows) == (24, 8)


def test_kitty_scales_by_the_side_that_is_full() -> None:
    """By the other one the picture would leave its box, over its neighbour or its caption."""
    assert ",r=9," in drawn("kitty", plain(100, 400), 24, 9).text
    assert ",c=24," in drawn("kitty", plain(400, 100), 24, 9).text


def test_iterm2_gets_an_inline_jpeg_with_its_size_in_cells() -> None:
    """Without inline=1 the terminal offers each picture as a download."""
    drawing = drawn("iterm2", plain(320, 240), 24, 9)
    match = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]+)\x07", drawing.text)
    assert match
    keys = dict(key.split("=") for key in match[1].split(";"))
    data = base64.b64decode(match[2])
    assert keys == {
        "inline": "1", "size": str(len(data)), "width": "24", "height": "9", "preserveAspectRatio": "1",
    }  # fmt: skip
    assert Image.open(io.BytesIO(data)).format == "JPEG"


def test_sixel_has_exactly_the_pixels_of_its_box() -> None:
    """Sixels know no cells: a picture of the wrong size covers its neighbour."""
    pytest.importorskip("textual_image._sixel", reason="the extra [graphics] is not installed")
    drawing = drawn("sixel", plain(320, 240), 24, 9, CellSize(10, 20))
    assert drawing.text.startswith('\x1bP0;0;0q"1;1;240;180') and drawing.text.endswith("\x1b\\")
    assert (drawing.columns, drawing.rows) == (24, 9)
