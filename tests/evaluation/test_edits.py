"""Each edit changes pixels in the way it is named after, and in no other."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.decoding.decode import decode
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.evaluation.edits import Edited, Together, as_it_lies, grey, recompressed, sampled, swapped
from clipsearch.types import Decoded

SIDE = 8
CARD = ImageInput(SIDE, "shortest", "bicubic", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
SQUASH = ImageInput(SIDE, "squash", "bicubic", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def pixels(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8).reshape(-1, SIDE, SIDE, 3)


def noise(width: int = 64, height: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def test_blue_and_red_change_places_and_green_stays() -> None:
    assert swapped(Image.new("RGB", (2, 2), (10, 20, 30))).getpixel((0, 0)) == (30, 20, 10)
    plain, other = (pixels(Edited(CARD, edit)(noise()))[0] for edit in (lambda image: image, swapped))
    assert np.array_equal(other, plain[..., ::-1]) and not np.array_equal(other, plain)


def test_grey_is_the_luma_of_each_pixel() -> None:
    """ITU-R 601: 0.299 red, 0.587 green, 0.114 blue."""
    assert grey(Image.new("RGB", (1, 1), (200, 100, 50))).getpixel((0, 0)) == (124, 124, 124)


def test_a_lower_quality_is_farther_from_the_photo() -> None:
    photo = noise().resize((128, 128), Image.Resampling.BICUBIC)
    far = [np.abs(np.asarray(recompressed(photo, q), np.int16) - np.asarray(photo)).mean() for q in (90, 75, 50, 30)]
    assert far[0] > 0 and far == sorted(far)
    assert recompressed(photo, 30).size == photo.size


def test_without_antialiasing_what_lies_between_is_not_seen() -> None:
    """One bright column in eight: averaged it is a dim grey, sampled it is all or nothing."""
    columns = np.zeros((64, 64, 3), np.uint8)
    columns[:, ::8] = 255
    photo = Image.fromarray(columns)
    averaged = pixels(Preprocess(CARD)(photo))[0]
    assert 20 < averaged.mean() < 45
    for by in ("nearest", "bilinear", "bicubic"):
        found = pixels(Preprocess(CARD)(sampled(photo, CARD, by)))[0]  # type: ignore[arg-type]
        assert not found.any(), by  # the middle of each eight is dark
    shifted = Image.fromarray(np.roll(columns, 4, axis=1))
    assert (pixels(Preprocess(CARD)(sampled(shifted, CARD, "nearest")))[0] == 255).all()


@pytest.mark.parametrize("size", [(64, 40), (40, 64), (640, 9)])
def test_sampling_sees_the_same_part_of_a_photo(size: tuple[int, int]) -> None:
    """Another crop would be counted as harm of the resampling."""
    ramp = np.linspace(0, 255, size[0], dtype=np.uint8)[None, :, None].repeat(size[1], 0).repeat(3, 2)
    photo = Image.fromarray(np.ascontiguousarray(ramp))
    for card in (CARD, SQUASH):
        plain = pixels(Preprocess(card)(photo))[0].astype(int)
        other = pixels(Preprocess(card)(sampled(photo, card, "bilinear")))[0].astype(int)
        assert np.abs(plain - other).max() <= 6
        assert max(sampled(photo, card, "nearest").size) <= 16 * SIDE  # a thin one would take gigabytes


def test_several_preparations_are_of_one_picture() -> None:
    made = pixels(Together((Preprocess(CARD), Edited(CARD, swapped)), SIDE)(noise()))
    assert len(made) == 2 and np.array_equal(made[0], made[1][..., ::-1])


def upright(path: Path) -> np.ndarray:
    outcome = decode(os.fsencode(path), Preprocess(CARD))
    assert isinstance(outcome, Decoded)
    return pixels(outcome.pixels)[0]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_photo_that_was_held_sideways_lies_on_its_side(tmp_path: Path, form: str) -> None:
    """Red on the left in the file; turned by 90 degrees as EXIF says, red is on top."""
    stored = Image.new("RGB", (32, 32), (0, 0, 255))
    stored.paste((255, 0, 0), (0, 0, 16, 32))
    exif = stored.getexif()
    exif[0x0112] = 6
    path = tmp_path / f"photo.{form.lower()}"
    stored.save(path, form, exif=exif)
    turned = upright(path)
    assert turned[0, 0, 0] > 200 > 50 > turned[-1, 0, 0] and turned[0, -1, 0] > 200
    found = as_it_lies(os.fsencode(path), Preprocess(CARD), "turn")
    assert found is not None
    lying = pixels(found)[0]
    assert lying[0, 0, 0] > 200 > 50 > lying[0, -1, 0] and lying[-1, 0, 0] > 200
    assert as_it_lies(os.fsencode(path), Preprocess(CARD), "profile") is None


def test_bare_colours_are_those_of_the_file(shared: Path) -> None:
    """Its profile swaps two channels: the file holds the colours of another picture."""
    path = shared / "data" / "formats" / "icc-swapped-channels.jpg"
    found = as_it_lies(os.fsencode(path), Preprocess(CARD), "profile")
    assert found is not None
    with Image.open(path) as stored:
        stored.draft(None, (2 * SIDE, 2 * SIDE))
        bare = pixels(Preprocess(CARD)(stored.convert("RGB")))[0].astype(int)
    assert np.array_equal(pixels(found)[0], bare)
    assert np.abs(upright(path) - bare).mean() > 10
    assert as_it_lies(os.fsencode(path), Preprocess(CARD), "turn") is None


def test_what_does_not_open_is_left_as_it_is(tmp_path: Path) -> None:
    for name, content in (("text.jpg", b"no photo"), ("empty.jpg", b"")):
        (tmp_path / name).write_bytes(content)
        assert as_it_lies(os.fsencode(tmp_path / name), Preprocess(CARD), "turn") is None
    plain = io.BytesIO()
    noise().save(plain, "JPEG")
    (tmp_path / "plain.jpg").write_bytes(plain.getvalue())
    assert as_it_lies(os.fsencode(tmp_path / "plain.jpg"), Preprocess(CARD), "turn") is None
