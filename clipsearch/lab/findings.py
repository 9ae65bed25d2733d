"""What an experiment found, as plain data: one sentence, tables and plots. Knows no model, no drawing and no terminal.

A column has one origin, and so has a plot: what was measured here, what follows from the model's shape, and what others
published stand in columns of their own. The CLIP experiments that these descend from quote 35, 99 and 100 times for one
and the same cache, for they mixed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Origin = Literal["name", "measured", "computed", "published"]  # a name is what a row is about: nobody's figure
Cell = str | float | int | None  # None where there is no figure


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    origin: Origin = "name"
    unit: str = ""  # "ms", "%", "images/s"; stands behind the title
    form: str = ""  # of the numbers, as format() takes it: ".3f"; a % form gets shares 0..1


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), "a row is as long as the head"


@dataclass(frozen=True, slots=True)
class Bars:
    """One bar a name, from 0; intervals where `low` and `high` are given."""

    title: str  # says the finding
    names: tuple[str, ...]
    values: tuple[float, ...]
    across: str  # the axis, with its unit
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    quiet: bool = False  # what the others are compared with: dashed, without marks


@dataclass(frozen=True, slots=True)
class Lines:
    title: str
    series: tuple[Series, ...]
    across: str
    up: str
    logarithmic: bool = False  # the axis across


@dataclass(frozen=True, slots=True)
class Points:
    """Places in a plane; each series is one colour, its points are not joined. `names` label them, where given."""

    title: str
    series: tuple[Series, ...]
    across: str
    up: str
    names: tuple[tuple[str, ...], ...] = ()  # of each series, of each point


@dataclass(frozen=True, slots=True)
class Grid:
    """A matrix: each cell is coloured by its value, and has it written where there is room."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    down: str  # what the rows are
    across: str  # what the columns are
    form: str = ".2f"


Plot = Bars | Lines | Points | Grid


@dataclass(frozen=True, slots=True)
class Finding:
    """One experiment's outcome, for a reader."""

    title: str  # the experiment, in a few words
    says: str  # what came out, in a sentence with its figures
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()  # how it was measured, and where it is weak; a sentence each
    ready: tuple[str, ...] = ()  # lines to copy, shown as they are


def column_title(column: Column) -> str:
    return f"{column.title}, {column.unit}" if column.unit else column.title


def cell_text(column: Column, cell: Cell) -> str:
    if cell is None or cell != cell:  # NaN is not itself
        return "–"
    return cell if isinstance(cell, str) else format(cell, column.form or (",d" if isinstance(cell, int) else ".3g"))


def origins(columns: Sequence[Column]) -> tuple[tuple[Origin, int], ...]:
    """Neighbouring columns of one origin, with their number: the upper line of a table's head."""
    found: list[tuple[Origin, int]] = []
    for column in columns:
        if found and found[-1][0] == column.origin:
            found[-1] = column.origin, found[-1][1] + 1
        else:
            found.append((column.origin, 1))
    return tuple(found)
