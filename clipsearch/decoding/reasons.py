"""Why a file was not read, in a person's words: the one table from what libraries say to what helps.

Knows the frames of the formats as far as it takes to tell a file that is cut short from one that is broken; reads
no picture. No sentence holds the words of a library: nobody can do anything about a "decoder error -2".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Literal

from clipsearch.decoding.kinds import HEAD

CUT_SHORT = "the file is cut short: a copy that broke off; fetch the original"
BROKEN = "its picture data are broken, or of a kind that is not read; fetch the original, or save it as a JPEG"
UNKNOWN = "it is not a picture in a known format"
_TOO_MUCH_TEXT = "its texts or its colour profile unpack to more than a photo's may; save it again without them"
_RARE_JPEG = "it is a JPEG of a rare kind (12 bits a colour, say) or broken; save it as an 8-bit JPEG"
_RARE_TIFF = "it is a TIFF of a rare kind (floating point, or broken); save it with 8 or 16 bits a colour"

# What a message contains, in small letters -> what it means. Pillow's, libheif's, and those of Pillow's C decoders.
_MEANINGS = (
    ("max_text", _TOO_MUCH_TEXT),
    ("truncated", CUT_SHORT),
    ("reached eof", CUT_SHORT),
    ("end of file", CUT_SHORT),
    ("could not create decoder object", BROKEN),
    ("cannot load this image", BROKEN),
    ("decoder error", BROKEN),
    ("data stream", BROKEN),
    ("invalid input", BROKEN),
    ("decoder plugin", BROKEN),
    ("unsupported feature", BROKEN),
    ("not identified by this driver", BROKEN),
)
_MOST_STEPS = 1000  # through a file's parts; no photo has as many before its pixels


def told(error: Exception) -> str | None:
    """What a library's error means; None when it is none that we know."""
    text = str(error).lower()
    return next((meaning for words, meaning in _MEANINGS if words in text), None)


def failed(path: bytes, error: Exception) -> str:
    """Why reading failed half-way."""
    meaning = told(error) or BROKEN
    return CUT_SHORT if meaning == BROKEN and _lacks_its_end(path) else meaning


def unidentified(path: bytes, head: bytes) -> str:
    """Why nobody knew the file; `head` is its first bytes."""
    if _lacks_its_end(path):
        return CUT_SHORT
    if head.startswith(b"\xff\xd8\xff"):
        return _RARE_JPEG
    if head.startswith((b"II*\0", b"MM\0*")):
        return _RARE_TIFF
    return BROKEN if _frame(head) else UNKNOWN


def _lacks_its_end(path: bytes) -> bool:
    """Whether the file's own lengths lead beyond its end before there is a picture."""
    try:
        with open(path, "rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(0)
            frame = _frame(handle.read(HEAD))
            handle.seek(0)
            return frame is not None and frame(handle, size)
    except OSError:  # gone meanwhile, or its disk: what reading it said before is the reason
        return False


def _frame(head: bytes) -> Callable[[BinaryIO, int], bool] | None:
    """What reads the frame of a file that begins like this."""
    if head[4:8] == b"ftyp":
        return _boxes_end
    return next((frame for magic, frame in _FRAMES if head.startswith(magic)), None)


def _jpeg_ends(handle: BinaryIO, size: int) -> bool:
    """ITU T.81, B.1.1: segments up to the frame header; fill bytes may stand before a marker."""
    handle.seek(2)
    for _ in range(_MOST_STEPS):
        marker = handle.read(4)
        if len(marker) < 4:
            return True
        if marker[0] != 0xFF or marker[1] == 0xDA:
            return False
        length = int.from_bytes(marker[2:], "big")
        if marker[1] == 0xFF:
            handle.seek(-3, 1)
        elif handle.seek(length - 2, 1) > size:
            return True
    return False


def _png_ends(handle: BinaryIO, size: int) -> bool:
    """PNG (third edition), 5.3: chunks up to the pixels, each with twelve bytes around its data."""
    place = 8
    for _ in range(_MOST_STEPS):
        handle.seek(place)
        start = handle.read(8)
        if len(start) < 8:
            return True
        place += 12 + int.from_bytes(start[:4], "big")
        if place > size or start[4:] == b"IDAT":
            return place > size
    return False


def _tiff_ends(handle: BinaryIO, size: int) -> bool:
    """TIFF 6.0, section 2: the first directory, which may stand anywhere, twelve bytes an entry."""
    start = handle.read(8)
    order: Literal["little", "big"] = "little" if start.startswith(b"II") else "big"
    place = int.from_bytes(start[4:], order)
    handle.seek(place)
    return len(start) < 8 or place + 2 + 12 * int.from_bytes(handle.read(2), order) > size


def _riff_ends(handle: BinaryIO, size: int) -> bool:
    """RIFF: the length of all that follows the first eight bytes."""
    return size < 8 or int.from_bytes(handle.read(8)[4:], "little") + 8 > size


def _boxes_end(handle: BinaryIO, size: int) -> bool:
    """ISO 14496-12, 4.2: boxes one after the other. A length of 0 goes to the end, 1 has its number in eight bytes."""
    place, found = 0, set[bytes]()
    for _ in range(_MOST_STEPS):
        if place == size:
            break
        handle.seek(place)
        start = handle.read(16)
        length = int.from_bytes(start[:4], "big")
        if length == 1:
            length = int.from_bytes(start[8:], "big")
        found.add(start[4:8])
        place = size if length == 0 else place + max(length, 8)
        if place > size:
            return True
    return not found & {b"mdat", b"idat", b"meta", b"jp2c"}


_FRAMES: tuple[tuple[bytes, Callable[[BinaryIO, int], bool]], ...] = (
    (b"\xff\xd8", _jpeg_ends),
    (b"\x89PNG", _png_ends),
    (b"II*\0", _tiff_ends),
    (b"MM\0*", _tiff_ends),
    (b"RIFF", _riff_ends),
    (b"\0\0\0\x0cjP  ", _boxes_end),
)
