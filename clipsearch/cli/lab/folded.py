"""A table that is wider than the terminal: heads in several lines first, then columns in blocks below one another."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from clipsearch.cli import output
from clipsearch.cli.columns import Columns, table_lines

_GAP = 2  # between columns
_LEAST_NAME = 16  # columns of a terminal that the first column keeps, however wide the others are


def folded_lines(columns: Columns, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """As table_lines has it where that fits, and in a pipe. Every block begins with the first column, which says what
    a row is about; nothing is cut off."""
    natural = [max(output.cells(row[place]) for row in (columns.head, *rows)) for place in range(len(columns.head))]
    if not output.is_terminal() or _together(natural) <= output.width():
        yield from table_lines(columns, rows)
        return
    widths = _widths(columns.head, rows, output.width())
    for number, block in enumerate(_blocks(widths, output.width())):
        if number:
            yield ""
        for line in _lines(columns, columns.head, widths, block, at_foot=True):
            yield output.dim(line)
        for row in rows:
            yield from _lines(columns, row, widths, block)


def _together(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Of each column: its widest cell and the longest word of its head, as far as there is room."""
    widest = [
        max(*(output.cells(row[place]) for row in rows), *map(output.cells, title.split()), 1, 1)
        for place, title in enumerate(head)
    ]
    others = max(widest[1:], default=0)
    first = min(widest[0], max(_LEAST_NAME, room - _GAP - others))
    return [first, *(min(one, max(1, room - _GAP - first)) for one in widest[1:])]


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns that stand beside one another, the first in each."""
    blocks = [[0]]
    for place in range(1, len(widths)):
        if len(blocks[-1]) > 1 and _together([widths[one] for one in (*blocks[-1], place)]) > room:
            blocks.append([0])
        blocks[-1].append(place)
    return blocks


def _lines(
    columns: Columns, row: Sequence[str], widths: Sequence[int], block: Sequence[int], *, at_foot: bool = False
) -> Iterator[str]:
    """One row, in as many lines as its longest cell takes; heads stand right above their figures (`at_foot`)."""
    cells = [textwrap.wrap(row[place], widths[place]) for place in block]
    most = max(map(len, cells))
    for number in range(most):
        parts = []
        for place, lines in zip(block, cells, strict=True):
            at = number - (most - len(lines)) if at_foot else number
            text = lines[at] if 0 <= at < len(lines) else ""
            missing = " " * (widths[place] - output.cells(text))
            parts.append(missing + text if place in columns.numbers else text + missing)
        yield (" " * _GAP).join(parts).rstrip()
