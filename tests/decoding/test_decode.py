"""Every file of the field: what must open does, what must not is a reason, and nothing else dies of it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from clipsearch.decoding import decode as module
from clipsearch.decoding.decode import decode, decoder_identity, picture_format
from clipsearch.decoding.worker import MEMORY_LIMIT_BYTES
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.types import Decoded, Failure
from tests.support.dng import dng

SIDE = 64
SHORTEST = Preprocess(ImageInput(SIDE, "shortest", "bicubic", (0, 0, 0), (1, 1, 1)))
WHOLE = Preprocess(ImageInput(SIDE, "squash", "bilinear", (0, 0, 0), (1, 1, 1)))

NOT_TAKEN_ON = {".dds", ".ico", ".icns", ".pcx", ".sgi", ".tga", ".qoi"}  # no photos; each opener is a risk
WITH_EXTRAS = {  # of the rows that may open, those that do; the table's DNG is that of Pillow, a preview of 160 px
    "heic-8bit.heic": ("320", "180"), "heic-10bit.heif": ("320", "180"), "heic-alpha.heic": ("320", "180"),
    "heic-two-images.heic": ("320", "180"), "heic-orientation-6-irot.heic": ("240", "360"),
    "raw-synthetic.dng": ("640", "360"),
}  # fmt: skip
NEVER = {  # of the rows that may open, those that no library we take on reads
    "jpeg-12bit.jpg": "it is a JPEG of a rare kind",
    "jpeg-lossless-sof3.jpg": "its picture data are broken",
    "jxl-lossy.jxl": "JPEG XL pictures are not read yet",
    "tiff-float32-rgb.tif": "it is a TIFF of a rare kind",
}
HEIC_WANTED = 'to read HEIC, run pip install "clipsearch[heif]" and index again'
RAW_WANTED = 'to read RAW, run pip install "clipsearch[raw]" and index again'


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "expected.tsv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def decoded_all(folder: Path, rows: list[dict[str, str]]) -> list[Decoded | Failure]:
    with DecodeWorkers(SHORTEST, 2, time_limit_s=5) as workers:
        return list(workers.decode_all([os.fsencode(folder / row["file"]) for row in rows]))


def pixels_of(path: Path) -> NDArray[np.int16]:
    """Height x width x 3, squashed, so that pictures of different sizes can be compared."""
    outcome = decode(os.fsencode(path), WHOLE)
    assert isinstance(outcome, Decoded), (path, outcome)
    return np.frombuffer(outcome.pixels, np.uint8).reshape(SIDE, SIDE, 3).astype(np.int16)


def difference(one: NDArray[np.int16], two: NDArray[np.int16]) -> float:
    return float(np.abs(one - two).mean())


def grey(pixels: NDArray[np.int16]) -> NDArray[np.int16]:
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    return np.repeat(luma[..., None], 3, axis=2).astype(np.int16)


def as_expected(row: dict[str, str], outcome: Decoded | Failure) -> bool:
    """With the extras installed."""
    name, should = row["file"], row["should_open"]
    if Path(name).suffix in NOT_TAKEN_ON or should == "no":
        return outcome == Failure("it is not a picture in a known format")
    if name in NEVER:
        return isinstance(outcome, Failure) and outcome.reason.startswith(NEVER[name])
    if not isinstance(outcome, Decoded):
        return False
    size = (str(outcome.metadata.width), str(outcome.metadata.height))
    wanted = WITH_EXTRAS.get(name, (row["width"], row["height"]))
    return size == wanted and len(outcome.pixels) == SIDE * SIDE * 3


def test_every_format_of_the_field_opens_with_its_size_or_says_why_not(shared: Path) -> None:
    """A whole folder of an odd camera's photos must not be missing."""
    folder = shared / "data" / "formats"
    rows = table(folder)
    assert len(rows) > 140 and {row["file"] for row in rows} > WITH_EXTRAS.keys() | NEVER.keys()
    wrong = [
        (row["file"], outcome if isinstance(outcome, Failure) else outcome.metadata)
        for row, outcome in zip(rows, decoded_all(folder, rows), strict=True)
        if not as_expected(row, outcome)
    ]
    assert wrong == []


def test_without_the_extras_the_reason_is_the_command_that_helps(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone's whole folder is missing, and the list of errors must say what to type."""
    for package in ("pi_heif", "rawpy"):
        monkeypatch.setitem(sys.modules, package, None)  # Python's own word for "not installed"
    folder = shared / "data" / "formats"
    for name in WITH_EXTRAS:
        wanted = RAW_WANTED if name.endswith(".dng") else HEIC_WANTED
        assert decode(os.fsencode(folder / name), SHORTEST) == Failure(wanted)
    wrong = [
        row["file"]
        for row in table(folder)
        if row["file"] not in WITH_EXTRAS and not as_expected(row, decode(os.fsencode(folder / row["file"]), SHORTEST))
    ]
    assert wrong == []


_HOSTILE = """
import os, resource, sys
from pathlib import Path
from clipsearch.types import Decoded
from tests.decoding.test_decode import decoded_all, table
folder = Path(sys.argv[1])
rows = table(folder)
outcomes = decoded_all(folder, rows)
for row, outcome in zip(rows, outcomes, strict=True):
    opened = isinstance(outcome, Decoded)
    reason = "" if opened else outcome.reason
    print(row["outcome"], row["file"], "opened" if opened else "refused", reason, sep="\\t")
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


@pytest.mark.skipif(os.name == "nt", reason="resource")
def test_hostile_files_cost_themselves_only_in_bounded_time_and_memory(shared: Path) -> None:
    """One bomb in a downloads folder must neither stop a run nor push the machine into swap."""
    command = [sys.executable, "-c", _HOSTILE, str(shared / "data" / "hostile")]
    child = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110)
    *lines, peak_bytes = child.stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    assert len(rows) > 140
    wrong = [row for row in rows if row[0] != "either" and row[2] != {"error": "refused", "opens": "opened"}[row[0]]]
    assert wrong == []
    assert [row for row in rows if row[2] == "refused" and not row[3].strip()] == []
    assert int(peak_bytes) < MEMORY_LIMIT_BYTES * 3 // 4


# -- what a picture looks like ----------------------------------------------------------------------

SAME_AS_LANDSCAPE = [f"Landscape_{n}.jpg" for n in range(2, 9)]
SAME_AS_PORTRAIT = [f"Portrait_{n}.jpg" for n in range(2, 9)]


@pytest.mark.parametrize("name", SAME_AS_LANDSCAPE + SAME_AS_PORTRAIT)
def test_eight_orientations_show_one_picture(shared: Path, name: str) -> None:
    """A photo lying on its side is found by other words."""
    folder = shared / "data" / "formats"
    upright = name.split("_")[0] + "_1.jpg"
    # The copies were compressed anew after turning, and carry their number as text.
    assert difference(pixels_of(folder / name), pixels_of(folder / upright)) < 12


@pytest.mark.parametrize(
    ("name", "like", "limit"),
    [
        ("icc-p3.jpg", "jpeg-baseline-444.jpg", 3),
        ("icc-adobe-rgb.jpg", "jpeg-baseline-444.jpg", 3),
        ("icc-adobe-rgb.png", "jpeg-baseline-444.jpg", 3),
        ("jpeg-rgb-no-transform.jpg", "jpeg-baseline-444.jpg", 3),
        ("jpeg-cmyk-adobe-inverted.jpg", "jpeg-baseline-444.jpg", 6),
        ("jpeg-ycck.jpg", "jpeg-baseline-444.jpg", 6),
        ("jpeg-progressive.jpg", "jpeg-baseline-444.jpg", 3),
        ("jpeg-arithmetic.jpg", "jpeg-baseline-444.jpg", 3),
        ("really-a-png.jpg", "jpeg-baseline-444.jpg", 3),
        ("png-rgb.png", "jpeg-baseline-444.jpg", 4),
        ("png-16bit-rgb.png", "png-rgb.png", 3),
        ("png-interlaced.png", "png-rgb.png", 1),
        ("webp-lossy.webp", "png-rgb.png", 4),
        ("avif-8bit.avif", "png-rgb.png", 4),
        ("jpeg2000.jp2", "png-rgb.png", 4),
        ("tiff-cielab.tif", "png-rgb.png", 4),
        ("tiff-cmyk.tif", "png-rgb.png", 6),
        ("tiff-planar-separate.tif", "png-rgb.png", 2),
    ],
)
def test_colours_are_those_that_a_viewer_shows(shared: Path, name: str, like: str, limit: float) -> None:
    """A lake in pink or as a negative is not found as a lake."""
    folder = shared / "data" / "formats"
    one, two = pixels_of(folder / name), pixels_of(folder / like)
    assert difference(one, two) < limit
    assert np.abs(one.mean(axis=(0, 1)) - two.mean(axis=(0, 1))).max() < limit


def test_a_colour_profile_is_applied(shared: Path) -> None:
    """Without its profile this lake is pink: red above green. With it, the order is that of the lake."""
    folder = shared / "data" / "formats"
    means = [
        pixels_of(folder / name).mean(axis=(0, 1)) for name in ("icc-swapped-channels.jpg", "jpeg-baseline-444.jpg")
    ]
    for red, green, blue in means:
        assert red < green < blue
    # The profile's primaries lie a little outside sRGB, so red is clipped and only green and blue compare.
    assert np.abs(means[0] - means[1])[1:].max() < 10


@pytest.mark.parametrize(
    "name",
    ["png-16bit-grey.png", "tiff-16bit-grey.tif", "tiff-float32-grey.tif", "png-grey.png", "tiff-packbits.tif"],
)
def test_deep_grey_pictures_are_neither_white_nor_black(shared: Path, name: str) -> None:
    """Pillow clips 16 bits to white and turns floats to black; every such scan would be the same photo."""
    folder = shared / "data" / "formats"
    assert difference(pixels_of(folder / name), grey(pixels_of(folder / "png-rgb.png"))) < 4


def test_what_is_transparent_is_white(shared: Path) -> None:
    """Colours hidden under alpha 0 are in no viewer, and must not be found."""
    folder = shared / "data" / "formats"
    for name in ("png-rgba.png", "tiff-rgba.tif", "webp-alpha.webp"):
        corner = pixels_of(folder / name)[0, 0]
        assert corner.min() >= 250, name
    assert (pixels_of(folder / "tiny-1x1.png") == 255).all()


def test_scaled_decoding_shows_what_full_decoding_shows(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`draft` makes indexing four times faster; it must not move the vectors."""
    path = sorted((shared / "data" / "formats").glob("jpeg-baseline-4*.jpg"))
    assert len(path) == 2
    for each in path:
        scaled = pixels_of(each)
        with monkeypatch.context() as patch:
            patch.setattr(module, "DRAFT_FACTOR", 100)
            full = pixels_of(each)
        assert not np.array_equal(scaled, full), "draft had no effect, so nothing was compared"
        assert difference(scaled, full) < 2


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "P", "I;16", "1", "LA"])
def test_averaging_first_shows_what_the_whole_picture_shows(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """It makes a WebP a third cheaper; an average of palette entries, or under alpha 0, would be another picture."""
    with Image.open(shared / "data" / "photos" / "bar-woman-beer-24mp.jpg") as photo:
        photo.draft("RGB", (1000, 1000))
        picture = photo.convert("RGB")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    elif mode in ("RGBA", "LA"):  # green is hidden where nothing shows
        hidden = Image.new(picture.mode, picture.size, (0, 255, 0))
        mask = Image.linear_gradient("L").resize(picture.size).point(lambda value: 255 if value > 99 else 0)
        picture = Image.composite(picture, hidden, mask)
        picture.putalpha(mask)
    path = tmp_path / "a.tif"
    (picture if mode == "I;16" else picture.convert(mode)).save(path)
    small = pixels_of(path)
    monkeypatch.setattr(module, "_reduced", lambda image, prepare: image)
    whole = pixels_of(path)
    assert difference(small, whole) < 4
    assert np.array_equal(small, whole) == (mode in ("P", "I;16", "1", "LA")), "what is averaged, and what is not"


@pytest.mark.parametrize("name", ["panorama-12000x200.jpg", "tall-150x9000.jpg", "tiny-1x1.jpg", "tiny-3x1.jpg"])
def test_extreme_shapes_give_a_whole_square_of_pixels(shared: Path, name: str) -> None:
    """A short row of pixels would shift all photos after it in the batch."""
    outcome = decode(os.fsencode(shared / "data" / "formats" / name), SHORTEST)
    assert isinstance(outcome, Decoded) and len(outcome.pixels) == SIDE * SIDE * 3


# -- reasons ----------------------------------------------------------------------------------------


def test_a_reason_is_one_short_sentence(tmp_path: Path) -> None:
    """It is shown in a list of thousands, and must say what a person can do something about."""
    files = {
        "text.jpg": b"dear diary",
        "phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "zeros.jpg": bytes(10_000),
        ".IMG_1.HEIC.icloud": b"bplist00\xd3\x01\x02\x03",
        "clip.heic": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        "notes.nef": b"dear diary",
        "half.dng": dng(Image.new("RGB", (64, 48)))[:6000],
        "empty.jpg": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.jpg").mkdir()
    reasons = {}
    for path in [*tmp_path.iterdir(), tmp_path / "absent.jpg"]:
        outcome = decode(os.fsencode(path), SHORTEST)
        assert isinstance(outcome, Failure), path
        reasons[path.name] = outcome.reason
    assert reasons == {
        "empty.jpg": "the file is empty: a copy that broke off, or a stand-in of a cloud service",
        "text.jpg": "it is not a picture in a known format",
        "phone.heic": "the file is cut short: a copy that broke off; fetch the original",
        "zeros.jpg": "it holds only zeros: a copy that broke off, or a stand-in of a cloud service; fetch the original",
        ".IMG_1.HEIC.icloud": "it is in iCloud and not on this machine; have Finder or Photos download it",
        "clip.heic": "it is a video, not a picture",
        "notes.nef": "the RAW file is cut short, or is none",
        "half.dng": "it is no RAW that this rawpy knows; run pip install -U rawpy and index again",
        "folder.jpg": "is a directory",
        "absent.jpg": "no such file or directory",
    }


def test_the_format_is_that_of_the_bytes_not_of_the_name(shared: Path) -> None:
    """Downloads are often misnamed; a document named .jpg is no picture."""
    data = shared / "data"
    assert picture_format(os.fsencode(data / "formats" / "really-a-webp.jpg")) == "WEBP"
    assert picture_format(os.fsencode(data / "hostile" / "postscript-named.jpg")) is None
    assert picture_format(os.fsencode(data / "formats" / "heic-8bit.heic")) == "HEIC"
    assert picture_format(os.fsencode(data / "formats" / "raw-synthetic.dng")) == "RAW"
    assert picture_format(b"/absent") is None


def test_another_reader_is_another_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade, or once an extra is there, the files that failed are tried again."""
    versions = {"pillow": "13.0.0"}

    def version(package: str) -> str:
        if package not in versions:
            raise PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(module, "version", version)
    seen = [decoder_identity()]
    for package, number in [
        ("pi-heif", "1.4"),
        ("rawpy", "0.28"),
        ("rawpy", "0.29"),
        ("pillow", "14"),
        ("pi-heif", "2"),
    ]:
        versions[package] = number
        seen.append(decoder_identity())
    assert len(set(seen)) == len(seen)


_READERS = """
import sys
from clipsearch.decoding.decode import decode
from tests.decoding.test_decode import SHORTEST, Decoded
for path in sys.argv[1:]:
    assert isinstance(decode(path.encode(), SHORTEST), Decoded), path
print(*sorted({"pi_heif", "rawpy", "defusedxml"} & set(sys.modules)))
"""


def test_readers_of_other_kinds_are_not_loaded_for_a_jpeg(shared: Path) -> None:
    """Each of the workers would load LibRaw and libheif for a folder that has neither kind."""
    formats = shared / "data" / "formats"

    def loaded(*names: str) -> str:
        command = [sys.executable, "-c", _READERS, *(str(formats / name) for name in names)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    assert loaded("exif-gps-offsettime.jpg", "png-rgb.png", "avif-8bit.avif", "tiff-none.tif") == ""
    assert loaded("heic-8bit.heic", "raw-synthetic.dng", "xmp-embedded.jpg") == "defusedxml pi_heif rawpy"
