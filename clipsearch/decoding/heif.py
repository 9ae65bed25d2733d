"""HEIC and HEIF through libheif, for those who installed the extra; loaded when the first such file comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from clipsearch.decoding.kinds import Kind, extra_missing

if TYPE_CHECKING:
    from PIL.Image import Image

PACKAGE = "pi-heif"  # decodes only: no encoder comes along


def open_heif(path: bytes) -> Image:
    """The primary picture, its pixels not decoded yet. libheif turns it, and its EXIF then says "upright".

    Limits: libheif refuses what claims more than it should; the caller's own limit is checked on `size` before
    `load`. Raises Unreadable where the extra is missing, and what Pillow's own readers raise for broken data.
    """
    try:
        import pi_heif
    except ImportError:
        raise extra_missing(Kind.HEIC) from None
    pi_heif.options.DECODE_THREADS = 1  # a worker has one core, and each thread its own buffers
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    with open(path, "rb") as handle:  # read to its end now; by hand, for a name need not be UTF-8
        return cast("Image", pi_heif.HeifImageFile(handle))
