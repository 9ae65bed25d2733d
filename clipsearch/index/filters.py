"""Filters of a query -> one SQL condition on a row of `photo`, with its parameters. The only place that turns them.

Names of folders are compared as bytes or as folded text, never by LIKE: %, _ and quotes in them are ordinary
characters. A photo that does not say (no date, no place) fits no filter about it, and every negated one.
"""

from __future__ import annotations

import math
import os
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date
from itertools import groupby

from clipsearch.query import Filter
from clipsearch.query.dates import period
from clipsearch.types import REJECTED

Parameters = dict[str, object]

EARTH_KM = 6371.0088  # mean radius (IUGG)

SEPARATOR_SQL = f"x'{os.sep.encode().hex()}'"
# The folder of a file, absolute and without a slash at its end (so the top folder is empty). `||` makes text
# of blobs without looking at their bytes, and the cast makes a blob of it again, so names need not be UTF-8.
FOLDER = f"CASE WHEN folder = x'' THEN base ELSE CAST(base || {SEPARATOR_SQL} || folder AS BLOB) END"

# How systems name them, folded: Android and KDE, macOS and GNOME, Windows, German, French, Spanish, Italian, Dutch.
_SCREENSHOT_NAMES = (
    "screenshot", "screen shot", "screen_shot", "bildschirmfoto", "capture d", "captura de", "schermata",
    "schermafbeelding",
)  # fmt: skip

_AMOUNTS = {"mp": 1_000_000, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}


def where(filters: Sequence[Filter], today: date, *, under: bytes | None = None) -> tuple[str, Parameters]:
    """A condition on `photo` and its parameters. One key twice is OR, different keys are AND, negated ones NOT."""
    parameters: Parameters = {}

    def bound(value: object) -> str:
        if isinstance(value, str):  # in names, Python writes a byte that is no UTF-8 as half a character
            value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        parameters[f"p{len(parameters)}"] = value
        return f":p{len(parameters) - 1}"

    def condition(one: Filter) -> str:
        return f"({_CONDITIONS[one.key](one.value, bound, today)})"

    every = ["1"] if under is None else ["1", _has_file(_under(under, bound))]
    wanted = sorted((one for one in filters if not one.negated), key=lambda one: one.key)
    for _, alike in groupby(wanted, key=lambda one: one.key):
        every.append("(" + " OR ".join(condition(one) for one in alike) + ")")
    # What a photo does not say is neither true nor false. It counts as false, also where that is turned round.
    every += [f"NOT coalesce({condition(one)}, 0)" for one in filters if one.negated]
    return " AND ".join(every), parameters


def is_meant(path: bytes, filters: Sequence[Filter], *, under: bytes | None = None) -> bool:
    """Whether a file is where `under`, in: and ext: say; of a photo's copies, one that is there is shown."""
    folder, name = os.path.split(path)
    written = os.sep + _folded(folder) + os.sep

    def lies_in(value: str) -> bool:
        if os.path.isabs(value):
            return _is_at(path, os.fsencode(value))
        return os.sep + _folded(value.strip(os.sep)) + os.sep in written

    folders = [one.value for one in filters if one.key == "in" and not one.negated]
    endings = [os.fsencode(f".{one.value}") for one in filters if one.key == "ext" and not one.negated]
    return (
        (under is None or _is_at(path, under))
        and (not folders or any(map(lies_in, folders)))
        and (not endings or name.lower().endswith(tuple(endings)))
    )


def _is_at(path: bytes, place: bytes) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep.encode()) + os.sep.encode())


def filter_functions(connection: sqlite3.Connection) -> None:
    """The functions that the conditions call and SQLite does not have."""
    connection.create_function("folded", 1, _folded, deterministic=True)
    connection.create_function("names_screenshot", 1, _names_screenshot, deterministic=True)
    connection.create_function("km_between", 4, _km_between, deterministic=True)


Bound = Callable[[object], str]


# Times are compared as they are written, for then an index answers: 2014-06-30 < 2014-06-30T12:00:00 < 2014-06-30~.
def _before(value: str, bound: Bound, today: date) -> str:
    return f"taken_at < {bound(period(value, today).first.isoformat())}"


def _after(value: str, bound: Bound, today: date) -> str:
    return f"taken_at > {bound(period(value, today).last.isoformat() + '~')}"


def _taken(value: str, bound: Bound, today: date) -> str:
    found = period(value, today)
    return f"taken_at BETWEEN {bound(found.first.isoformat())} AND {bound(found.last.isoformat() + '~')}"


def _in(value: str, bound: Bound, today: date) -> str:
    if os.path.isabs(value):
        return _has_file(_under(os.fsencode(value), bound))
    # Folders are few, so the function in Python is asked once for each of them and not for each file.
    needle = bound(os.sep + _folded(value.strip(os.sep)) + os.sep)
    separator = bound(os.sep)
    return f"""id IN (
        SELECT photo_id FROM (
            SELECT root.id AS place_root, folder AS place_folder FROM ({_FOLDERS}) JOIN root ON root.id = root_id
            WHERE instr({separator} || folded({FOLDER}) || {separator}, {needle})
        ) CROSS JOIN file ON root_id = place_root AND folder = place_folder WHERE photo_id IS NOT NULL)"""


# DISTINCT would read the whole index; this jumps from one folder to the next.
_FOLDERS = """
    WITH RECURSIVE place (root_id, folder) AS (
        SELECT id, (SELECT min(folder) FROM file WHERE root_id = root.id) FROM root
        UNION ALL
        SELECT root_id, (SELECT min(folder) FROM file WHERE root_id = place.root_id AND folder > place.folder)
        FROM place WHERE folder IS NOT NULL
    ) SELECT root_id, folder FROM place WHERE folder IS NOT NULL"""


def _under(folder: bytes, bound: Bound) -> str:
    """A file in `folder` or below it, or that very file."""
    name = bound(folder.rstrip(os.sep.encode()))
    return f"""
        ({FOLDER} = {name}
         OR substr({FOLDER}, 1, length({name}) + 1) = CAST({name} || {SEPARATOR_SQL} AS BLOB)
         OR CAST({FOLDER} || {SEPARATOR_SQL} || name AS BLOB) = {name})"""


def _has_file(condition: str) -> str:
    return (
        f"id IN (SELECT photo_id FROM file JOIN root ON root.id = root_id WHERE photo_id IS NOT NULL AND {condition})"
    )


def _contains(column: str) -> Callable[[str, Bound, date], str]:
    # Cameras are few, too; as above.
    names = f"""
        WITH RECURSIVE said (name) AS (
            SELECT min({column}) FROM photo
            UNION ALL
            SELECT (SELECT min({column}) FROM photo WHERE {column} > said.name)
            FROM said WHERE name IS NOT NULL
        ) SELECT name FROM said"""

    def condition(value: str, bound: Bound, today: date) -> str:
        return f"{column} IN (SELECT name FROM ({names}) WHERE instr(folded(name), {bound(_folded(value))}))"

    return condition


def _near(value: str, bound: Bound, today: date) -> str:
    place, km = value.split("/")
    latitude, longitude = (float(part) for part in place.split(","))
    degrees = math.degrees(float(km) / EARTH_KM) + 1e-6  # of latitude; the box spares most rows the function
    box = f"latitude BETWEEN {bound(latitude - degrees)} AND {bound(latitude + degrees)}"
    return f"{box} AND km_between(latitude, longitude, {bound(latitude)}, {bound(longitude)}) <= {bound(float(km))}"


def _is(value: str, bound: Bound, today: date) -> str:
    if value == "screenshot":
        return f"camera IS NULL AND {_has_file('names_screenshot(name)')}"
    return {"portrait": "width < height", "landscape": "width > height", "square": "width = height"}[value]


def _type(value: str, bound: Bound, today: date) -> str:
    # A camera's MPO is a JPEG with a second picture behind it.
    return f"lower(CASE format WHEN 'MPO' THEN 'JPEG' ELSE format END) = {bound(value)}"


def _ext(value: str, bound: Bound, today: date) -> str:
    ending = "." + value
    count = len(os.fsencode(ending))
    return _has_file(f"lower(CAST(substr(name, -{bound(count)}) AS TEXT)) = {bound(ending)}")


def _size(value: str, bound: Bound, today: date) -> str:
    if value[0] in "<>":
        match = re.fullmatch(r"([<>]=?)(.+)", value)
        assert match, value  # the query's own canonical form
        number, is_area = _amount(match[2])
        condition = f"{match[1]} {bound(number)}"
    else:
        (low, is_area), (high, _) = sorted(map(_amount, value.split("..")))
        condition = f"BETWEEN {bound(low)} AND {bound(high)}"
    return f"width * height {condition}" if is_area else _has_file(f"size {condition}")


def _amount(text: str) -> tuple[int, bool]:
    """Pixels or bytes, and whether it is pixels."""
    return round(float(text[:-2]) * _AMOUNTS[text[-2:]]), text.endswith("mp")


def _color(value: str, bound: Bound, today: date) -> str:
    return f"instr(' ' || colors || ' ', {bound(f' {value} ')})"


def _rating(value: str, bound: Bound, today: date) -> str:
    """Comparisons are of stars: they leave out what was rejected as well as what was not rated."""
    if value == "none":
        return "rating IS NULL"
    if value == "rejected":
        return f"rating = {REJECTED}"
    match = re.fullmatch(r"([<>]=?)?(\d)(?:\.\.(\d))?", value)
    assert match, value  # the query's own canonical form
    if match[3]:
        low, high = sorted((int(match[2]), int(match[3])))
        return f"rating BETWEEN {bound(low)} AND {bound(high)}"
    return f"rating > 0 AND rating {match[1] or '='} {bound(int(match[2]))}"


def _label(value: str, bound: Bound, today: date) -> str:
    return f"id IN (SELECT photo_id FROM label WHERE folded(label.name) = {bound(_folded(value))})"


_CONDITIONS: dict[str, Callable[[str, Bound, date], str]] = {
    "before": _before,
    "after": _after,
    "taken": _taken,
    "year": _taken,
    "in": _in,
    "camera": _contains("camera"),
    "lens": _contains("lens"),
    "near": _near,
    "is": _is,
    "type": _type,
    "ext": _ext,
    "size": _size,
    "color": _color,
    "rating": _rating,
    "caption": _contains("caption"),
    "label": _label,
}


def _folded(text: str | bytes | None) -> str:
    """Text as people compare it: without case, composed, for a Mac writes é as two characters."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text or ""
    return unicodedata.normalize("NFC", text.casefold())


def _names_screenshot(name: bytes) -> bool:
    return _folded(name).startswith(_SCREENSHOT_NAMES)


def _km_between(
    latitude: float | None, longitude: float | None, other_latitude: float, other_longitude: float
) -> float | None:
    """Great-circle distance by the haversine formula, in km; degrees in."""
    if latitude is None or longitude is None:
        return None
    a, b, c, d = (math.radians(value) for value in (latitude, longitude, other_latitude, other_longitude))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
