"""Pixels in the colours of an embedded profile -> sRGB, as a viewer shows them.

Knows Pillow's colour management only. Transforms are kept: photos of one camera carry the same profile.
"""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms

_GRID = 17  # steps of each channel on which a transform is tried
_ALIKE = 1  # grey levels; the profiles that cameras call sRGB differ from it by so much, Display P3 by 100


def in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """`image` in RGB, L or CMYK; the same picture where the profile is broken, or sRGB by another name."""
    try:
        transform = _to_srgb(profile, image.mode)
        if transform is None:
            return image
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):  # a broken profile: viewers show the bare colours too
        return image
    return image if converted is None else converted


def lab_in_srgb(image: Image.Image) -> Image.Image:
    """CIELAB pixels, which need no profile."""
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    return image.convert("RGB") if converted is None else converted


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where it would change nothing: most photos are sRGB and say so, and would pay 11 ms of 50 for it."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    return None if mode == "RGB" and _changes_nothing(transform) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    steps = [round(255 * step / (_GRID - 1)) for step in range(_GRID)]
    colors = bytes(channel for red in steps for green in steps for blue in steps for channel in (red, green, blue))
    grid = Image.frombytes("RGB", (_GRID * _GRID, _GRID), colors)
    converted = ImageCms.applyTransform(grid, transform)
    if converted is None:
        return False
    return all(abs(one - other) <= _ALIKE for one, other in zip(colors, converted.tobytes(), strict=True))
