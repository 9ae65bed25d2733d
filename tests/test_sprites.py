"""Sheets of small pictures: each lies where its cell says."""

from __future__ import annotations

import io

from PIL import Image

from clipsearch.pictures.sprites import CELL, PER_SHEET, Sheets, opened, smaller


def webp(width: int, height: int, color: tuple[int, int, int]) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), color).save(encoded, "WEBP")
    return encoded.getvalue()


def test_each_picture_lies_in_its_cell_of_its_sheet() -> None:
    """One off, and every photo of a map has the picture of its neighbour."""
    sheets = Sheets()
    colors = [(number % 16 * 16, number // 16 % 16 * 16, 128) for number in range(PER_SHEET + 20)]
    cells = [sheets.put(Image.new("RGB", (320, 160), color)) for color in colors]
    sheets.close()
    sheets.close()  # nothing is open any more
    assert [cell.sheet for cell in cells] == [0] * PER_SHEET + [1] * 20
    drawn = [opened(sheet) for sheet in sheets.done]
    assert [sheet.size for sheet in drawn] == [(16 * CELL, 16 * CELL), (16 * CELL, 2 * CELL)]
    assert len({(cell.sheet, cell.left, cell.top) for cell in cells}) == len(cells)
    for cell, color in zip(cells, colors, strict=True):
        assert (cell.width, cell.height) == (64, 32)
        middle = drawn[cell.sheet].getpixel((cell.left + 32, cell.top + 16))
        assert isinstance(middle, tuple) and max(abs(a - b) for a, b in zip(middle, color, strict=True)) < 12
    empty = Sheets()
    empty.close()
    assert empty.done == []


def test_a_picture_is_made_smaller_and_never_larger() -> None:
    """A thumbnail of 32 px blown up to 320 has a hundred times the bytes and shows no more."""
    large, small = webp(320, 100, (9, 9, 9)), webp(32, 32, (9, 9, 9))
    assert opened(smaller(opened(large), 160, large)).size == (160, 50)
    assert smaller(opened(small), 160, small) is small and smaller(opened(large), 320, large) is large
    strip = webp(320, 1, (9, 9, 9))
    assert opened(smaller(opened(strip), 96, strip)).size == (96, 1)
