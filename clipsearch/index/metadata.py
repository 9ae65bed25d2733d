"""EXIF of an open picture -> when, where and with what it was taken. Never raises: nonsense reads as None."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clipsearch.types import Metadata

if TYPE_CHECKING:
    from PIL.Image import Exif

# Tag numbers of Exif 2.32 and TIFF 6.0.
_DATETIME, _MAKE, _MODEL = 0x0132, 0x010F, 0x0110
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_ORIGINAL, _DIGITIZED, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED, _OFFSET, _LENS = (
    0x9003,
    0x9004,
    0x9011,
    0x9012,
    0x9010,
    0xA434,
)
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4

_DATE = re.compile(r"(\d{4})[:\-/](\d\d)[:\-/](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET_FORM = re.compile(r"[+-]\d\d:\d\d")


def metadata_of(exif: Exif | None, *, width: int, height: int, format_name: str) -> Metadata:
    """What the picture says of itself. `width` and `height` are after orientation."""
    plain = Metadata(width, height, format_name)
    if exif is None:
        return plain
    try:
        shot: dict[int, Any] = exif.get_ifd(_EXIF_IFD)
        place: dict[int, Any] = exif.get_ifd(_GPS_IFD)
    except Exception:  # a broken directory raises half a dozen kinds; the picture is still good
        shot, place = {}, {}
    dates = (
        (shot.get(_ORIGINAL), shot.get(_OFFSET_ORIGINAL)),
        (shot.get(_DIGITIZED), shot.get(_OFFSET_DIGITIZED)),
        (exif.get(_DATETIME), shot.get(_OFFSET)),
    )
    taken_at, taken_offset = next(
        ((date, _offset(offset)) for written, offset in dates if (date := _date(written))), (None, None)
    )
    latitude = _degrees(place.get(_LATITUDE), place.get(_LATITUDE_REF), "S", 90)
    longitude = _degrees(place.get(_LONGITUDE), place.get(_LONGITUDE_REF), "W", 180)
    if latitude is None or longitude is None:
        latitude = longitude = None
    return Metadata(
        width, height, format_name, taken_at, taken_offset, latitude, longitude,
        _camera(_text(exif.get(_MAKE)), _text(exif.get(_MODEL))), _text(shot.get(_LENS)),
    )  # fmt: skip


def _date(written: object) -> str | None:
    """ "2011:10:02 14:03:07" -> "2011-10-02T14:03:07"; zero, blank and impossible dates are None."""
    match = _DATE.match(_text(written) or "")
    if not match:
        return None
    try:
        return datetime(*(int(part) for part in match.groups())).isoformat()  # type: ignore[arg-type]  # the groups are six
    except ValueError:
        return None


def _offset(written: object) -> str | None:
    text = _text(written) or ""
    return text if _OFFSET_FORM.fullmatch(text) else None


def _degrees(parts: object, reference: object, negative: str, limit: float) -> float | None:
    """Degrees, minutes, seconds -> signed degrees. Zero denominators and values beyond the globe are None."""
    try:
        degrees, minutes, seconds = (float(part) for part in parts)  # type: ignore[attr-defined]  # else TypeError
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value) or not 0 <= value <= limit:
        return None
    return -value if _text(reference) == negative else value


def _camera(make: str | None, model: str | None) -> str | None:
    """ "NIKON CORPORATION" and "NIKON D90" -> "NIKON D90": makers repeat themselves in the model."""
    if make and model:
        return model if model.lower().startswith(make.split()[0].lower()) else f"{make} {model}"
    return model or make


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    cleaned = "".join(c for c in value.replace("\x00", " ") if c.isprintable()).strip()
    return cleaned or None
