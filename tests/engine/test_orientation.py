"""A photo's vector is that of what a viewer shows: upright, and nothing from under transparency."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.decoding.decode import decode
from clipsearch.engine.cards import read_card
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower
from clipsearch.types import Decoded


@cache
def tower() -> ImageTower:
    return ImageTower(read_card(STARTER_FOLDER))


def decoded(path: Path) -> Decoded:
    outcome = decode(os.fsencode(path), tower().prepare)
    assert isinstance(outcome, Decoded), outcome
    return outcome


def vectors(*paths: Path) -> np.ndarray:
    pixels = b"".join(decoded(path).pixels for path in paths)
    side = tower().prepare.size
    return tower().encode_pixels(np.frombuffer(pixels, np.uint8).reshape(-1, side, side, 3))


def sides(path: Path) -> tuple[int, int]:
    metadata = decoded(path).metadata
    return metadata.width, metadata.height


# How a camera stores an upright picture under each Exif orientation (Exif 2.32, tag 0x0112).
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED)
def test_eight_orientations_are_the_same_pixels(orientation: int, tmp_path: Path) -> None:
    """Every photo taken with the phone held upright would be found as if it lay on its side."""
    rows, columns = np.mgrid[:200, :300]
    upright = Image.fromarray(np.dstack([rows, columns * 255 // 299, (rows * columns) % 256]).astype(np.uint8))
    upright.save(tmp_path / "upright.png")
    stored = upright if STORED[orientation] is None else upright.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "stored.png", exif=exif)
    assert decoded(tmp_path / "stored.png").pixels == decoded(tmp_path / "upright.png").pixels
    assert sides(tmp_path / "stored.png") == (300, 200)


@pytest.mark.parametrize(("kind", "size"), [("Landscape", (600, 400)), ("Portrait", (400, 600))])
def test_eight_photos_of_cameras_are_one_picture(
    shared: Path, kind: str, size: tuple[int, int], tmp_path: Path
) -> None:
    """As above, with JPEGs as they are found. Each was compressed anew and bears a number, which the model reads."""
    paths = [shared / "data" / "formats" / f"{kind}_{number}.jpg" for number in range(1, 9)]
    first, *others = vectors(*paths)
    with Image.open(paths[0]) as upright:
        upright.rotate(90, expand=True).save(tmp_path / "lying.png")
    (lying,) = vectors(tmp_path / "lying.png")
    assert min(first @ other for other in others) > first @ lying + 0.02
    assert {sides(path) for path in paths} == {size}


ROTATED = [
    "avif-orientation-6.avif",
    "webp-exif-orientation-6.webp",
    "png-exif-orientation-6.png",
    "tiff-orientation-6.tif",
    "exif-orientation-6-as-long.jpg",
    "exif-orientation-6-thumbnail.jpg",
]


@pytest.mark.parametrize("name", ROTATED)
def test_each_format_is_turned_once(shared: Path, name: str, tmp_path: Path) -> None:
    """AVIF is turned by its decoder, PNG and WebP by nobody: one is turned twice, the others never."""
    path = shared / "data" / "formats" / name
    assert sides(path) == (240, 360)
    with Image.open(shared / "data" / "photos" / "budgie-cc0" / "perched-osprey.jpg") as photo:
        left = int(photo.width * 0.38) - photo.height // 3  # the crop that make_formats.py took
        upright = photo.crop((left, 0, left + int(photo.height * 2 / 3), photo.height)).resize((240, 360))
    upright.save(tmp_path / "upright.png")
    upright.rotate(90, expand=True).save(tmp_path / "lying.png")
    found, expected, lying = vectors(path, tmp_path / "upright.png", tmp_path / "lying.png")
    assert found @ expected >= 0.97
    assert found @ lying < 0.97


def test_colours_under_full_transparency_do_not_count(tmp_path: Path) -> None:
    """Editors leave anything there: a logo would be found as the photo it was cut from."""
    noise = np.random.default_rng(3).integers(0, 256, (180, 320, 3), np.uint8)
    rows, columns = np.mgrid[:180, :320]
    visible = ((rows - 90) / 80) ** 2 + ((columns - 160) / 150) ** 2 < 1
    for name, hidden in (("black", np.zeros_like(noise)), ("noise", noise)):
        colours = np.where(visible[..., None], (200, 120, 40), hidden).astype(np.uint8)
        Image.fromarray(np.dstack([colours, np.where(visible, 255, 0).astype(np.uint8)])).save(tmp_path / f"{name}.png")
    assert (tmp_path / "black.png").read_bytes() != (tmp_path / "noise.png").read_bytes()
    assert decoded(tmp_path / "black.png").pixels == decoded(tmp_path / "noise.png").pixels
    black, noisy = vectors(tmp_path / "black.png", tmp_path / "noise.png")
    assert np.array_equal(black, noisy)


@pytest.mark.parametrize("name", ["png-rgba.png", "webp-alpha.webp", "tiff-rgba.tif"])
def test_a_transparent_photo_equals_itself_on_white(shared: Path, name: str, tmp_path: Path) -> None:
    """What a viewer shows is what must be found."""
    path = shared / "data" / "formats" / name
    with Image.open(path) as image:
        assert image.mode == "RGBA"
        colours = image.convert("RGBA")
    white = Image.new("RGB", colours.size, "white")
    white.paste(colours, mask=colours.getchannel("A"))
    white.save(tmp_path / "white.png")
    colours.convert("RGB").save(tmp_path / "bare.png")
    found, expected, bare = vectors(path, tmp_path / "white.png", tmp_path / "bare.png")
    assert found @ expected >= 0.999
    assert found @ bare < 0.999
