"""A table for a person: columns as wide as they need, numbers flush right, and fewer of them where there is no room."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clipsearch.cli import output


@dataclass(frozen=True, slots=True)
class Columns:
    """How the rows of a table are set. A pipe gets all columns."""

    head: Sequence[str]
    numbers: Sequence[int] = ()  # columns that are set flush right
    dropped: Sequence[int] = ()  # columns that a narrow terminal does without, in this order
    indent: int = 0


def table_lines(columns: Columns, rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> Iterator[str]:
    """The head and the rows; a note stands below its row, in lines of the terminal's width."""
    widths = [max(output.cells(row[column]) for row in (columns.head, *rows)) for column in range(len(columns.head))]
    shown = list(range(len(columns.head)))
    for column in columns.dropped:
        if output.is_terminal() and columns.indent + sum(widths[one] + 2 for one in shown) - 2 > output.width():
            shown.remove(column)
    yield output.dim(_line(columns, columns.head, widths, shown))
    for number, row in enumerate(rows):
        yield _line(columns, row, widths, shown)
        if notes and notes[number]:
            yield from _note(columns.indent + 4, notes[number])


def _line(columns: Columns, row: Sequence[str], widths: list[int], shown: list[int]) -> str:
    cells = [
        " " * (widths[column] - output.cells(row[column])) + row[column]
        if column in columns.numbers
        else output.padded(row[column], widths[column])
        for column in shown
    ]
    return (" " * columns.indent + "  ".join(cells)).rstrip()


def _note(indent: int, text: str) -> list[str]:
    margin = " " * indent
    if not output.is_terminal():
        return [margin + text]
    return textwrap.wrap(text, output.width(), initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
