"""A RAW file by hand: a DNG of one picture with the camera's JPEG preview, as small as LibRaw takes it.

After Adobe's DNG specification 1.7.1; the mosaic is RGGB, 16 bits, uncompressed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

import numpy as np
from PIL import Image

BYTE, ASCII, SHORT, LONG, RATIONAL, SIGNED = 1, 2, 3, 4, 5, 10
_SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, SIGNED: 8}

Entries = dict[int, tuple[int, bytes]]  # tag: type, value


def dng(
    picture: Image.Image,
    *,
    orientation: int = 1,
    preview: bytes | None = None,
    xmp: bytes = b"",
    extra: Entries | None = None,
) -> bytes:
    """`picture` is what the sensor saw, not turned, with even sides; `preview` is the file of a JPEG."""
    mosaic = _mosaic(picture)
    body = b"II*\0" + bytes(4)
    place = {}
    for name, data in (("mosaic", mosaic.tobytes()), ("preview", preview or b"")):
        place[name] = len(body)
        body += data + bytes(len(data) % 2)
    height, width = mosaic.shape
    place["exif"] = len(body)
    body += _directory(len(body), {0x9003: text("2021:02:03 04:05:06"), 0x9291: text("78"), 0x9011: text("+02:00")})
    place["sensor"] = len(body)
    body += _directory(
        len(body),
        {
            254: longs(0), 256: longs(width), 257: longs(height), 258: shorts(16), 259: shorts(1),
            262: shorts(32803), 273: longs(place["mosaic"]), 277: shorts(1), 278: longs(height),
            279: longs(mosaic.nbytes), 33421: shorts(2, 2), 33422: (BYTE, b"\0\1\1\2"), 50717: longs(65535),
        },
    )  # fmt: skip
    entries: Entries = {
        254: longs(1), 271: text("ExampleCam"), 272: text("Model R"), 274: shorts(orientation),
        330: longs(place["sensor"]), 700: (BYTE, xmp), 0x8769: longs(place["exif"]),
        50706: (BYTE, b"\1\4\0\0"), 50708: text("ExampleCam Model R"), 50778: shorts(21),
        50721: (SIGNED, struct.pack("<18i", 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)),
        50728: (RATIONAL, struct.pack("<6I", 1, 1, 1, 1, 1, 1)),
    }  # fmt: skip
    if preview is not None:
        size = Image.open(io.BytesIO(preview)).size
        entries |= {
            256: longs(size[0]), 257: longs(size[1]), 258: shorts(8, 8, 8), 259: shorts(7), 262: shorts(6),
            273: longs(place["preview"]), 277: shorts(3), 278: longs(size[1]), 279: longs(len(preview)),
        }  # fmt: skip
    return body[:4] + struct.pack("<I", len(body)) + body[8:] + _directory(len(body), entries | (extra or {}))


def jpeg(picture: Image.Image, exif: Mapping[int, object] | None = None) -> bytes:
    data = io.BytesIO()
    tags = Image.Exif()
    tags.update(exif or {})
    picture.save(data, "JPEG", quality=92, exif=tags)
    return data.getvalue()


def longs(*values: int) -> tuple[int, bytes]:
    return LONG, struct.pack(f"<{len(values)}I", *values)


def shorts(*values: int) -> tuple[int, bytes]:
    return SHORT, struct.pack(f"<{len(values)}H", *values)


def text(value: str) -> tuple[int, bytes]:
    return ASCII, value.encode() + b"\0"


def _mosaic(picture: Image.Image) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """Linear light, for LibRaw applies the curve of Rec. 709 to it."""
    curve = ((np.arange(256) / 255) ** 2.22 * 65535).astype("<u2")
    linear = curve[np.asarray(picture.convert("RGB"))]
    mosaic = linear[..., 1].copy()
    mosaic[::2, ::2] = linear[::2, ::2, 0]
    mosaic[1::2, 1::2] = linear[1::2, 1::2, 2]
    return mosaic


def _directory(offset: int, entries: Entries) -> bytes:
    """The directory as it stands at `offset`, what is longer than four bytes behind it."""
    filled = {tag: entry for tag, entry in entries.items() if entry[1]}
    head, tail = struct.pack("<H", len(filled)), b""
    behind = offset + 2 + 12 * len(filled) + 4
    for tag, (kind, value) in sorted(filled.items()):
        head += struct.pack("<HHI", tag, kind, len(value) // _SIZES[kind])
        if len(value) <= 4:
            head += value.ljust(4, b"\0")
        else:
            head += struct.pack("<I", behind + len(tail))
            tail += value + bytes(len(value) % 2)
    return head + bytes(4) + tail
