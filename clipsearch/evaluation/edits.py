"""Pictures as other programs would hand them to a model: each function does one thing wrongly, or otherwise.

They run in decode workers, ahead of the model's own preprocessing, which is left as it is.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image
from PIL.Image import Resampling, Transform

from clipsearch.decoding.decode import DRAFT_FACTOR, FORMATS, decode_picture, draft
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess, bounded_ratio, shortest_to
from clipsearch.types import Decoded, Failure, Prepare

Edit = Callable[[Image.Image], Image.Image]
_ORIENTATION = 0x0112  # Exif 2.32, table 4
_TURNED_BY = ("exif", "xmp", "XML:com.adobe.xmp")  # Pillow's names of what may say how a photo was held
_PROFILED_BY = ("icc_profile",)


@dataclass(frozen=True, slots=True)
class Edited:
    """The model's preprocessing of an edited picture. Satisfies types.Prepare."""

    definition: ImageInput
    edit: Edit  # picklable

    @property
    def size(self) -> int:
        return self.definition.size

    def __call__(self, image: Image.Image) -> bytes:
        return Preprocess(self.definition)(self.edit(image))


@dataclass(frozen=True, slots=True)
class Together:
    """Several preparations of one decoded picture, one after the other. Satisfies types.Prepare."""

    prepares: tuple[Prepare, ...]
    size: int  # px; the picture is decoded to at least twice that, where that is less than all of it

    def __call__(self, image: Image.Image) -> bytes:
        return b"".join(prepare(image) for prepare in self.prepares)


def swapped(image: Image.Image) -> Image.Image:
    """Blue where red was: what OpenCV reads, unless it is told."""
    red, green, blue = image.split()
    return Image.merge("RGB", (blue, green, red))


def grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    """Saved as a JPEG and read again, by Pillow's own settings."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def sampled(image: Image.Image, definition: ImageInput, by: Literal["nearest", "bilinear", "bicubic"]) -> Image.Image:
    """At the model's size, each pixel from its nearest ones alone: without antialiasing, as OpenCV's resize and
    PyTorch's interpolate do it by default. Preprocessing finds nothing left to scale."""
    side = definition.size
    if definition.resize == "squash":
        size = side, side
    else:
        image = bounded_ratio(image)
        size = shortest_to(image.size, side)
    return image.transform(size, Transform.EXTENT, (0, 0, *image.size), Resampling[by.upper()])


def as_it_lies(path: bytes, prepare: Prepare, ignored: Literal["turn", "profile"]) -> bytes | None:
    """Pixels of a photo whose EXIF turn or colour profile is not looked at; None where it has none, or does not open.

    In this process, of photos that a worker has read. HEIC, RAW and TIFF are turned by what decodes them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in decode
        try:
            with Image.open(os.fsdecode(path), formats=FORMATS) as opened:
                if not (_is_turned(opened) if ignored == "turn" else opened.info.get("icc_profile")):
                    return None
            with Image.open(os.fsdecode(path), formats=FORMATS) as opened:  # anew: what was asked of EXIF is copied
                draft(opened, DRAFT_FACTOR * prepare.size)
                bare = opened.copy()
                bare.format = opened.format  # which tells whether it is scaled otherwise than by `draft`
        except Exception:  # as in decode: broken metadata in a good picture raises any of half a dozen kinds
            return None
    for name in _TURNED_BY if ignored == "turn" else _PROFILED_BY:
        bare.info.pop(name, None)
    outcome: Decoded | Failure = decode_picture(bare, prepare)
    return outcome.pixels if isinstance(outcome, Decoded) else None


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
