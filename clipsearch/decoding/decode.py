"""A file -> an upright RGB picture and its metadata, or the reason why not. The only code that opens photos.

Order: header (format, sides, pixels) -> scaled decoding -> orientation -> 16-bit and float scaled -> alpha
on white -> sRGB -> the model's own preprocessing. Each of these has a file in the field that goes wrong
without it (tests/decoding/test_decode.py). Runs in a worker process (workers.py) or, for one picture, anywhere.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

# The plugins are named too: `Image.open(formats=...)` fails on a format that nothing has registered yet, and
# Pillow registers most of them only after the common ones did not fit.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from clipsearch.decoding import heif, raw, reasons
from clipsearch.decoding.appearance import main_colors, perceptual_hashes
from clipsearch.decoding.iptc import iptc_of
from clipsearch.decoding.kinds import HEAD, REASONS, Kind, Unreadable, kind_of
from clipsearch.decoding.metadata import metadata_of
from clipsearch.decoding.needs import pixel_bytes, scan_buffers
from clipsearch.decoding.profiles import in_srgb, lab_in_srgb
from clipsearch.decoding.xmp import packet_of
from clipsearch.types import Decoded, Failure, Prepare

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Named, so that Pillow tries no other: for a PostScript file called photo.jpg it would start Ghostscript.
# MPO is not named: the JPEG plugin opens it.
FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        TiffImagePlugin.TiffImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
        AvifImagePlugin.AvifImageFile,
        Jpeg2KImagePlugin.Jpeg2KImageFile,
        PpmImagePlugin.PpmImageFile,
    )
)

MAX_SIDE = 65_535  # px; one pixel wide costs up to 28 bytes a row besides the pixels
MAX_PIXELS = 200_000_000  # of the header; beyond it a picture takes more than 2.4 GB to turn and convert
DRAFT_FACTOR = 2  # decode JPEGs to at least this many times the model's side; below 2 the vector moves
EIGHTH_ENOUGH = 0.975  # of it: 24 megapixels are 4,000 px high, an eighth is 500, and 512 would cost a quarter

_ORIENTATION = 0x0112  # Exif 2.32, table 4
_DNG_VERSION = 0xC612  # DNG 1.7, "DNG Tags"
_DECODER = 2  # raise it when this file learns to read what it could not
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REDUCIBLE = ("L", "RGB", "RGBA", "CMYK")  # an average of palette entries, or of 16 bits, is another picture
_NAMES = {"HEIF": "HEIC"}  # what people call it

# The limit is ours, taken from the header before anything is allocated.
Image.MAX_IMAGE_PIXELS = None


def decoder_identity() -> str:
    """Another identity may read what this one could not, so failed files are tried again (immich #21499)."""
    extras = "".join(f"/{package}-{found}" for package in (heif.PACKAGE, raw.PACKAGE) if (found := _installed(package)))
    return f"{_DECODER}/pillow-{version('pillow')}{extras}"


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


Admit = Callable[[int], object]


def decode(path: bytes, prepare: Prepare, admit: Admit = lambda bytes_needed: None) -> Decoded | Failure:
    """Pixels for the model, or a Failure; never raises for what a file can hold.

    `admit` is told what the pixels will take (bytes, by the header) before they are decoded, once for a file; it
    returns when they may be, or raises Unreadable.
    """
    return _outcome(lambda: _decoded(path, prepare, admit), lambda error: reasons.failed(path, error))


def decode_picture(picture: Image.Image | NDArray[np.uint8], prepare: Prepare) -> Decoded | Failure:
    """The same for a picture in memory, which is left as it is. An array is RGB, (height, width, 3)."""

    def decoded() -> Decoded:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        _check_size(image)
        return _upright(image, image.size, prepare)

    # What is no file, a caller made: then a library's own words are about the caller's mistake.
    return _outcome(decoded, lambda error: reasons.told(error) or str(error)[:200] or type(error).__name__)


def _outcome(decoded: Callable[[], Decoded], reason: Callable[[Exception], str]) -> Decoded | Failure:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata in good pictures
            return decoded()
    except Unreadable as error:
        return Failure(str(error))
    except MemoryError:
        return Failure("it needs more memory than one picture may take")
    except OSError as error:
        if not (error.errno and error.strerror):
            return Failure(reason(error))
        # EINVAL is an offset that the file gives and no file has; all others are the disk's.
        return Failure(error.strerror.lower(), lasting=error.errno == errno.EINVAL)
    except Exception as error:  # ValueError, TypeError, SyntaxError, struct.error: all seen (shared hostile files)
        return Failure(reason(error))


def _decoded(path: bytes, prepare: Prepare, admit: Admit) -> Decoded:
    if os.path.getsize(path) == 0:
        raise Unreadable("the file is empty: a copy that broke off, or a stand-in of a cloud service")
    head = _head(path)
    kind = kind_of(os.path.basename(path), head)
    if reason := REASONS.get(kind):
        raise Unreadable(reason)
    if kind is Kind.RAW:
        return _decoded_raw(path, prepare, admit)
    try:
        opened = heif.open_heif(path) if kind is Kind.HEIC else Image.open(os.fsdecode(path), formats=FORMATS)
    except UnidentifiedImageError:
        raise Unreadable(reasons.unidentified(path, head)) from None
    with opened as image:
        if _DNG_VERSION in getattr(image, "tag_v2", ()):  # a TIFF to Pillow, which would show its small preview
            return _decoded_raw(path, prepare, admit)
        _check_size(image)
        full_size = image.size
        buffers = scan_buffers(image)  # of the full size: draft() shrinks the pixels, not these (FIELD 3.1 no. 7)
        draft(image, DRAFT_FACTOR * prepare.size)
        admit(buffers + pixel_bytes(image))
        return _upright(image, full_size, prepare)


def _head(path: bytes) -> bytes:
    with open(path, "rb") as handle:
        return handle.read(HEAD)


def _decoded_raw(path: bytes, prepare: Prepare, admit: Admit) -> Decoded:
    found = raw.read_raw(path, DRAFT_FACTOR * prepare.size, admit)
    with found.image as image:
        if not found.is_developed:  # a file asks once (workers.py), and for developing it has asked
            _check_size(image)
            buffers = scan_buffers(image)
            draft(image, DRAFT_FACTOR * prepare.size)
            admit(buffers + pixel_bytes(image))
            image.load()
        return _described(image, found.size, prepare, found.exif, found.orientation, "RAW", found.xmp)


def draft(image: Image.Image, side: float) -> None:
    """Has a JPEG decoded at a half, a quarter or an eighth: the smallest whose shorter side is `side` px or more."""
    if image.format in ("JPEG", "MPO"):
        eighth = image.width // 8, image.height // 8
        image.draft(None, eighth if min(eighth) >= EIGHTH_ENOUGH * side else (round(side), round(side)))


def _reduced(image: Image.Image, prepare: Prepare) -> Image.Image:
    """What `draft` is for a JPEG: averaged by a whole factor, so that turning, blending and colours cost a tenth.

    A WebP of 12 megapixels takes 1.6 times as long without it; vectors stay within cosine 0.995 (0.9995 in the
    mean) of those of the whole picture, with ViT-B/16 (benchmarks/formats.py).
    """
    factor = min(image.size) // (DRAFT_FACTOR * prepare.size)
    if factor < 2 or image.format in ("JPEG", "MPO") or image.mode not in _REDUCIBLE:
        return image
    return image.reduce(factor)


def _upright(image: Image.Image, full_size: tuple[int, int], prepare: Prepare) -> Decoded:
    """`full_size` is that of the header: the pixels may have been decoded smaller."""
    image.load()
    exif = _exif(image)
    # HEIF and AVIF are turned by their decoder, which then reports 1 here.
    orientation = exif.get(_ORIENTATION, 1) if exif else 1
    form = image.format or "?"
    return _described(image, full_size, prepare, exif, orientation, _NAMES.get(form, form), image.info.get("xmp"))


def _described(
    image: Image.Image,
    full_size: tuple[int, int],
    prepare: Prepare,
    exif: Image.Exif | None,
    orientation: int,
    form: str,
    xmp: object,
) -> Decoded:
    turn = _TURNS.get(orientation)
    small = _reduced(image, prepare)
    turned = small if turn is None else small.transpose(turn)
    width, height = full_size if orientation not in (5, 6, 7, 8) else full_size[::-1]
    metadata = metadata_of(exif, width=width, height=height, format_name=form, xmp=packet_of(xmp), iptc=iptc_of(image))
    upright = upright_rgb(turned, image.info.get("icc_profile"))
    coarse, fine = perceptual_hashes(upright) or (None, None)
    described = replace(metadata, colors=main_colors(upright), phash=coarse, phash_fine=fine)
    return Decoded(prepare(upright), described)


def _exif(image: Image.Image) -> Image.Exif | None:
    """Read after the pixels: for a PNG, reading EXIF decodes the picture, and would fail with its errors."""
    try:
        return image.getexif()
    except Exception:  # struct.error, SyntaxError and others: broken metadata in a good picture
        return None


def picture_format(path: bytes) -> str | None:
    """The format by the file's own bytes, or None when it is no picture that `decode` opens, given the extras."""
    try:
        kind = kind_of(os.path.basename(path), _head(path))
        if kind in (Kind.HEIC, Kind.RAW):
            return str(kind.value)
        with Image.open(os.fsdecode(path), formats=FORMATS) as image:
            return image.format
    except Exception:  # as in `decode`: any of half a dozen kinds means "no"
        return None


def upright_rgb(image: Image.Image, profile: bytes | None = None) -> Image.Image:
    """Any mode -> RGB as a viewer shows it: deep modes scaled, transparency on white, colours in sRGB."""
    image = _eight_bits(image)
    if image.mode == "P" or "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image).convert("RGB")
    if profile and image.mode in ("RGB", "L", "CMYK"):
        image = in_srgb(image, profile)
    if image.mode == "LAB":
        return lab_in_srgb(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """`convert("RGB")` clips 16-bit grey to white and turns float 0..1 into black, so deep modes are scaled first."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value / 257).convert("L")
    if image.mode in ("I", "F"):
        low, high = (float(value) for value in image.getextrema())  # type: ignore[arg-type]  # one band: two numbers
        top = 1.0 if image.mode == "F" and low >= 0 and high <= 1 else max(65_535.0, high) if high > 255 else 255.0
        return image.point(lambda value: value * (255.0 / top)).convert("L")
    return image


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if max(width, height) > MAX_SIDE:
        raise Unreadable(f"it is {width:,} x {height:,} px; a side of {MAX_SIDE:,} is the limit")
    if width * height > MAX_PIXELS:
        raise Unreadable(
            f"it has {width * height / 1e6:,.0f} megapixels ({width:,} x {height:,}); "
            f"{MAX_PIXELS / 1e6:.0f} are the limit"
        )
