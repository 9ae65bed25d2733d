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
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from clipsearch.decoding.decode import decode
from clipsearch.decoding.metadata import metadata_of
from clipsearch.decoding.xmp import Packet
from clipsearch.types import Decoded, Metadata
from tests.decoding.test_xmp import packet
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


@pytest.mark.parametrize(
    ("fraction", "ms"),
    [
        ("25", 250),
        ("007", 7),
        ("123456", 123),
        ("0  ", 0),
        (" ", None),
        ("x", None),
        ("²", None),
        (None, None),
        (7, None),
    ],
)
def test_fractions_of_the_second_are_kept(fraction: object, ms: int | None) -> None:
    """Ten frames a second have one time without them, and count as copies."""
    exif = AnyExif({}, {0x9003: "2015:07:14 10:00:05", 0x9291: fraction})
    metadata = metadata_of(exif, width=4, height=3, format_name="JPEG")  # type: ignore[arg-type]
    assert (metadata.taken_at, metadata.taken_ms) == ("2015-07-14T10:00:05", ms)


@pytest.mark.parametrize("name", ["xmp-embedded.jpg", "webp-icc-xmp.webp", "png-text-chunks.png"])
def test_what_people_wrote_is_read_from_each_container(shared: Path, name: str) -> None:
    """Years of stars and keywords are why a photographer trusts a catalogue."""
    metadata = read(shared / "data" / "formats" / name)
    assert (metadata.rating, metadata.keywords) == (4, ("lake", "holiday 2018"))
    assert metadata.description == "A lake below snowy mountains"
    assert (metadata.taken_at, metadata.taken_offset) == ("2018-08-09T10:11:12", "+03:00")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_xmp_is_read_whatever_the_format(tmp_path: Path, suffix: str) -> None:
    """The same stars in each export."""
    data = packet(attributes='xmp:Rating="2"')
    saved = {"tiffinfo": {700: data}} if suffix == ".tif" else {"xmp": data}
    if suffix == ".png":
        chunks = PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", data.decode())
        saved = {"pnginfo": chunks}  # type: ignore[dict-item]
    Image.new("RGB", (8, 8)).save(tmp_path / f"a{suffix}", **saved)  # type: ignore[arg-type]
    assert read(tmp_path / f"a{suffix}").rating == 2


@pytest.mark.parametrize(
    ("written", "windows", "rating"),
    [
        ((), None, None), (("5",), None, 5), (("4.0",), None, 4), (("3.7",), None, 3), (("0",), None, None),
        (("-1",), None, -1), (("6",), None, None), (("many",), None, None), (("nan",), None, None),
        ((), 4, 4), ((), 0, None), (("2",), 5, 2), (("0",), 5, None), (("many",), 3, 3), ((), (1, 2), None),
    ],
)  # fmt: skip
def test_a_rating_is_one_to_five_stars_or_rejected(
    written: tuple[str, ...], windows: object, rating: int | None
) -> None:
    """No star is no rating: every photo of an editor's folder would be "rated" otherwise."""
    exif = AnyExif({} if windows is None else {0x4746: windows}, {})
    metadata = metadata_of(exif, width=4, height=3, format_name="JPEG", xmp=Packet(ratings=written))  # type: ignore[arg-type]
    assert metadata.rating == rating


@pytest.mark.parametrize(
    "written",
    ["OLYMPUS DIGITAL CAMERA", "OLYMPUS DIGITAL CAMERA         ", "SONY DSC", "MINOLTA DIGITAL CAMERA",
     "DCIM\\100GOPRO", "DCIM\\100MEDIA\\DJI_0001.JPG", "<Digimax S630>", "cof", "rhdr", "default",
     "SAMSUNG DIGITAL CAMERA", "   ",
     "Exif_JPEG_PICTURE", "binary comment", "ASCII", "---", '{"shape": [90, 160, 3]}', "KODAK Digital Still Camera",
     "Created with GIMP", "M2E70L213-212R382B320", "Screenshot", "Untitled", "oznorWO", "LEAD Technologies Inc. V1.01"],
)  # fmt: skip
def test_what_a_camera_writes_by_itself_is_no_description(written: str) -> None:
    """`caption:olympus` would find ten thousand photos that nobody described."""
    metadata = metadata_of(AnyExif({0x010E: written}, {}), width=4, height=3, format_name="JPEG")  # type: ignore[arg-type]
    assert metadata.description is None


@pytest.mark.parametrize(
    "written",
    [
        "Grandma with her first digital camera at the sea",
        "Sonya",
        "image of a lake",
        "The Kodak shop, 1965",
        "Öl",
        "NYC 1999",
    ],
)
def test_what_a_person_wrote_is_a_description(written: str) -> None:
    """Programs write UTF-8 where the standard knows ASCII, and Pillow reads Latin-1."""
    exif = AnyExif({0x010E: written.encode().decode("latin-1")}, {})
    metadata = metadata_of(exif, width=4, height=3, format_name="JPEG")  # type: ignore[arg-type]
    assert metadata.description == written


def test_xmp_goes_before_iptc_and_both_before_exif() -> None:
    """Editors write all three; the newest stands in XMP, and keywords are not listed twice."""
    exif = AnyExif({0x010E: "from EXIF"}, {})
    xmp = Packet(titles=("  ", "Line one\nline\ttwo \u202e\x1b[31m"), keywords=("Lake", "sea", ""))
    iptc = Packet(titles=("other",), descriptions=("from IPTC",), keywords=("lake", "sky"))
    metadata = metadata_of(exif, width=4, height=3, format_name="JPEG", xmp=xmp, iptc=iptc)  # type: ignore[arg-type]
    assert metadata.title == "Line one line two [31m"
    assert metadata.description == "from IPTC"
    assert metadata.keywords == ("Lake", "sea", "sky")


def test_long_words_are_cut() -> None:
    """A library keeps them for a million photos, and shows a few lines."""
    xmp = Packet(titles=("t" * 9000,), descriptions=("d" * 9000,), keywords=tuple(f"{n:0200}" for n in range(900)))
    metadata = metadata_of(None, width=4, height=3, format_name="JPEG", xmp=xmp)
    assert (len(metadata.title or ""), len(metadata.description or "")) == (300, 2000)
    assert len(metadata.keywords) <= 100 and max(map(len, metadata.keywords)) == 100


def test_a_picture_without_exif_is_a_picture() -> None:
    """Screenshots have none."""
    assert metadata_of(None, width=4, height=3, format_name="PNG") == Metadata(4, 3, "PNG")


def sound(metadata: Metadata) -> None:
    assert (metadata.width, metadata.height, metadata.format) == (4, 3, "JPEG")
    assert metadata.taken_at is None or len(metadata.taken_at) == 19
    assert (metadata.latitude is None) == (metadata.longitude is None)
    if metadata.latitude is not None and metadata.longitude is not None:
        assert math.isfinite(metadata.latitude) and abs(metadata.latitude) <= 90 and abs(metadata.longitude) <= 180
    assert metadata.taken_ms is None or 0 <= metadata.taken_ms <= 999
    assert metadata.rating in (None, -1, 1, 2, 3, 4, 5)
    for text in (metadata.camera, metadata.lens, metadata.title, metadata.description, *metadata.keywords):
        assert text is None or (text.isprintable() and text.strip())


def metadata_from(data: bytes) -> Metadata:
    exif = Image.Exif()
    exif.load(data)
    return metadata_of(exif, width=4, height=3, format_name="JPEG")


TAGS = [
    0x0132,
    0x010F,
    0x0110,
    0x8769,
    0x8825,
    0x9003,
    0x9004,
    0x9010,
    0x9011,
    0x9012,
    0xA434,
    0x9291,
    0x010E,
    0x4746,
    1,
    2,
    3,
    4,
    0x0112,
]
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


TEXTS = st.lists(st.text(max_size=12), max_size=3).map(tuple)


@given(
    st.dictionaries(st.sampled_from(TAGS), VALUES, max_size=6),
    st.dictionaries(st.sampled_from(TAGS), VALUES, max_size=8),
    st.builds(Packet, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS),
)
def test_no_value_under_any_tag_makes_it_raise(top: dict[int, object], inner: dict[int, object], xmp: Packet) -> None:
    """Cameras and editors write text where numbers belong."""
    sound(metadata_of(AnyExif(top, inner), width=4, height=3, format_name="JPEG", xmp=xmp))  # type: ignore[arg-type]
