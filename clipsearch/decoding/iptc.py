"""The IPTC block of a picture -> title, description and keywords: where press software and old archives keep them.

Never raises: nonsense reads as nothing.
"""

from __future__ import annotations

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.IptcImagePlugin import getiptcinfo

from clipsearch.decoding.xmp import Packet

# IIM 4.2: record and dataset.
_CHARACTERS, _TITLE, _KEYWORDS, _CAPTION = (1, 90), (2, 5), (2, 25), (2, 120)
_UTF_8 = b"\x1b%G"  # ISO 2022


def iptc_of(image: Image.Image) -> Packet:
    """Of a JPEG or a TIFF; other files keep none."""
    try:
        found = getiptcinfo(image) if isinstance(image, ImageFile) else None
    except Exception:  # SyntaxError, OSError, struct.error: broken metadata in a good picture
        found = None
    if not found:
        return Packet()
    is_utf_8 = found.get(_CHARACTERS) == _UTF_8

    def values(dataset: tuple[int, int]) -> tuple[str, ...]:
        value = found.get(dataset, [])
        return tuple(_text(one, is_utf_8=is_utf_8) for one in (value if isinstance(value, list) else [value]))

    return Packet(titles=values(_TITLE), descriptions=values(_CAPTION), keywords=values(_KEYWORDS))


def _text(value: bytes, *, is_utf_8: bool) -> str:
    """Unmarked text is UTF-8 where it can be, for many programs forget the mark; else it is Windows'."""
    if is_utf_8:
        return value.decode("utf-8", "replace")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")
