"""RAW files through LibRaw, for those who installed the extra; loaded when the first such file comes.

The camera's own preview is taken where it is large enough: it is what the photographer saw, and costs a JPEG.
Which way is up, the container says. A preview repeats it, contradicts it or is silent (immich #12720).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from clipsearch.decoding.kinds import Kind, Unreadable, extra_missing

if TYPE_CHECKING:
    from rawpy import ImageSizes, RawPy

PACKAGE = "rawpy"
# A preview has been compressed once more. At four times the model's side, twice what is asked, and quality 90 the
# vector stays near that of the whole photo: 0.990, 0.998 in the mean (ViT-B/16, benchmarks/formats.py).
PREVIEW_FACTOR = 2

_BYTES_A_PIXEL = 14  # while developing: two as read, four times two as colours, and what comes out

_EXIF_IFD, _GPS_IFD, _XMP = 0x8769, 0x8825, 700
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")  # the last are Olympus and Panasonic
# LibRaw's flip is three bits: mirrored left to right, top to bottom, and then about the diagonal.
_ORIENTATIONS = (1, 2, 4, 3, 5, 8, 6, 7)  # of Exif, by flip


@dataclass(frozen=True, slots=True)
class RawPicture:
    """A picture as the sensor lies; `orientation` (Exif's) turns it."""

    image: Image.Image  # the camera's preview, not decoded yet, or pixels of the sensor
    is_developed: bool  # the latter
    size: tuple[int, int]  # px of the photo, not of `image`, but turned as that is
    orientation: int
    exif: Image.Exif | None
    xmp: bytes | None


def read_raw(path: bytes, least: int, admit: Callable[[int], object]) -> RawPicture:
    """`least` is the shorter side in px that is wanted of pixels without noise. Raises Unreadable.

    `admit` is told what developing takes (bytes) before it begins, as in decode.py.
    """
    try:
        import rawpy
    except ImportError:
        raise extra_missing(Kind.RAW) from None
    exif = _exif(path)
    try:
        with rawpy.RawPy() as raw:
            try:
                raw.open_file(path.decode("utf-8"))
            except UnicodeDecodeError:
                with open(path, "rb") as handle:  # LibRaw takes names in UTF-8 only
                    raw.open_buffer(handle)
            sizes = raw.sizes  # before developing, which halves them
            size, orientation = _framed(sizes), _ORIENTATIONS[sizes.flip & 7]
            image = _preview(raw)
            is_developed = image is None or min(image.size) < min(PREVIEW_FACTOR * least, sizes.width, sizes.height)
            if image is None or is_developed:
                admit(sizes.raw_width * sizes.raw_height * _BYTES_A_PIXEL)
                image = _developed(raw, sizes, least)
            elif orientation > 4 and (image.width - image.height) * (sizes.width - sizes.height) < 0:
                size, orientation = (
                    size[::-1],
                    1,
                )  # a portrait in a landscape's file: this camera turned its preview already
    except rawpy.LibRawFileUnsupportedError:
        raise Unreadable("it is no RAW that this rawpy knows; run pip install -U rawpy and index again") from None
    except rawpy.LibRawIOError:  # the end of the file where more was promised
        raise Unreadable("the RAW file is cut short, or is none") from None
    except rawpy.LibRawError as error:
        text = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise Unreadable(f"its RAW data are broken ({text})") from error
    if exif is None:  # Fuji's and Canon's CR3 are no TIFFs; what LibRaw knows of them it writes into the preview
        exif = image.getexif()
    xmp = exif.get(_XMP) or image.info.get("xmp")
    return RawPicture(image, is_developed, size, orientation, exif, xmp if isinstance(xmp, bytes) else None)


def _preview(raw: RawPy) -> Image.Image | None:
    import rawpy

    try:
        thumbnail = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if not isinstance(thumbnail.data, bytes):  # pixels, and no JPEG
        return Image.fromarray(thumbnail.data)
    try:
        return Image.open(io.BytesIO(thumbnail.data), formats=("JPEG",))
    except UnidentifiedImageError:
        return None


def _developed(raw: RawPy, sizes: ImageSizes, least: int) -> Image.Image:
    """The sensor's pixels. At half the size four of them make one, and nothing is guessed: ten times as fast."""
    is_half_enough = min(sizes.width, sizes.height) // 2 >= least
    pixels = raw.postprocess(half_size=is_half_enough, use_camera_wb=True, user_flip=0)
    return Image.fromarray(pixels)


def _framed(sizes: ImageSizes) -> tuple[int, int]:
    """Without the rim of the sensor that the camera does not show, where the file says so."""
    if 0 < sizes.crop_width <= sizes.width and 0 < sizes.crop_height <= sizes.height:
        return sizes.crop_width, sizes.crop_height
    return sizes.width, sizes.height


def _exif(path: bytes) -> Image.Exif | None:
    """Of the container, where it is a TIFF in all but its magic number."""
    with open(path, "rb") as handle:
        head = handle.read(8)
        if not head.startswith(_TIFF_MAGICS):
            return None
        exif = Image.Exif()
        exif.endian = "<" if head.startswith(b"II") else ">"
        try:
            exif.load_from_fp(handle, int.from_bytes(head[4:], "little" if exif.endian == "<" else "big"))
            exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)  # kept by the object; the file is closed below
        except Exception:  # struct.error, SyntaxError and others: broken metadata in a good picture
            return None
        return exif
