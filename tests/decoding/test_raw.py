"""RAW files: the camera's preview or the sensor's pixels, and which way is up."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from clipsearch.decoding import raw
from clipsearch.decoding.decode import decode
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.types import Decoded, Metadata
from tests.conftest import SAMPLES
from tests.support.dng import dng, jpeg, longs, text

SIDE = 64
PREPARE = Preprocess(ImageInput(SIDE, "squash", "bilinear", (0, 0, 0), (1, 1, 1)))
LARGE, SMALL = 4 * SIDE, 4 * SIDE - 2  # px of a preview's shorter side: will do, will not

Turn = Image.Transpose
# How a sensor lay when the file has this orientation: what turns an upright picture into what it saw.
LAY = {
    1: None, 2: Turn.FLIP_LEFT_RIGHT, 3: Turn.ROTATE_180, 4: Turn.FLIP_TOP_BOTTOM, 5: Turn.TRANSPOSE,
    6: Turn.ROTATE_90, 7: Turn.TRANSVERSE, 8: Turn.ROTATE_270,
}  # fmt: skip


@pytest.fixture(scope="module")
def upright() -> Image.Image:
    with Image.open(SAMPLES / "travel/2010-alaska/denali.webp") as picture:
        return picture.convert("RGB").resize((480, 320))


def lying(picture: Image.Image, orientation: int) -> Image.Image:
    turn = LAY[orientation]
    return picture if turn is None else picture.transpose(turn)


def preview(picture: Image.Image, shorter: int, exif: dict[int, object] | None = None) -> bytes:
    scale = shorter / min(picture.size)
    return jpeg(picture.resize((round(picture.width * scale), round(picture.height * scale))), exif)


def read(folder: Path, content: bytes, name: bytes = b"a.dng") -> tuple[NDArray[np.float64], Metadata]:
    path = os.path.join(os.fsencode(folder), name)
    with open(path, "wb") as file:
        file.write(content)
    outcome = decode(path, PREPARE)
    assert isinstance(outcome, Decoded), outcome
    return np.frombuffer(outcome.pixels, np.uint8).reshape(SIDE, SIDE, 3).astype(float), outcome.metadata


def likeness(pixels: NDArray[np.float64], picture: Image.Image) -> float:
    """Correlation of the brightness: a developed RAW is brighter than its picture, and not elsewhere."""
    wanted = np.asarray(picture.resize((SIDE, SIDE)), float).mean(axis=2)
    return float(np.corrcoef(pixels.mean(axis=2).ravel(), wanted.ravel())[0, 1])


@pytest.mark.parametrize("shorter", [None, LARGE, SMALL])
@pytest.mark.parametrize("orientation", LAY)
def test_the_container_says_which_way_is_up(
    tmp_path: Path, upright: Image.Image, orientation: int, shorter: int | None
) -> None:
    """A preview carries no orientation, or a wrong one, and LibRaw writes one into it: turned twice or never."""
    seen = lying(upright, orientation)
    lie = {0x0112: 3}
    content = dng(seen, orientation=orientation, preview=preview(seen, shorter, lie) if shorter else None)
    pixels, metadata = read(tmp_path, content)
    assert (metadata.width, metadata.height, metadata.format) == (480, 320, "RAW")
    assert likeness(pixels, upright) > 0.97
    wrong = [likeness(pixels, lying(upright, other)) for other in (2, 3, 4)]
    assert max(wrong) < 0.9, "a picture that looks the same when turned proves nothing"


def test_a_preview_that_was_turned_already_is_not_turned_again(tmp_path: Path, upright: Image.Image) -> None:
    """Some phones do: a portrait lying in the landscape of its sensor tells it."""
    portrait = upright.transpose(Turn.ROTATE_90)
    content = dng(lying(portrait, 6), orientation=6, preview=preview(portrait, LARGE))
    pixels, metadata = read(tmp_path, content)
    assert (metadata.width, metadata.height) == (320, 480)
    assert likeness(pixels, portrait) > 0.97


def test_a_preview_is_taken_where_it_is_large_enough(tmp_path: Path, upright: Image.Image) -> None:
    """Below four times the model's size its noise moves the vector; above, developing is time for nothing."""
    black = Image.new("RGB", upright.size)
    for shorter, shows_preview in [(LARGE, True), (SMALL, False)]:
        pixels, _ = read(tmp_path, dng(upright, preview=preview(black, shorter)))
        assert (pixels.max() < 10) == shows_preview


def test_a_small_sensor_is_developed_whole(
    tmp_path: Path, upright: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of 200 px is less than the model sees."""
    halves = []
    developed = raw._developed

    def spy(*arguments: object) -> Image.Image:
        image = developed(*arguments)  # type: ignore[arg-type]
        halves.append(image.size)
        return image

    monkeypatch.setattr(raw, "_developed", spy)
    for sides in [(480, 320), (300, 200)]:
        pixels, metadata = read(tmp_path, dng(upright.resize(sides)))
        assert (metadata.width, metadata.height) == sides
        assert likeness(pixels, upright) > 0.97
    assert halves == [(240, 160), (300, 200)]


def test_a_broken_preview_is_replaced_by_the_sensor(tmp_path: Path, upright: Image.Image) -> None:
    """The photo is whole; only the file's own thumbnail is not a picture."""
    good = preview(upright, LARGE)
    bad = dng(upright, preview=good).replace(good, b"no JPEG".ljust(len(good), b"."))
    pixels, _ = read(tmp_path, bad)
    assert likeness(pixels, upright) > 0.97


def test_what_the_camera_and_people_wrote_is_read_from_the_container(tmp_path: Path, upright: Image.Image) -> None:
    """A RAW without date and camera falls out of every filter; stars are given to RAWs first."""
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    )
    for shorter in (None, LARGE):
        content = dng(upright, preview=preview(upright, shorter) if shorter else None, xmp=packet)
        _, metadata = read(tmp_path, content)
        assert (metadata.taken_at, metadata.taken_ms, metadata.taken_offset) == ("2021-02-03T04:05:06", 780, "+02:00")
        assert (metadata.camera, metadata.rating) == ("ExampleCam Model R", 4)


def test_a_raw_is_read_whatever_its_name_is(tmp_path: Path, upright: Image.Image) -> None:
    """LibRaw takes names in UTF-8 only; a TIFF that is a DNG shows its thumbnail to who does not look."""
    content = dng(upright, preview=preview(upright, SMALL))
    for name in (b"caf\xe9.DNG", "Grüße 📷.dng".encode(), b"scan.tif", b"no ending"):
        pixels, metadata = read(tmp_path, content, name)
        assert (metadata.width, metadata.height, metadata.format) == (480, 320, "RAW")
        assert likeness(pixels, upright) > 0.97


def test_broken_metadata_leave_a_good_picture(tmp_path: Path, upright: Image.Image) -> None:
    """Pointers to nowhere, or back; LibRaw itself gives up on some, and the file is told as broken then."""
    for pointer in ({0x8825: longs(2**31)}, {0x8825: longs(8)}, {0x8769: longs(100_000)}, {700: longs(4)}):
        pixels, metadata = read(tmp_path, dng(upright, extra={**pointer, 272: text("\x1b[31mX")}))
        assert likeness(pixels, upright) > 0.97
        assert "\x1b" not in (metadata.camera or "")


def test_a_sensor_of_24_megapixels_is_developed_by_a_worker(tmp_path: Path) -> None:
    """A worker is granted memory once for a file: one that asked twice took every RAW without a preview for a crash."""
    (tmp_path / "a.dng").write_bytes(dng(Image.linear_gradient("L").resize((6000, 4000))))
    with DecodeWorkers(PREPARE, 1, time_limit_s=60) as workers:
        outcome = workers.submit(os.fsencode(tmp_path / "a.dng")).result()
    assert isinstance(outcome, Decoded), outcome
    assert (outcome.metadata.width, outcome.metadata.height) == (6000, 4000)
