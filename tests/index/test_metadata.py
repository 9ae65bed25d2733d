"""EXIF: what cameras write, and what nobody should have written."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from clipsearch.index.decode import decode
from clipsearch.index.metadata import metadata_of
from clipsearch.types import Decoded, Metadata
from tests.support.encoder import HashEncoder

PREPARE = HashEncoder().prepare


def read(path: Path) -> Metadata:
    outcome = decode(os.fsencode(path), PREPARE)
    assert isinstance(outcome, Decoded)
    return outcome.metadata


@pytest.mark.parametrize(
    ("name", "taken_at", "taken_offset"),
    [
        ("exif-gps-offsettime.jpg", "2023-05-31T18:30:15", "+02:00"),
        ("exif-gps-south-west.jpg", "2019-12-31T23:59:59", None),
        ("exif-date-digitized-only.jpg", "2001-02-03T04:05:06", None),
        ("exif-date-modified-only.jpg", "2023-06-01T10:00:00", None),
        ("exif-date-iso.jpg", "2021-03-04T05:06:07", None),
        ("exif-date-zero.jpg", None, None),
        ("exif-date-blank.jpg", None, None),
        ("exif-date-garbage.jpg", None, None),
        ("jpeg-baseline-444.jpg", None, None),
    ],
)
def test_the_date_is_the_one_the_camera_wrote(
    shared: Path, name: str, taken_at: str | None, taken_offset: str | None
) -> None:
    """A photo of the year 0000, or shifted by a time zone, sorts to where nobody looks."""
    metadata = read(shared / "data" / "formats" / name)
    assert (metadata.taken_at, metadata.taken_offset) == (taken_at, taken_offset)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("exif-gps-offsettime.jpg", (48.858370, 2.294481)),
        ("exif-gps-south-west.jpg", (-22.951916, -43.210487)),
        ("exif-gps-zero-denominator.jpg", None),
        ("exif-gps-out-of-range.jpg", None),
        ("exif-date-iso.jpg", None),
    ],
)
def test_a_position_is_on_the_globe_or_not_there(shared: Path, name: str, place: tuple[float, float] | None) -> None:
    """Rio in the northern hemisphere, or NaN, spoils every question for a place."""
    metadata = read(shared / "data" / "formats" / name)
    if place is None:
        assert metadata.latitude is metadata.longitude is None
    else:
        assert (metadata.latitude, metadata.longitude) == pytest.approx(place, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["exif-orientation-6-as-long.jpg", "exif-orientation-6-thumbnail.jpg", "png-exif-orientation-6.png",
             "webp-exif-orientation-6.webp", "avif-orientation-6.avif", "tiff-orientation-6.tif"],
)  # fmt: skip
def test_width_and_height_are_those_of_the_upright_picture(shared: Path, name: str) -> None:
    """A portrait called landscape is filtered away."""
    metadata = read(shared / "data" / "formats" / name)
    assert (metadata.width, metadata.height) == (240, 360)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        (None, "X100", "X100"),
        ("Leica\0\0", None, "Leica"),
        ("  ", "\0", None),
        ("Evil\x1b[31m", "Cam\u202eera", "Evil[31m Camera"),
    ],
)
def test_a_camera_has_one_harmless_name(make: str | None, model: str | None, camera: str | None) -> None:
    """Names are printed in terminals: escapes in them must not act, makers must not stand twice."""
    exif = Image.Exif()
    for tag, value in ((0x010F, make), (0x0110, model)):
        if value is not None:
            exif[tag] = value
    assert metadata_of(exif, width=4, height=3, format_name="JPEG").camera == camera


def test_a_picture_without_exif_is_a_picture() -> None:
    """Screenshots have none."""
    assert metadata_of(None, width=4, height=3, format_name="PNG") == Metadata(4, 3, "PNG")


def sound(metadata: Metadata) -> None:
    assert (metadata.width, metadata.height, metadata.format) == (4, 3, "JPEG")
    assert metadata.taken_at is None or len(metadata.taken_at) == 19
    assert (metadata.latitude is None) == (metadata.longitude is None)
    if metadata.latitude is not None and metadata.longitude is not None:
        assert math.isfinite(metadata.latitude) and abs(metadata.latitude) <= 90 and abs(metadata.longitude) <= 180
    for text in (metadata.camera, metadata.lens):
        assert text is None or (text.isprintable() and text.strip())


def metadata_from(data: bytes) -> Metadata:
    exif = Image.Exif()
    exif.load(data)
    return metadata_of(exif, width=4, height=3, format_name="JPEG")


TAGS = [0x0132, 0x010F, 0x0110, 0x8769, 0x8825, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0xA434, 1, 2, 3, 4, 0x0112]
ENTRY = st.tuples(
    st.sampled_from(TAGS),
    st.integers(0, 14),  # the type
    st.sampled_from([0, 1, 2, 3, 4, 6, 20, 1000, 2**31, 2**32 - 1]),
    st.one_of(st.integers(0, 200), st.integers(0, 2**32 - 1)),  # the value, or where it lies
)


@st.composite
def directories(draw: st.DrawFn) -> bytes:
    """Headers and directories that are nearly right, which random bytes never are."""
    order, mark = draw(st.sampled_from([("<", b"II*\0"), (">", b"MM\0*")]))
    entries = draw(st.lists(ENTRY, max_size=8))
    claimed = draw(st.sampled_from([len(entries), len(entries), 65535]))
    body = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    tail = draw(st.binary(max_size=120))
    return mark + struct.pack(order + "IH", 8, claimed) + body + struct.pack(order + "I", 0) + tail


@pytest.mark.filterwarnings("ignore")  # `decode` ignores Pillow's words about odd metadata too
@given(st.one_of(directories(), st.binary(max_size=200).map(lambda data: b"Exif\0\0II*\0\x08\0\0\0" + data)))
@example(b"")
@example(b"Exif\0\0")
def test_no_bytes_of_a_readable_directory_make_it_raise(data: bytes) -> None:
    """A picture with broken EXIF is a good picture, and must not become a failure."""
    exif = Image.Exif()
    try:
        exif.load(data)
    except Exception:  # Pillow refuses the header itself; `getexif` would have raised before us
        return
    sound(metadata_of(exif, width=4, height=3, format_name="JPEG"))


NUMBERS = st.one_of(st.builds(IFDRational, st.integers(0, 2**32), st.integers(0, 10)), st.floats(), st.integers())
VALUES = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=30), st.binary(max_size=30),
    st.from_regex(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", fullmatch=True),
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.lists(st.integers(), max_size=4),
)  # fmt: skip


class AnyExif(dict):  # type: ignore[type-arg]
    """Any value under any tag, as if Pillow had read it."""

    def __init__(self, top: dict[int, object], inner: dict[int, object]) -> None:
        super().__init__(top)
        self.inner = inner

    def get_ifd(self, tag: int) -> dict[int, object]:
        return self.inner


class BrokenExif(AnyExif):
    def get_ifd(self, tag: int) -> dict[int, object]:
        raise struct.error("unpack requires a buffer of 12 bytes")


def test_a_directory_that_cannot_be_read_leaves_the_rest_of_the_metadata() -> None:
    """Pillow raises half a dozen kinds of error for a broken directory; the picture is still good."""
    metadata = metadata_of(BrokenExif({0x0110: "X100"}, {}), width=4, height=3, format_name="JPEG")  # type: ignore[arg-type]
    assert metadata == Metadata(4, 3, "JPEG", camera="X100")


@given(
    st.dictionaries(st.sampled_from(TAGS), VALUES, max_size=6),
    st.dictionaries(st.sampled_from(TAGS), VALUES, max_size=8),
)
def test_no_value_under_any_tag_makes_it_raise(top: dict[int, object], inner: dict[int, object]) -> None:
    """Cameras and editors write text where numbers belong."""
    sound(metadata_of(AnyExif(top, inner), width=4, height=3, format_name="JPEG"))  # type: ignore[arg-type]
