"""Upright RGB picture -> pixels at the model's size -> the float tensor a tower reads, as the card says.

The definition is torchvision's for PIL images (Resize, CenterCrop), which OpenCLIP's transforms call.
Pillow is handed in with the picture; numpy is imported where the tensor is made, so that a decode
worker needs Pillow only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipsearch.engine.cards import ImageInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

# A thinner picture is cropped to this ratio before it is scaled: the centre crop sees a 1:1 window only, and
# 1 x 65,500 px would be scaled to 224 x 14,672,000 (9.9 GB) first.
_WIDEST_RATIO = 16


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Callable and picklable: it runs in decode workers, which know nothing of models."""

    definition: ImageInput

    @property
    def size(self) -> int:
        return self.definition.size

    def __call__(self, image: Image) -> bytes:
        """`image` in mode RGB -> uint8 RGB bytes, size x size x 3, rows from the top."""
        cropped = self._cropped(image)
        if self.definition.soften:
            from PIL import ImageFilter

            cropped = cropped.filter(ImageFilter.GaussianBlur(self.definition.soften))
        return cropped.tobytes()

    def _cropped(self, image: Image) -> Image:
        from PIL.Image import Resampling

        side = self.definition.size
        resampling = Resampling.BICUBIC if self.definition.interpolation == "bicubic" else Resampling.BILINEAR
        if self.definition.resize == "squash":
            return image.resize((side, side), resampling)
        image = bounded_ratio(image)
        width, height = shortest_to(image.size, side)
        scaled = image.resize((width, height), resampling)
        # torchvision rounds half to even, where others truncate: 227 -> 224 starts at 2, not 1.
        left, top = round((width - side) / 2), round((height - side) / 2)
        return scaled.crop((left, top, left + side, top + side))

    def tensor(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (n, s, s, 3) -> normalised float32 (n, 3, s, s)."""
        import numpy as np

        mean, std = (
            np.array(triple, np.float32)[:, None, None] for triple in (self.definition.mean, self.definition.std)
        )
        tensor = np.empty((len(pixels), 3, self.size, self.size), np.float32)
        # One picture at a time, which stays in the processor's cache: a batch at once takes six times as long.
        for picture, planes in zip(pixels, tensor, strict=True):
            np.divide(picture.transpose(2, 0, 1), np.float32(255), out=planes)
            planes -= mean
            planes /= std
        return tensor


def shortest_to(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) with the shorter one `side`."""
    # torchvision's _compute_resized_output_size truncates the long side.
    width, height = size
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def bounded_ratio(image: Image) -> Image:
    """The middle of a picture that is too thin to be scaled whole; else the picture itself."""
    width, height = image.size
    if width > _WIDEST_RATIO * height:
        left = (width - _WIDEST_RATIO * height) // 2
        return image.crop((left, 0, left + _WIDEST_RATIO * height, height))
    if height > _WIDEST_RATIO * width:
        top = (height - _WIDEST_RATIO * width) // 2
        return image.crop((0, top, width, top + _WIDEST_RATIO * width))
    return image
