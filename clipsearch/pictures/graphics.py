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
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    by_width, by_height = columns * cell.width / image.width, rows * cell.height / image.height
    scale = min(by_width, by_height)
    wide, high = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    across = min(columns, -(-wide // cell.width))
    down = min(rows, -(-high // cell.height))
    if protocol == "sixel":
        return Drawing(_sixel(image.resize((wide, high))), across, down)
    if scale < 1:
        image = image.resize((wide, high))
    if protocol == "kitty":
        return Drawing(_kitty(image, f"c={across}" if by_width <= by_height else f"r={down}"), across, down)
    assert protocol == "iterm2", protocol
    return Drawing(_iterm2(image, across, down), across, down)


def _kitty(image: Image, side: str) -> str:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol: PNG, transmitted and placed at once, no answer wanted.

    `side` names one side in cells; the terminal makes the other one by the picture's ratio.
    """
    data = b64encode(_encoded(image, "PNG")).decode()
    keys = f"a=T,f=100,q=2,C=1,{side},"
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
