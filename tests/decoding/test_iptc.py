"""IPTC: the captions of press photos and of twenty years of archives."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipsearch.decoding.iptc import iptc_of
from clipsearch.decoding.xmp import Packet

UTF_8 = (1, 90, b"\x1b%G")


def block(*datasets: tuple[int, int, bytes]) -> bytes:
    return b"".join(b"\x1c" + bytes((record, tag)) + struct.pack(">H", len(v)) + v for record, tag, v in datasets)


def jpeg_with(iptc: bytes) -> Image.Image:
    """Photoshop's resource 1028 in a JPEG's APP13."""
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)
    segment = b"Photoshop 3.0\0" + resource
    plain = io.BytesIO()
    Image.new("RGB", (8, 8)).save(plain, "JPEG")
    data = plain.getvalue()
    return Image.open(io.BytesIO(data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_title_caption_and_keywords_are_read(encoding: str) -> None:
    """Old archives are written in the alphabet of the machine that wrote them, and do not say so."""
    words = [text.encode(encoding) for text in ("Grüße", "Café – 80°", "See", "Frühling")]
    image = jpeg_with(block((2, 5, words[0]), (2, 120, words[1]), (2, 25, words[2]), (2, 25, words[3])))
    assert iptc_of(image) == Packet(titles=("Grüße",), descriptions=("Café – 80°",), keywords=("See", "Frühling"))


def test_marked_text_is_utf_8_even_where_it_is_broken() -> None:
    """A caption cut in the middle of a character is not another alphabet."""
    image = jpeg_with(block(UTF_8, (2, 5, "Grüße".encode()[:3])))
    assert iptc_of(image).titles == ("Gr\ufffd",)


def test_a_tiff_keeps_it_in_a_tag() -> None:
    """Scans do."""
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "TIFF", tiffinfo={33723: block((2, 5, b"Scan"))})
    assert iptc_of(Image.open(data)).titles == ("Scan",)


def test_a_picture_in_memory_has_none() -> None:
    """`Engine.encode_images` takes them."""
    assert iptc_of(Image.new("RGB", (8, 8))) == Packet()


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda tail: block(UTF_8, (2, 5, b"a")) + tail)))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    """A broken block in a good picture."""
    assert isinstance(iptc_of(jpeg_with(data)), Packet)
