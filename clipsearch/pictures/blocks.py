"""A picture as text: each character is two pixels, upper half block in one colour on a ground of another.

Cells are twice as high as wide, so half a cell is a square. Where colours are not wanted, shades of ASCII.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

RGB = tuple[int, int, int]
Depth = Literal["truecolor", "256", "none"]

UPPER_HALF = "▀"
SHADES = " .:-=+*#%@"  # dark to light, as on a dark ground
_RESET = "\x1b[0m"
_CUBE = (0, 95, 135, 175, 215, 255)  # levels of the colours 16 to 231 of xterm's 256
_PLAIN_TERMS = ("", "dumb", "linux", "vt", "ansi", "cons")
_TRUECOLOR_TERMS = ("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm", "contour")


class Cell(NamedTuple):
    """One character: the upper half block in `top` on `bottom`."""

    top: RGB
    bottom: RGB | None  # None below the last row of a picture with an odd height


def depth(environ: Mapping[str, str]) -> Depth:
    """How many colours text may have here (https://no-color.org, https://github.com/termstandard/colors)."""
    if environ.get("NO_COLOR"):
        return "none"
    term = environ.get("TERM", "")
    if environ.get("COLORTERM") in ("truecolor", "24bit") or term.endswith("-direct") or "WT_SESSION" in environ:
        return "truecolor"
    if term.startswith(_TRUECOLOR_TERMS):
        return "truecolor"
    if any(term == plain or (plain and term.startswith(plain)) for plain in _PLAIN_TERMS):
        return "none"
    return "256"


def cells(picture: bytes, columns: int, rows: int) -> list[list[Cell]]:
    """Rows of cells, at most `columns` x `rows`, with the sides' ratio of the picture (an encoded image file)."""
    width, height, pixels = _fitted(picture, columns, 2 * rows)
    lines = [pixels[y * width : (y + 1) * width] for y in range(height)]
    below: list[list[RGB] | None] = [*lines[1:], None]
    return [
        [Cell(top, None if lower is None else lower[x]) for x, top in enumerate(upper)]
        for upper, lower in zip(lines[::2], below[::2], strict=True)
    ]


def half_blocks(picture: bytes, columns: int, rows: int, depth: Depth) -> list[str]:
    """Lines of text that show `picture` in at most `columns` x `rows`."""
    return [text(line, depth) for line in cells(picture, columns, rows)]


def text(line: list[Cell], depth: Depth) -> str:
    """One character a cell; colours, where there are any, are reset at its end."""
    if depth == "none":
        return "".join(map(_shade, line))
    return "".join(_coloured(cell, depth) for cell in line) + _RESET


def _coloured(cell: Cell, depth: Depth) -> str:
    if cell.bottom is None:
        return f"\x1b[49;38;{_colour(cell.top, depth)}m{UPPER_HALF}"
    return f"\x1b[38;{_colour(cell.top, depth)};48;{_colour(cell.bottom, depth)}m{UPPER_HALF}"


def _colour(rgb: RGB, depth: Depth) -> str:
    if depth == "256":
        return f"5;{palette_index(rgb)}"
    red, green, blue = rgb
    return f"2;{red};{green};{blue}"


@lru_cache(maxsize=4096)
def palette_index(rgb: RGB) -> int:
    """The nearest of xterm's 256 colours that every terminal shows alike: the cube and the greys, 16 to 255."""
    levels = [min(range(6), key=lambda level: abs(_CUBE[level] - value)) for value in rgb]
    cube = _CUBE[levels[0]], _CUBE[levels[1]], _CUBE[levels[2]]
    step = max(0, min(23, round((sum(rgb) / 3 - 8) / 10)))  # greys 232 to 255 are 8, 18 … 238
    grey = (8 + 10 * step,) * 3
    if _distance(rgb, grey) < _distance(rgb, cube):
        return 232 + step
    return 16 + 36 * levels[0] + 6 * levels[1] + levels[2]


def _distance(one: RGB, other: RGB) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _shade(cell: Cell) -> str:
    light = _lightness(cell.top) if cell.bottom is None else (_lightness(cell.top) + _lightness(cell.bottom)) / 2
    return SHADES[min(len(SHADES) - 1, int(light * len(SHADES) / 256))]


def _lightness(rgb: RGB) -> float:
    """0..255, by the weights of ITU-R BT.601."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def _fitted(picture: bytes, width: int, height: int) -> tuple[int, int, list[RGB]]:
    """(width, height, pixels row by row) in at most `width` x `height`; a smaller picture keeps its size."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        scale = min(1.0, width / image.width, height / image.height)
        sides = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        small = image.convert("RGB").resize(sides, Image.Resampling.HAMMING)  # sharper than BOX, without halos
        data = small.tobytes()
    return *sides, list(zip(data[0::3], data[1::3], data[2::3], strict=True))
