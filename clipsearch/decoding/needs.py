"""How much memory a picture will take, by its header, before anything is decoded.

Estimates only; budget.py decides when so much may be taken.
"""

from __future__ import annotations

from PIL import Image, JpegImagePlugin

# Bytes a pixel at the peak, by mode, measured with 24 megapixels each (address space; RGB on its side, for turning
# makes a copy). All others have a palette or transparency, which take copies in RGBA.
_BYTES_A_PIXEL = {"1": 7, "L": 7, "I;16": 11, "I": 11, "F": 11, "RGB": 10, "CMYK": 10, "LAB": 10, "YCbCr": 10}
_BYTES_A_PIXEL_LAYERED = 24
_BYTES_A_PIXEL_MORE = {"WEBP": 8, "JPEG2000": 12}  # for what their decoders keep beside the picture
_BYTES_A_ROW = 28


def scan_buffers(image: Image.Image) -> int:
    """Bytes in which a progressive JPEG collects its scans: two a coefficient, all of them."""
    if not (isinstance(image, JpegImagePlugin.JpegImageFile) and image.info.get("progressive")):
        return 0
    factors = [(across, down) for _, across, down, _ in image.layer if across and down]
    most_across, most_down = (max(sides) for sides in zip(*factors, strict=True)) if factors else (1, 1)
    coefficients = sum(across * down for across, down in factors) / (most_across * most_down)
    return int(2 * image.width * image.height * coefficients)


def pixel_bytes(image: Image.Image) -> int:
    mode = "I;16" if image.mode.startswith("I;16") else image.mode  # it has three orders of bytes
    each = _BYTES_A_PIXEL.get(mode, _BYTES_A_PIXEL_LAYERED)
    if "transparency" in image.info:
        each = _BYTES_A_PIXEL_LAYERED
    each += _BYTES_A_PIXEL_MORE.get(image.format or "", 0)
    return image.width * image.height * each + image.height * _BYTES_A_ROW
