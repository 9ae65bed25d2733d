"""The filters of the query language: their keys, the form of their values, and the words that explain them.

`checked` brings a value into its one canonical form, so that two spellings of a filter are equal. What a
filter means in SQL is index/filters.py's; nothing here looks at the disk, the library or the clock.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from clipsearch.query.dates import period
from clipsearch.types import COLORS

SHAPES = ("portrait", "landscape", "square", "screenshot")
DEFAULT_KM = 10.0  # around `near:lat,lon`: a town

# A date that no plain word depends on: it only proves that the words are a date.
_ANY_DAY = date(2020, 6, 15)

_NUMBER = r"\d{1,8}(?:\.\d+)?"  # eight digits: none is infinite, and `_plain` of it is read as the same number
_UNIT = "mp|kb|mb|gb"
_NEAR = re.compile(rf"([+-]?{_NUMBER}),([+-]?{_NUMBER})(?:/({_NUMBER})(?:km)?)?")
_SIZE = re.compile(rf"(>=|<=|>|<)({_NUMBER})({_UNIT})")
_SIZE_RANGE = re.compile(rf"({_NUMBER})({_UNIT})\.\.({_NUMBER})({_UNIT})")
_RATING = re.compile(r"(?:>=|<=|>|<)?[0-5]|[1-5]\.\.[1-5]")
_RATING_ALIASES = {"0": "none", "unrated": "none", "reject": "rejected", "-1": "rejected"}
_COLOR_ALIASES = {"grey": "gray", "violet": "purple", "magenta": "pink", "cyan": "blue", "turquoise": "blue"}
_TYPE_ALIASES = {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000", "heif": "heic"}


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on what a photo is, not on what it shows; `value` is canonical."""

    key: str
    value: str
    negated: bool = False


class BadValue(Exception):
    """A value that its key cannot take: what is wrong, and what to write instead."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


@dataclass(frozen=True, slots=True)
class FilterKey:
    """One row of the table of filters that help texts and docs are made from."""

    key: str
    example: str
    meaning: str
    canonical: Callable[[str], str]  # raises BadValue
    values: tuple[str, ...] = ()  # all that there are, where they are few


def checked(key: str, value: str) -> Filter:
    """The filter with its value in canonical form. Raises BadValue."""
    return Filter(key, BY_KEY[key].canonical(value))


def _date(key: str) -> Callable[[str], str]:
    def canonical(value: str) -> str:
        text = " ".join(value.lower().split())
        try:
            period(text, _ANY_DAY)
        except ValueError as error:
            raise BadValue(str(error), _date_hint(key, text)) from None
        return text

    return canonical


def _date_hint(key: str, text: str) -> str:
    if ".." in text:
        return f"write {key}:2010..2015"
    year = re.match(r"\d{4}", text)
    if year and year[0] != "0000":
        return f"write {key}:{year[0]}-12, or {key}:{year[0]} for the whole year"
    return f'write {key}:2015, {key}:2015-07, {key}:2015-07-14 or {key}:"last summer"'


def _year(value: str) -> str:
    if not re.fullmatch(r"\d{4}(?:\.\.\d{4})?", value):
        raise BadValue(f'"{value}" is not a year', "write year:2015, or year:2010..2015")
    return _date("year")(value)


def _text(key: str) -> Callable[[str], str]:
    def canonical(value: str) -> str:
        if not value.strip():
            raise BadValue(f"{key}: is empty", f"write {BY_KEY[key].example}")
        return value

    return canonical


def _folder(value: str) -> str:
    stripped = value.rstrip("/") or ("/" if value else "")
    return _text("in")(stripped)


def _near(value: str) -> str:
    match = _NEAR.fullmatch(value.replace(" ", ""))
    if not match:
        raise BadValue(f'"{value}" is not a place', "write near:52.37,4.54/5 (degrees north, degrees east / km)")
    latitude, longitude = float(match[1]), float(match[2])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise BadValue(f'"{value}" is not on the globe', "latitude lies in -90 to 90, longitude in -180 to 180")
    km = float(match[3]) if match[3] else DEFAULT_KM
    return f"{_plain(latitude)},{_plain(longitude)}/{_plain(km)}"


def _size(value: str) -> str:
    text = value.lower().replace(" ", "")
    if (match := _SIZE_RANGE.fullmatch(text)) and (match[2] == "mp") == (match[4] == "mp"):
        return f"{_plain(float(match[1]))}{match[2]}..{_plain(float(match[3]))}{match[4]}"
    if not (match := _SIZE.fullmatch(text)):
        raise BadValue(
            f'"{value}" is not a size',
            "write size:>2mp (megapixels), size:<500kb, size:>5mb (of the file), or size:2mp..12mp",
        )
    return f"{match[1]}{_plain(float(match[2]))}{match[3]}"


def _rating(value: str) -> str:
    text = value.lower().replace(" ", "")
    text = _RATING_ALIASES.get(text, text)
    if text not in ("none", "rejected") and not _RATING.fullmatch(text):
        raise BadValue(
            f'"{value}" is not a rating',
            "write rating:5, rating:>=3, rating:2..4, rating:none or rating:rejected; stars go from 1 to 5",
        )
    return text


def _plain(number: float) -> str:
    """The shortest text without an exponent: 52.0 -> "52"."""
    text = f"{number:.7f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _one_of(key: str, allowed: tuple[str, ...], aliases: dict[str, str]) -> Callable[[str], str]:
    def canonical(value: str) -> str:
        word = aliases.get(value.lower(), value.lower())
        if word not in allowed:
            near = difflib.get_close_matches(word, allowed, n=1)
            did = f"write {key}:{near[0]}; " if near else ""
            raise BadValue(f'{key}: knows no "{value}"', f"{did}{key}: takes {', '.join(allowed)}")
        return word

    return canonical


def _ending(key: str, aliases: dict[str, str]) -> Callable[[str], str]:
    def canonical(value: str) -> str:
        word = _text(key)(re.sub(r"^[\s.]+|\s+$", "", value).lower())
        return aliases.get(word, word)

    return canonical


# The order is that of help and docs.
KEYS = (
    FilterKey("before", "before:2015", "taken before that year, month or day began", _date("before")),
    FilterKey("after", 'after:"last summer"', "taken after it was over", _date("after")),
    FilterKey("taken", "taken:2015-07", "taken in it; taken:2010..2015 is a range", _date("taken")),
    FilterKey("year", "year:2015", "taken in that year; year:2010..2015 is a range", _year),
    FilterKey("in", "in:Family/Texel", "in a folder of that name, or in:/a/whole/path; subfolders count", _folder),
    FilterKey("camera", "camera:nikon", "the camera's name contains it", _text("camera")),
    FilterKey("lens", "lens:50mm", "the lens's name contains it", _text("lens")),
    FilterKey("near", "near:52.37,4.54/5", f"within so many km of a place; {DEFAULT_KM:g} km if none are said", _near),
    FilterKey("is", "is:portrait", f"one of {', '.join(SHAPES)}", _one_of("is", SHAPES, {}), SHAPES),
    FilterKey("type", "type:png", "the format by the file's content", _ending("type", _TYPE_ALIASES)),
    FilterKey("ext", "ext:jpg", "the ending of the file's name", _ending("ext", {})),
    FilterKey("size", "size:>2mp", "megapixels, or kb, mb, gb of the file; size:2mp..12mp is a range", _size),
    FilterKey(
        "color", "color:red", f"a main colour: {', '.join(COLORS)}", _one_of("color", COLORS, _COLOR_ALIASES), COLORS
    ),
    FilterKey(
        "rating", "rating:>=3", "stars; rating:2..4 is a range; rating:none has none, rating:rejected is -1", _rating
    ),
    FilterKey("caption", 'caption:"blue hour"', "its title, description or keywords contain it", _text("caption")),
    FilterKey("label", "label:receipt", "a label that clipsearch zsl --save gave it", _text("label")),
)
BY_KEY = {one.key: one for one in KEYS}
