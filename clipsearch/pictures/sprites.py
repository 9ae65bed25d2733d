"""Many small pictures in a few sheets, and single ones made smaller: WebP from WebP."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

CELL = 64  # px, of a side
_COLUMNS = 16  # so that a sheet is 1024 px wide, which every browser takes
PER_SHEET = _COLUMNS * _COLUMNS
_QUALITY = 72
_METHOD = 2  # of libwebp; see decoding/shrink.py


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a picture lies: the number of its sheet, and its rectangle on it in px."""

    sheet: int
    left: int
    top: int
    width: int
    height: int


class Sheets:
    """Takes pictures one by one; a sheet that is full is only kept as WebP."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self._count = 0
        self._open: Image.Image | None = None

    def put(self, picture: Image.Image) -> Cell:
        """Shrinks the picture into the next cell."""
        small = _shrunk(picture, CELL)
        if self._open is None:
            self._open = Image.new("RGB", (_COLUMNS * CELL, _COLUMNS * CELL))
        place = self._count % PER_SHEET
        cell = Cell(len(self.done), place % _COLUMNS * CELL, place // _COLUMNS * CELL, small.width, small.height)
        self._open.paste(small, (cell.left, cell.top))
        self._count += 1
        if self._count % PER_SHEET == 0:
            self.close()
        return cell

    def close(self) -> None:
        """Ends the sheet that is open, cut to the rows in use."""
        if self._open is None:
            return
        rows = -(-((self._count - 1) % PER_SHEET + 1) // _COLUMNS)
        self.done.append(_webp(self._open.crop((0, 0, _COLUMNS * CELL, rows * CELL))))
        self._open = None


def opened(webp: bytes) -> Image.Image:
    """The picture of a thumbnail, RGB."""
    with Image.open(io.BytesIO(webp)) as picture:
        return picture.convert("RGB")


def smaller(picture: Image.Image, side: int, otherwise: bytes) -> bytes:
    """WebP with a longer side of `side` px; what it was made of where that is no larger."""
    return otherwise if max(picture.size) <= side else _webp(_shrunk(picture, side))


def _shrunk(picture: Image.Image, side: int) -> Image.Image:
    scale = min(1.0, side / max(picture.size))
    sides = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(sides, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _webp(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "WEBP", quality=_QUALITY, method=_METHOD)
    return encoded.getvalue()
