"""What a picture looks like, in numbers small enough to keep: its main colours and perceptual hashes.

Knows pixels only. Both are taken from a tiny copy, so they cost next to nothing beside decoding.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.types import COLORS

_SIDE = 48  # px of the copy that colours are counted on
MAIN_SHARE = 0.12  # of the pixels, from which a colour is one that people would name
MAIN_COLORS = 4

_HASHED_SIDE = 32  # px of the copy that is hashed
_COARSE, _FINE = 8, 16  # frequencies in each direction: 64 and 256 bits
_LEAST_CONTRAST = 1.5  # grey levels; below, the signs are those of noise (photos have 6 and more)

# Upper ends of hue in degrees on Pillow's circle of 256; above the last it is red again.
_HUES = ((15, "red"), (42, "orange"), (68, "yellow"), (170, "green"), (250, "blue"), (300, "purple"), (345, "pink"))


def main_colors(image: Image.Image) -> tuple[str, ...]:
    """The colours (of `types.COLORS`) that cover most of an RGB picture, the largest first."""
    small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX).convert("HSV"), np.int32).reshape(-1, 3)
    hue, saturation, value = small[:, 0] * 360 / 256, small[:, 1] / 255, small[:, 2] / 255
    named = np.full(len(small), COLORS.index("red"))
    for end, name in reversed(_HUES):
        named[hue < end] = COLORS.index(name)
    # Words depend on light and strength too: orange that is dark or pale is brown (wood, earth, skin), dark
    # yellow is the green of grass, pale red is pink, dark pink purple.
    warm = (hue >= 10) & (hue < 48)
    named[warm & ((value < 0.65) | (saturation < 0.5))] = COLORS.index("brown")
    named[(hue >= 48) & (hue < 68) & (value < 0.65)] = COLORS.index("green")
    named[((hue < 10) | (hue >= 345)) & (saturation < 0.5) & (value > 0.7)] = COLORS.index("pink")
    named[(hue >= 300) & (hue < 345) & (value < 0.45)] = COLORS.index("purple")
    # What has little colour or light is grey, white or black.
    named[saturation < 0.18] = COLORS.index("gray")
    named[(saturation < 0.12) & (value > 0.85)] = COLORS.index("white")
    named[value < 0.18] = COLORS.index("black")
    shares = np.bincount(named, minlength=len(COLORS)) / len(named)
    order = np.argsort(-shares, kind="stable")[:MAIN_COLORS]
    return tuple(COLORS[index] for index in order if shares[index] >= MAIN_SHARE)


def perceptual_hashes(image: Image.Image) -> tuple[int, bytes] | None:
    """(64 bits as a signed integer, 192 further bits), or None for a picture too plain to be told by its shape.

    Copies in another size or compression differ in few bits. These are the signs of the lowest frequencies of the
    brightness (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), without those
    of one direction alone: the sky is brighter than the ground in half of all photos. Coarse ones find, all
    256 prove: two receipts differ in as few as 3 of the coarse ones and in 34 of all (docs/duplicates.md).
    """
    small = np.asarray(image.convert("L").resize((_HASHED_SIDE, _HASHED_SIDE), Image.Resampling.BOX), np.float64)
    waves = _cosines()
    strengths = waves @ small @ waves.T
    if np.sqrt((strengths**2).sum() / _HASHED_SIDE**2) < _LEAST_CONTRAST:
        return None
    signs = strengths > 0
    coarse = np.packbits(signs[:_COARSE, :_COARSE])
    beyond = np.ones((_FINE, _FINE), np.bool_)
    beyond[:_COARSE, :_COARSE] = False
    return int.from_bytes(coarse.tobytes(), "big", signed=True), np.packbits(signs[beyond]).tobytes()


def _cosines() -> NDArray[np.float64]:
    """Rows 1 to 16 of the orthonormal cosine transform (DCT-II)."""
    frequency, place = np.arange(1, _FINE + 1)[:, None], np.arange(_HASHED_SIDE)[None]
    scale = math.sqrt(2 / _HASHED_SIDE)
    return np.asarray(scale * np.cos(np.pi * frequency * (2 * place + 1) / (2 * _HASHED_SIDE)))
