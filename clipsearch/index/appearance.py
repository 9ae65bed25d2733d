"""What a picture looks like, in numbers small enough to keep: its main colours and a perceptual hash.

Knows pixels only. Both are taken from a tiny copy, so they cost next to nothing beside decoding.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from clipsearch.types import COLORS

_SIDE = 48  # px of the copy that colours are counted on
MAIN_SHARE = 0.12  # of the pixels, from which a colour is one that people would name
MAIN_COLORS = 4

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


def perceptual_hash(image: Image.Image) -> int:
    """64 bits as a signed integer; copies in another size or compression differ in few of them.

    The difference hash of N. Krawetz ("Kind of Like That", 2013): is each of 8 x 8 cells brighter than the next?
    """
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return int.from_bytes(bits.tobytes(), "big", signed=True)
