"""Where photos lie on the screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from clipsearch.tui.widgets.cell import Look, Palette, grid_cell
from clipsearch.tui.widgets.grid import PICTURE_SIZES, View, grid
from clipsearch.types import Hit

VIEWS: tuple[View, ...] = ("grid", "list")


@given(st.sampled_from(VIEWS), st.integers(1, 500), st.integers(1, 300), st.integers(0, len(PICTURE_SIZES) - 1))
def test_each_photo_has_a_place_and_a_click_there_finds_it(view: View, count: int, width: int, size: int) -> None:
    """A click that opens the neighbour is the worst bug a grid can have."""
    shape = grid(view, count, width, size)
    for index in {0, count // 2, count - 1}:
        assert shape.at(shape.left(index), shape.top(index)) == index
        assert shape.left(index) + shape.cell_width <= max(width, shape.cell_width)
        assert index in shape.row(shape.top(index) // shape.cell_height)
        assert shape.top(index) + shape.cell_height <= shape.height
    assert shape.at(0, shape.height) is None


@given(st.integers(1, 500), st.integers(1, 300), st.integers(-9, 9), st.integers(-9, 9), st.data())
def test_moving_never_leaves_the_photos(count: int, width: int, columns: int, rows: int, data: st.DataObject) -> None:
    """A cursor that is nowhere opens nothing."""
    shape = grid("grid", count, width, 0)
    assert 0 <= shape.moved(data.draw(st.integers(0, count - 1)), columns, rows) < count


def test_80_columns_hold_four_photos() -> None:
    """The smallest terminal that the program promises to work on."""
    assert grid("grid", 100, 79, 0).columns == 4
    assert grid("list", 100, 79, 0).columns == 1


def test_pictures_are_wanted_nearest_to_the_cursor_first() -> None:
    """What one looks at comes before what one may scroll to."""
    order = list(grid("grid", 100, 79, 0).near(first_line=0, lines=18, cursor=5))
    assert order[0] == 5 and set(order[:8]) == set(range(8)) and order[8:] == list(range(8, 16))


@pytest.mark.parametrize("size", PICTURE_SIZES)
@pytest.mark.parametrize("relevance", [None, 0.2])
def test_a_dated_photo_that_is_offline_is_marked(size: tuple[int, int], relevance: float | None) -> None:
    """Without the mark one tries to open what lies on a disk in a drawer."""
    plain = Style()
    hit = Hit(1, b"/photos/a.jpg", 0.2, relevance, (), 400, 300, "2010-05-01T10:00:00", offline=True)
    look = Look(is_cursor=False, is_selected=True, is_dimmed=False, behind=3)
    lines = grid_cell(hit, look, None, size, size[0] + 2, Palette(plain, plain, plain, plain, plain))
    texts = ["".join(segment.text for segment in line) for line in lines]
    assert any("offline" in text and "✓" in text for text in texts)
    assert {len(text) for text in texts} == {size[0] + 2}
