"""A thumbnail as styled lines, made off the loop so that the loop only hands them to the terminal.

Styles carry their escape sequences already (`Strip.render_ansi` keeps them): a screen of pictures is a thousand
styles, each of them used once, and making those on the loop would cost a frame.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.color import Color, ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from clipsearch.pictures.blocks import RGB, UPPER_HALF, Cell, Depth, cells, half_blocks
from clipsearch.pictures.graphics import ASSUMED_CELL, CellSize, drawn, placeholder, transmitted
from clipsearch.pictures.protocol import Protocol
from clipsearch.types import Failure

# Names of pictures in a terminal that other programs show pictures in too: from a random place on.
_MOST_NUMBERS = 2**24 - 1
_numbers = itertools.count(random.randrange(_MOST_NUMBERS))
_DIM = 0.65  # how far a dimmed picture goes towards the ground
_SYSTEMS: dict[Depth, ColorSystem] = {"truecolor": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture of a photo at a size in columns and rows."""

    path: bytes
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Medium:
    """What the terminal shows pictures with."""

    protocol: Protocol = "blocks"
    depth: Depth = "truecolor"
    cell: CellSize = ASSUMED_CELL


@dataclass(frozen=True, slots=True)
class Picture:
    """Lines of exactly the size wanted, bright and dimmed; or the reason why there are none."""

    lines: tuple[Strip, ...] = ()
    dimmed: tuple[Strip, ...] = ()
    failure: str = ""
    transmission: str = ""  # to be written to the terminal once, before the lines can be drawn (Kitty)
    overlay: str = ""  # to be written over the lines after all of them, the cursor where the first one begins


def painted(thumbnail: bytes | Failure, wanted: Wanted, ground: RGB, look: Medium) -> Picture:
    """The thumbnail (an encoded image) in the middle of its place, on the `ground` of the screen."""
    if isinstance(thumbnail, Failure):
        return Picture(failure=thumbnail.reason)
    if look.protocol == "kitty":
        return _placeholders(thumbnail, wanted, ground, look.cell)
    picture = _half_blocks(thumbnail, wanted, ground, look.depth)
    if look.protocol == "blocks":
        return picture
    drawing = drawn(look.protocol, thumbnail, wanted.columns, wanted.rows, look.cell)
    down, right = (wanted.rows - drawing.rows) // 2, (wanted.columns - drawing.columns) // 2
    to_corner = (f"\x1b[{down}B" if down else "") + (f"\x1b[{right}C" if right else "")
    # The half blocks below are a little larger, for their edges are those of characters: they are erased first.
    erased = (
        f"\x1b[48;2;{ground[0]};{ground[1]};{ground[2]}m" + f"\x1b[{wanted.columns}X\x1b[B" * wanted.rows + "\x1b[0m"
    )
    return replace(picture, overlay=f"{erased}\x1b[{wanted.rows}A{to_corner}{drawing.text}")


def _placeholders(thumbnail: bytes, wanted: Wanted, ground: RGB, cell: CellSize) -> Picture:
    """Characters of Kitty's protocol: they are text, so that they scroll and are covered as text is."""
    number = next(_numbers) % _MOST_NUMBERS + 1
    drawing = transmitted(thumbnail, wanted.columns, wanted.rows, cell, number)
    named = Color.from_rgb(number >> 16, number >> 8 & 255, number & 255)
    style = Style(color=named, bgcolor=Color.from_rgb(*ground))
    Strip.render_ansi(style, ColorSystem.TRUECOLOR)
    strips = [
        Strip([Segment(placeholder(column, row), style) for column in range(drawing.columns)], drawing.columns)
        for row in range(drawing.rows)
    ]
    lines = _centred(strips, wanted.columns, wanted.rows, Style(bgcolor=Color.from_rgb(*ground)))
    return Picture(lines, lines, transmission=drawing.text)


def _half_blocks(thumbnail: bytes, wanted: Wanted, ground: RGB, depth: Depth) -> Picture:
    size = wanted.columns, wanted.rows
    if depth == "none":
        lines = _centred(
            [Strip([Segment(line, Style())]) for line in half_blocks(thumbnail, *size, depth)], *size, Style()
        )
        return Picture(lines, lines)
    rows = cells(thumbnail, *size)
    blank = Style(bgcolor=Color.from_rgb(*ground))

    def drawn(shade: Callable[[RGB], RGB]) -> tuple[Strip, ...]:
        strips = [_strip(row, ground, shade, _SYSTEMS[depth]) for row in rows]
        return _centred(strips, *size, blank)

    return Picture(drawn(lambda rgb: rgb), drawn(lambda rgb: _mixed(rgb, ground)))


def _strip(row: Sequence[Cell], ground: RGB, shade: Callable[[RGB], RGB], system: ColorSystem) -> Strip:
    segments = []
    for cell in row:
        top, bottom = shade(cell.top), ground if cell.bottom is None else shade(cell.bottom)
        style = Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom))
        Strip.render_ansi(style, system)
        segments.append(Segment(UPPER_HALF, style))
    return Strip(segments, len(segments))


def _mixed(rgb: RGB, ground: RGB) -> RGB:
    red, green, blue = (round(a + (b - a) * _DIM) for a, b in zip(rgb, ground, strict=True))
    return red, green, blue


def _centred(strips: Sequence[Strip], columns: int, rows: int, blank: Style) -> tuple[Strip, ...]:
    above = (rows - len(strips)) // 2
    lines = [Strip.blank(columns, blank)] * above
    for strip in strips:
        left = (columns - strip.cell_length) // 2
        right = columns - left - strip.cell_length
        sides = [Strip.blank(count, blank) if count else None for count in (left, right)]
        lines.append(Strip.join([sides[0], strip, sides[1]]))
    return (*lines, *[Strip.blank(columns, blank)] * (rows - len(lines)))
