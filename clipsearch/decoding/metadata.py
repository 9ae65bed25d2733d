"""What a picture carries beside its pixels -> when, where and with what it was taken, and what people wrote of it.

EXIF is the camera's, XMP and IPTC are people's. Never raises: nonsense reads as None.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clipsearch.decoding.xmp import Packet
from clipsearch.types import REJECTED, Metadata

if TYPE_CHECKING:
    from PIL.Image import Exif

# Tag numbers of Exif 2.32 and TIFF 6.0; the rating is Windows'.
_DESCRIPTION, _DATETIME, _MAKE, _MODEL, _RATING = 0x010E, 0x0132, 0x010F, 0x0110, 0x4746
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_OFFSET, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
_FRACTION, _FRACTION_ORIGINAL, _FRACTION_DIGITIZED = 0x9290, 0x9291, 0x9292
_LENS = 0xA434
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4

_DATE = re.compile(r"(\d{4})[:\-/](\d\d)[:\-/](\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?\s*(Z|[+-]\d\d:\d\d)?")
_OFFSET_FORM = re.compile(r"[+-]\d\d:\d\d")

Moment = tuple[str | None, int | None, str | None]  # local time, ms of its second, offset

# Longer texts are cut: they are shown in a few lines, and a library keeps a million of them.
TITLE_LENGTH, DESCRIPTION_LENGTH, KEYWORD_LENGTH, KEYWORDS = 300, 2_000, 100, 100

# What cameras, phones and programs write where a person's description belongs.
_NO_DESCRIPTION = re.compile(
    r"""(?ix)
    .*\bdigital\ (still\ )?camera\W*      # OLYMPUS, MINOLTA, SAMSUNG, KONICA MINOLTA ...
    | (sony|kodak|dcim|dji|dsc|dcf|cof|rcof|edf|hdr|hdrpl|rhdr|sdr|ptr|mde|bty|fbt|dav|vtl|oznor\w*)\b.{0,40}
    | exif.jpeg.picture\W* | default | untitled | image | photo | picture | jpeg | screenshot
    | binary\ comment | ascii | created\ (by|with)\ .* | lead\ technologies.* | file\ written\ by\ adobe.*
    | <.*> | \{.*\} | \W* | (?-i:[A-Z_-]*\d[A-Z\d_-]*)
    """
)


def metadata_of(
    exif: Exif | None,
    *,
    width: int,
    height: int,
    format_name: str,
    xmp: Packet | None = None,
    iptc: Packet | None = None,
) -> Metadata:
    """What the picture says of itself. `width` and `height` are after orientation."""
    xmp, iptc = xmp or Packet(), iptc or Packet()
    shot: dict[int, Any] = {}
    place: dict[int, Any] = {}
    top: Exif | dict[int, Any] = {} if exif is None else exif
    if exif is not None:
        try:
            shot, place = exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)
        except Exception:  # a broken directory raises half a dozen kinds; the picture is still good
            shot, place = {}, {}
    taken_at, taken_ms, taken_offset = _taken(top, shot, xmp)
    latitude = _degrees(place.get(_LATITUDE), place.get(_LATITUDE_REF), "S", 90)
    longitude = _degrees(place.get(_LONGITUDE), place.get(_LONGITUDE_REF), "W", 180)
    if latitude is None or longitude is None:
        latitude = longitude = None
    described = _text(top.get(_DESCRIPTION))
    by_camera = () if described is None or _NO_DESCRIPTION.fullmatch(described) else (described,)
    return Metadata(
        width, height, format_name, taken_at, taken_offset, latitude, longitude,
        _camera(_text(top.get(_MAKE)), _text(top.get(_MODEL))), _text(shot.get(_LENS)),
        taken_ms=taken_ms,
        rating=_rating((*xmp.ratings, top.get(_RATING))),
        title=_first((*xmp.titles, *iptc.titles), TITLE_LENGTH),
        description=_first((*xmp.descriptions, *iptc.descriptions, *by_camera), DESCRIPTION_LENGTH),
        keywords=_keywords((*xmp.keywords, *iptc.keywords)),
    )  # fmt: skip


def _taken(top: Exif | dict[int, Any], shot: dict[int, Any], xmp: Packet) -> Moment:
    """The camera's word first, then that of a program, which knows the zone."""
    written = (
        (shot.get(_ORIGINAL), shot.get(_FRACTION_ORIGINAL), shot.get(_OFFSET_ORIGINAL)),
        (shot.get(_DIGITIZED), shot.get(_FRACTION_DIGITIZED), shot.get(_OFFSET_DIGITIZED)),
        (top.get(_DATETIME), shot.get(_FRACTION), shot.get(_OFFSET)),
        *((date, None, None) for date in xmp.dates),
    )
    for date, fraction, offset in written:
        if found := _date(date, fraction):
            moment, ms, own_offset = found
            return moment, ms, _offset(offset) or own_offset
    return None, None, None


def _date(written: object, fraction: object) -> Moment | None:
    """ "2011:10:02 14:03:07" and "25" -> "2011-10-02T14:03:07" and 250, with the offset if one stands in it.

    Zero, blank and impossible dates are None.
    """
    match = _DATE.match(_text(written) or "")
    if not match:
        return None
    year, month, day, hour, minute, second, part, offset = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
    except ValueError:
        return None
    digits = part or _text(fraction) or ""
    ms = int(digits[:3].ljust(3, "0")) if digits.isdecimal() and digits.isascii() else None
    return moment.isoformat(), ms, _offset("+00:00" if offset == "Z" else offset)


def _offset(written: object) -> str | None:
    text = _text(written) or ""
    return text if _OFFSET_FORM.fullmatch(text) else None


def _rating(written: Iterable[object]) -> int | None:
    """Stars. No star is no rating (XMP specification, part 1, 8.4), and -1 is what editors write for "rejected"."""
    for value in written:
        try:
            number = float(value)  # type: ignore[arg-type]  # what is no number raises
        except (TypeError, ValueError, ZeroDivisionError):
            continue
        if number == REJECTED:
            return REJECTED
        if 0 <= number <= 5:
            return int(number) or None
    return None


def _first(texts: Iterable[str], length: int) -> str | None:
    return next((cut for text in texts if (cut := _line(text, length))), None)


def _keywords(texts: Iterable[str]) -> tuple[str, ...]:
    """Each once, however it is capitalised: XMP and IPTC mostly repeat each other."""
    found: dict[str, str] = {}
    for text in texts:
        if line := _line(text, KEYWORD_LENGTH):
            found.setdefault(line.casefold(), line)
    return tuple(found.values())[:KEYWORDS]


def _line(text: str, length: int) -> str:
    """One printable line: line breaks are blanks, and nothing in it acts on a terminal."""
    return "".join(c for c in " ".join(text.replace("\x00", " ").split()) if c.isprintable()).strip()[:length].strip()


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
    """Of an EXIF value. Pillow reads its bytes as Latin-1, and most programs wrote UTF-8."""
    if isinstance(value, str):
        with contextlib.suppress(UnicodeError):
            value = value.encode("latin-1").decode("utf-8")
    elif isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return _line(value, DESCRIPTION_LENGTH) or None if isinstance(value, str) else None
