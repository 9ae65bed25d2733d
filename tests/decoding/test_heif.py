"""HEIC: turned by its decoder, once, and metadata as in any other photo."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.decoding.decode import decode
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.types import Decoded, Metadata

SIDE = 64
PREPARE = Preprocess(ImageInput(SIDE, "squash", "bilinear", (0, 0, 0), (1, 1, 1)))


def read(path: Path) -> tuple[NDArray[np.float64], Metadata]:
    outcome = decode(os.fsencode(path), PREPARE)
    assert isinstance(outcome, Decoded), outcome
    return np.frombuffer(outcome.pixels, np.uint8).reshape(SIDE, SIDE, 3).astype(float), outcome.metadata


@pytest.fixture(scope="module")
def turned(shared: Path) -> Path:
    """A portrait: its `irot` box turns it by 270 degrees, and its EXIF asks for a turn too."""
    return shared / "data" / "formats" / "heic-orientation-6-irot.heic"


TURNS = {
    b"irot\x00": lambda upright: np.rot90(upright, 1),  # as the sensor saw it
    b"irot\x01": lambda upright: np.rot90(upright, 2),
    b"irot\x02": lambda upright: np.rot90(upright, 3),
    b"irot\x03": lambda upright: upright,
    b"imir\x00": lambda upright: np.flipud(np.rot90(upright, 1)),
    b"imir\x01": lambda upright: np.fliplr(np.rot90(upright, 1)),
}


@pytest.mark.parametrize("box", TURNS)
def test_the_container_turns_and_exif_does_not(tmp_path: Path, turned: Path, box: bytes) -> None:
    """EXIF in a HEIC repeats what was done already (immich #27771): each phone's portrait would lie on its side."""
    content = turned.read_bytes()
    assert content.count(b"irot\x03") == 1
    (tmp_path / "a.heic").write_bytes(content.replace(b"irot\x03", box))
    pixels, metadata = read(tmp_path / "a.heic")
    upright, _ = read(turned)
    wanted = TURNS[box](upright)
    assert np.abs(pixels - wanted).mean() < 3
    is_portrait = box in (b"irot\x01", b"irot\x03")
    assert (metadata.width, metadata.height) == ((240, 360) if is_portrait else (360, 240))
    assert metadata.format == "HEIC"


def test_a_heic_shows_what_its_jpeg_shows(shared: Path) -> None:
    """The first of two pictures, 10 bits, and what is transparent."""
    formats = shared / "data" / "formats"
    wanted, _ = read(formats / "png-rgb.png")
    for name in ("heic-8bit.heic", "heic-10bit.heif", "heic-two-images.heic"):
        assert np.abs(read(formats / name)[0] - wanted).mean() < 4, name
    corner = read(formats / "heic-alpha.heic")[0][0, 0]
    assert corner.min() >= 245


def test_a_heic_is_known_by_its_bytes(shared: Path, tmp_path: Path) -> None:
    """Phones name it .jpg when it is sent, and a name need not be UTF-8."""
    content = (shared / "data" / "formats" / "heic-8bit.heic").read_bytes()
    for name in (b"sent.jpg", b"caf\xe9.heic"):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(content)
        assert isinstance(decode(path, PREPARE), Decoded)


def test_the_date_and_the_camera_are_read(turned: Path) -> None:
    """Half of a family's photos would have no date."""
    _, metadata = read(turned)
    assert (metadata.taken_at, metadata.taken_offset) == ("2022-02-03T04:05:06", "-05:00")
    assert metadata.camera == "ExampleCam"
