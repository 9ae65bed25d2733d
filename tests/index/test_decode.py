"""Every file of the field: what must open does, what must not is a reason, and nothing else dies of it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.index import decode as module
from clipsearch.index.decode import decode, decoder_identity, picture_format
from clipsearch.index.worker import MEMORY_LIMIT_BYTES
from clipsearch.index.workers import DecodeWorkers
from clipsearch.types import Decoded, Failure

SIDE = 64
SHORTEST = Preprocess(ImageInput(SIDE, "shortest", "bicubic", (0, 0, 0), (1, 1, 1)))
WHOLE = Preprocess(ImageInput(SIDE, "squash", "bilinear", (0, 0, 0), (1, 1, 1)))

NOT_TAKEN_ON = {".dds", ".ico", ".icns", ".pcx", ".sgi", ".tga", ".qoi"}  # no photos; each opener is a risk


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "expected.tsv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def decoded_all(folder: Path, rows: list[dict[str, str]]) -> list[Decoded | Failure]:
    with DecodeWorkers(SHORTEST, 2, time_limit_s=10) as workers:
        return list(workers.decode_all([os.fsencode(folder / row["file"]) for row in rows]))


def picture(path: Path) -> NDArray[np.int16]:
    """Height x width x 3, squashed, so that pictures of different sizes can be compared."""
    outcome = decode(os.fsencode(path), WHOLE)
    assert isinstance(outcome, Decoded), (path, outcome)
    return np.frombuffer(outcome.pixels, np.uint8).reshape(SIDE, SIDE, 3).astype(np.int16)


def difference(one: NDArray[np.int16], two: NDArray[np.int16]) -> float:
    return float(np.abs(one - two).mean())


def grey(pixels: NDArray[np.int16]) -> NDArray[np.int16]:
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    return np.repeat(luma[..., None], 3, axis=2).astype(np.int16)


def test_every_format_of_the_field_opens_with_its_size_or_says_why_not(shared: Path) -> None:
    """A whole folder of an odd camera's photos must not be missing."""
    folder = shared / "data" / "formats"
    rows = table(folder)
    assert len(rows) > 140
    wrong = []
    for row, outcome in zip(rows, decoded_all(folder, rows), strict=True):
        should = row["should_open"]
        if Path(row["file"]).suffix in NOT_TAKEN_ON or should == "no":
            right = outcome == Failure("it is not a picture in a known format")
        elif isinstance(outcome, Decoded):
            size = (str(outcome.metadata.width), str(outcome.metadata.height))
            right = size == (row["width"], row["height"]) and len(outcome.pixels) == SIDE * SIDE * 3
        else:
            right = should.startswith("optional") and bool(outcome.reason)
        if not right:
            wrong.append((row["file"], should, outcome if isinstance(outcome, Failure) else outcome.metadata))
    assert wrong == []


_HOSTILE = """
import os, resource, sys
from pathlib import Path
from clipsearch.types import Decoded
from tests.index.test_decode import decoded_all, table
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
    assert difference(picture(folder / name), picture(folder / upright)) < 12


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
    one, two = picture(folder / name), picture(folder / like)
    assert difference(one, two) < limit
    assert np.abs(one.mean(axis=(0, 1)) - two.mean(axis=(0, 1))).max() < limit


def test_a_colour_profile_is_applied(shared: Path) -> None:
    """Without its profile this lake is pink: red above green. With it, the order is that of the lake."""
    folder = shared / "data" / "formats"
    means = [picture(folder / name).mean(axis=(0, 1)) for name in ("icc-swapped-channels.jpg", "jpeg-baseline-444.jpg")]
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
    assert difference(picture(folder / name), grey(picture(folder / "png-rgb.png"))) < 4


def test_what_is_transparent_is_white(shared: Path) -> None:
    """Colours hidden under alpha 0 are in no viewer, and must not be found."""
    folder = shared / "data" / "formats"
    for name in ("png-rgba.png", "tiff-rgba.tif", "webp-alpha.webp"):
        corner = picture(folder / name)[0, 0]
        assert corner.min() >= 250, name
    assert (picture(folder / "tiny-1x1.png") == 255).all()


def test_scaled_decoding_shows_what_full_decoding_shows(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`draft` makes indexing four times faster; it must not move the vectors."""
    path = sorted((shared / "data" / "formats").glob("jpeg-baseline-4*.jpg"))
    assert len(path) == 2
    for each in path:
        scaled = picture(each)
        with monkeypatch.context() as patch:
            patch.setattr(module, "DRAFT_FACTOR", 100)
            full = picture(each)
        assert not np.array_equal(scaled, full), "draft had no effect, so nothing was compared"
        assert difference(scaled, full) < 2


@pytest.mark.parametrize("name", ["panorama-12000x200.jpg", "tall-150x9000.jpg", "tiny-1x1.jpg", "tiny-3x1.jpg"])
def test_extreme_shapes_give_a_whole_square_of_pixels(shared: Path, name: str) -> None:
    """A short row of pixels would shift all photos after it in the batch."""
    outcome = decode(os.fsencode(shared / "data" / "formats" / name), SHORTEST)
    assert isinstance(outcome, Decoded) and len(outcome.pixels) == SIDE * SIDE * 3


# -- reasons ----------------------------------------------------------------------------------------


def test_a_reason_is_one_short_sentence(tmp_path: Path) -> None:
    """It is shown in a list of thousands, and must say what a person can do something about."""
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("dear diary")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "folder.jpg").mkdir()
    reasons = {}
    for path in [*tmp_path.iterdir(), tmp_path / "absent.jpg"]:
        outcome = decode(os.fsencode(path), SHORTEST)
        assert isinstance(outcome, Failure)
        reasons[path.name] = outcome.reason
    assert reasons == {
        "empty.jpg": "the file is empty",
        "text.jpg": "it is not a picture in a known format",
        "phone.heic": "HEIC pictures cannot be read by this version",
        "folder.jpg": "is a directory",
        "absent.jpg": "no such file or directory",
    }


def test_the_format_is_that_of_the_bytes_not_of_the_name(shared: Path) -> None:
    """Downloads are often misnamed; a document named .jpg is no picture."""
    data = shared / "data"
    assert picture_format(os.fsencode(data / "formats" / "really-a-webp.jpg")) == "WEBP"
    assert picture_format(os.fsencode(data / "hostile" / "postscript-named.jpg")) is None
    assert picture_format(b"/absent") is None


def test_another_pillow_is_another_decoder() -> None:
    """After an upgrade the files that failed are tried again."""
    from PIL import __version__

    assert decoder_identity().endswith(f"pillow-{__version__}")
