"""Where photos lie on the screen: the arithmetic of the grid and of the list. Pure.

A list is a grid of one column whose cells are one line high, so that moving, scrolling and clicking are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

View = Literal["grid", "list"]

# Columns and rows of a terminal that a picture takes; with half blocks one row is two pixels. 80 columns hold four of
# the smallest, which is as small as a photo can still be told.
PICTURE_SIZES = ((18, 6), (24, 8), (37, 13))
CAPTION_LINES = 2
_GAP = 1  # column at the left of a cell, where the cursor's bar stands; and line below one


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` cells in a window of `width` columns."""

    count: int
    width: int
    cell_width: int
    cell_height: int
    columns: int
    picture: tuple[int, int] | None  # columns and rows; None in a list

    @property
    def rows(self) -> int:
        return -(-self.count // self.columns)

    @property
    def height(self) -> int:
        """Lines of all rows together."""
        return self.rows * self.cell_height

    def top(self, index: int) -> int:
        """The first line of a cell."""
        return index // self.columns * self.cell_height

    def left(self, index: int) -> int:
        return index % self.columns * self.cell_width

    def at(self, x: int, y: int) -> int | None:
        """The cell at a column and a line of the whole, if there is one."""
        column, row = x // self.cell_width, y // self.cell_height
        index = row * self.columns + column
        return index if 0 <= column < self.columns and 0 <= index < self.count else None

    def row(self, row: int) -> range:
        """The cells of one row."""
        return range(row * self.columns, min((row + 1) * self.columns, self.count))

    def moved(self, index: int, columns: int, rows: int) -> int:
        """The cell so many columns and rows away; at the edges, the nearest one."""
        return max(0, min(self.count - 1, index + columns + rows * self.columns))

    def near(self, first_line: int, lines: int, cursor: int) -> Iterator[int]:
        """Cells in the window, nearest to the cursor first, then those of the next window below."""
        first, last = first_line // self.cell_height, (first_line + max(lines, 1) - 1) // self.cell_height
        window = range(first * self.columns, min((last + 1) * self.columns, self.count))
        yield from sorted(window, key=lambda index: abs(index - cursor))
        yield from range(window.stop, min(window.stop + len(window), self.count))


def grid(view: View, count: int, width: int, size: int) -> Grid:
    """The grid that fits a window; `size` is a place in PICTURE_SIZES."""
    width = max(width, 1)
    if view == "list":
        return Grid(count, width, width, 1, 1, None)
    picture = PICTURE_SIZES[size]
    columns = max(1, width // (picture[0] + _GAP))
    return Grid(count, width, width // columns, picture[1] + CAPTION_LINES + _GAP, columns, picture)
