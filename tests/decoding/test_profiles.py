"""Colour profiles: what is sRGB by another name is left alone, everything else is shown as a viewer shows it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from clipsearch.decoding.profiles import in_srgb

COLORS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def embedded(path: Path) -> tuple[Image.Image, bytes]:
    with Image.open(os.fspath(path)) as image:
        return image.convert("RGB"), image.info["icc_profile"]


def test_a_profile_that_is_srgb_costs_nothing(shared: Path) -> None:
    """Half of all photos say that they are sRGB; converting their pixels took a fifth of a photo's time."""
    assert in_srgb(COLORS, SRGB) is COLORS
    picture, profile = embedded(shared / "data" / "photos" / "japanese-shop-night.jpg")  # "sRGB IEC61966-2.1"
    assert in_srgb(picture, profile) is picture


@pytest.mark.parametrize("name", ["icc-p3.jpg", "icc-adobe-rgb.jpg", "icc-swapped-channels.jpg"])
def test_any_other_profile_is_converted_as_littlecms_does(shared: Path, name: str) -> None:
    """A kept transform must be that of this photo's profile, not of the one before."""
    picture, profile = embedded(shared / "data" / "formats" / name)
    converted = in_srgb(picture, profile)
    assert not np.array_equal(converted, picture)
    expected = ImageCms.profileToProfile(
        picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert expected is not None and np.array_equal(converted, expected)


def test_a_grey_picture_keeps_its_shades_where_its_profile_has_others() -> None:
    """A transform that changes nothing is looked for among colours only: grey has profiles of its own."""
    grey = COLORS.convert("L")
    assert in_srgb(grey, SRGB).mode == "L"  # a profile of colours does not fit grey pixels: the bare ones are shown


def test_a_broken_profile_shows_the_bare_colours() -> None:
    """Viewers do the same; a photo must not be lost for it."""
    assert in_srgb(COLORS, b"no profile") is COLORS
    assert in_srgb(COLORS, SRGB[:200]) is COLORS
