"""A picture in real pixels: escape sequences of the protocols of Kitty, iTerm2 and Sixel.

Each is drawn from the cursor to the right and down; where the cursor is afterwards differs between terminals, so
the caller saves and restores it. Kitty's and iTerm2's protocols are a few lines and need no extra; the way of Kitty
chosen here, a picture placed at the cursor, is the one that other terminals with its protocol know too.
Sixel is textual-image's: its encoder, for the package's renderables ask the terminal on import and end the program
where stdin is none.
"""

from __future__ import annotations

import io
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

from clipsearch.pictures.protocol import Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

_KITTY_CHUNK = 4096  # characters of base64 in one sequence: the protocol's limit
_JPEG_QUALITY = 85

# The first of Kitty's row and column diacritics, in the order that is their number (rowcolumn-diacritics.txt).
_DIACRITICS = (
    "\u0305\u030d\u030e\u0310\u0312\u033d\u033e\u033f\u0346\u034a\u034b\u034c\u0350\u0351\u0352\u0357"
    "\u035b\u0363\u0364\u0365\u0366\u0367\u0368\u0369\u036a\u036b\u036c\u036d\u036e\u036f\u0483\u0484"
    "\u0485\u0486\u0487\u0592\u0593\u0594\u0595\u0597\u0598\u0599\u059c\u059d\u059e\u059f\u05a0\u05a1"
)


class CellSize(NamedTuple):
    """One character of the terminal in px."""

    width: int
    height: int


ASSUMED_CELL = CellSize(8, 16)  # where a terminal does not tell; a real one is rarely smaller, so nothing overlaps


class Drawing(NamedTuple):
    text: str
    columns: int
    rows: int


def drawn(protocol: Protocol, picture: bytes, columns: int, rows: int, cell: CellSize = ASSUMED_CELL) -> Drawing:
    """`picture` (an encoded image file) in at most `columns` x `rows`; protocol is kitty, iterm2 or sixel."""
    fitted = _fitted(picture, columns, rows, cell)
    if protocol == "sixel":
        return Drawing(_sixel(fitted.image.resize((fitted.width, fitted.height))), fitted.columns, fitted.rows)
    image = fitted.shrunk()
    if protocol == "kitty":
        side = f"c={fitted.columns}" if fitted.is_wide else f"r={fitted.rows}"
        return Drawing(_kitty(image, f"C=1,{side}"), fitted.columns, fitted.rows)
    assert protocol == "iterm2", protocol
    return Drawing(_iterm2(image, fitted.columns, fitted.rows), fitted.columns, fitted.rows)


def transmitted(picture: bytes, columns: int, rows: int, cell: CellSize, number: int) -> Drawing:
    """Sends `picture` to a terminal with Kitty's protocol without showing it: `placeholder` does, wherever it stands.

    `number` (1 to 2**24 - 1) names it; the one that had that name is replaced.
    """
    fitted = _fitted(picture, columns, rows, cell)
    place = f"U=1,i={number},c={fitted.columns},r={fitted.rows}"
    return Drawing(_kitty(fitted.shrunk(), place), fitted.columns, fitted.rows)


def placeholder(column: int, row: int) -> str:
    """The character that shows one cell of a picture; its colour as 24-bit RGB is the picture's number."""
    return f"\U0010eeee{_DIACRITICS[row]}{_DIACRITICS[column]}"


class _Fitted(NamedTuple):
    """A picture and its size in px and in cells of the terminal."""

    image: Image
    width: int
    height: int
    columns: int
    rows: int
    is_wide: bool  # the columns bound it, not the rows

    def shrunk(self) -> Image:
        """At the size of the screen if it is larger; the terminal enlarges a smaller one."""
        return self.image.resize((self.width, self.height)) if self.width < self.image.width else self.image


def _fitted(picture: bytes, columns: int, rows: int, cell: CellSize) -> _Fitted:
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    by_width, by_height = columns * cell.width / image.width, rows * cell.height / image.height
    scale = min(by_width, by_height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    across, down = min(columns, -(-width // cell.width)), min(rows, -(-height // cell.height))
    return _Fitted(image, width, height, across, down, by_width <= by_height)


def _kitty(image: Image, place: str) -> str:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol: PNG, transmitted and placed at once, no answer wanted.

    `place` says where and how large: one side in cells (the other one is made by the picture's ratio), or both.
    """
    data = b64encode(_encoded(image, "PNG")).decode()
    keys = f"a=T,f=100,q=2,{place},"
    parts = []
    for start in range(0, len(data), _KITTY_CHUNK):
        more = int(start + _KITTY_CHUNK < len(data))
        parts.append(f"\x1b_G{keys}m={more};{data[start : start + _KITTY_CHUNK]}\x1b\\")
        keys = "q=2,"
    return "".join(parts)


def _iterm2(image: Image, columns: int, rows: int) -> str:
    """https://iterm2.com/documentation-images.html. JPEG, which every terminal with this protocol decodes."""
    data = _encoded(image, "JPEG")
    size = f"size={len(data)};width={columns};height={rows};preserveAspectRatio=1"
    return f"\x1b]1337;File=inline=1;{size}:{b64encode(data).decode()}\x07"


def _sixel(image: Image) -> str:
    # The module is private, so pyproject.toml names the versions that have it.
    from textual_image._sixel import image_to_sixels

    return image_to_sixels(image)


def _encoded(image: Image, format_: str) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, format_, quality=_JPEG_QUALITY)
    return encoded.getvalue()
