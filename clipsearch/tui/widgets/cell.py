"""How one photo looks in the grid and in the list: a few lines of segments. Pure; the picture comes ready-made.

Marks are characters, not colours alone, so that they are there without colour too: a bar at the cursor, a tick at
what is selected.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap

from rich.segment import Segment
from rich.style import Style

from clipsearch.printable import DOTS, cells, dots, fitted, padded, printable, shown
from clipsearch.tui.picture import Picture
from clipsearch.types import Hit

BAR = "▌"

Cell = list[list[Segment]]  # lines, each as wide as the cell


@dataclass(frozen=True, slots=True)
class Palette:
    """The styles of a theme that a cell is drawn with."""

    text: Style
    faint: Style
    accent: Style  # the bar, the tick, the dots
    cursor: Style  # the caption under the cursor
    empty: Style  # a picture that is not there yet


@dataclass(frozen=True, slots=True)
class Look:
    """What a cell shows of its state."""

    is_cursor: bool
    is_selected: bool
    is_dimmed: bool  # stale, or too far off to fit
    behind: int = 0  # further files of its content or moment, which have no cell of their own


def grid_cell(
    hit: Hit, look: Look, picture: Picture | None, size: tuple[int, int], width: int, palette: Palette
) -> Cell:
    """The lines of a cell, `width` columns each: picture, dots and year, name, a blank."""
    columns, rows = size
    bar = Segment(BAR if look.is_cursor else " ", palette.accent)
    right = Segment(" " * (width - 1 - columns), palette.text)
    name = padded(fitted(shown(os.path.basename(hit.path)), columns), columns)
    captions = [_worth(hit, look, columns, palette), [Segment(name, _name(look, palette))]]
    lines = [[bar, *line, right] for line in [*_picture_lines(picture, look, columns, rows, palette), *captions]]
    return [*lines, [Segment(" " * width, palette.text)]]


def list_cell(hit: Hit, look: Look, folder: bytes, width: int, palette: Palette) -> Cell:
    """One line: tick, dots, date, the path below `folder`, what else there is to say."""
    bar = Segment(BAR if look.is_cursor else " ", palette.accent)
    tick = Segment("✓ " if look.is_selected else "  ", palette.accent)
    worth = Segment("" if hit.relevance is None else dots(hit.relevance) + "  ", _dots(look, palette))
    when = Segment(f"{(hit.taken_at or '')[:10]:<10}  ", palette.faint)
    note = "".join(f"  {text}" for text in (_offline(hit), _behind(look)) if text)
    room = max(width - sum(cells(segment.text) for segment in (bar, tick, worth, when)) - cells(note), 1)
    path = fitted(shown(hit.path[len(folder) :].lstrip(b"/") if folder else hit.path), room)
    rest = Segment(note + " " * max(room - cells(path), 0), palette.faint)
    return [[bar, tick, worth, when, Segment(path, _name(look, palette)), rest]]


def _picture_lines(
    picture: Picture | None, look: Look, columns: int, rows: int, palette: Palette
) -> Iterable[Iterable[Segment]]:
    if picture is not None and picture.lines:
        return picture.dimmed if look.is_dimmed else picture.lines
    said = wrap(printable(picture.failure), columns - 2)[:rows] if picture else []
    above = (rows - len(said)) // 2
    lines = [*[""] * above, *said, *[""] * (rows - above - len(said))]
    return [[Segment(padded(f" {text}", columns), palette.empty)] for text in lines]


def _worth(hit: Hit, look: Look, columns: int, palette: Palette) -> list[Segment]:
    """Dots, offline, year, tick and what is behind, in `columns`; what has no room is left out.

    Offline comes before the year: it tells that the photo cannot be opened, and the smallest cell has no room for both.
    """
    segments = [Segment(dots(hit.relevance) + " ", _dots(look, palette))] if hit.relevance is not None else []
    room = columns - (DOTS + 1) * len(segments)
    for text, style in [
        (_offline(hit), palette.faint),
        (hit.taken_at[:4] if hit.taken_at else "", palette.faint),
        ("✓" if look.is_selected else "", palette.accent),
        (_behind(look), palette.faint),
    ]:
        if text and cells(text) < room:
            segments.append(Segment(text + " ", style))
            room -= cells(text) + 1
    return [*segments, Segment(" " * room, palette.text)]


def _offline(hit: Hit) -> str:
    return "offline" if hit.offline else ""


def _behind(look: Look) -> str:
    return f"(+{look.behind})" if look.behind else ""


def _dots(look: Look, palette: Palette) -> Style:
    return palette.faint if look.is_dimmed else palette.accent


def _name(look: Look, palette: Palette) -> Style:
    return palette.cursor if look.is_cursor else palette.faint if look.is_dimmed else palette.text
