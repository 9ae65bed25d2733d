"""Dates in plain words -> the period they name, as local times. Pure: the caller says what today is.

2015  2015-07  2015-07-14        a year, a month, a day (also with / between the parts)
july 2015, 14 july 2015          months by name, in English, three letters are enough
summer 2015, winter 2015         three whole months, northern; winter 2015 ends in February 2016
july, summer                     the latest that has begun
this summer, this july           this year's; this winter is the latest that has begun
last summer, last july           the latest that is over
today, yesterday, this week, last month, 3 days ago, 2 years ago
2010..2015, "2021..last month"   from the start of the earlier one to the end of the later one

The forms decide alone whether a text is a date: `2021..today` may not turn wrong on another day, so the
ends of a range may stand in either order.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, date, timedelta

_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # their first months
_UNITS = ("day", "week", "month", "year")

_NUMERIC = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?")
_DAY_FIRST = re.compile(r"(\d{1,2})\.? ([a-z]+) (\d{4})")
_MONTH_FIRST = re.compile(r"([a-z]+) (\d{1,2}),? (\d{4})")
_NAMED = re.compile(r"(?:(last|this) )?([a-z]+)(?: (\d{4}))?")
_AGO = re.compile(r"(\d{1,5}|an?|one) (day|week|month|year)s? ago")


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, both included."""

    first: date
    last: date


def period(text: str, today: date) -> Period:
    """The period that `text` names. Raises ValueError with what is wrong, in words for the person who typed it."""
    text = " ".join(text.lower().split())
    ends = [end.strip() for end in text.split("..", 1)]
    if len(ends) > 1 and not all(ends):
        raise ValueError("a range has a date on each side of its dots")
    try:
        periods = [_single(end, today) for end in ends]
        return Period(min(one.first for one in periods), max(one.last for one in periods))
    except OverflowError:
        raise ValueError(f'"{text}" lies beyond the calendar') from None


def _single(text: str, today: date) -> Period:
    if match := _NUMERIC.fullmatch(text):
        return _numeric(*(int(part) if part else None for part in match.groups()))
    if match := _DAY_FIRST.fullmatch(text):
        return _numeric(int(match[3]), _month(match[2], text), int(match[1]))
    if (match := _MONTH_FIRST.fullmatch(text)) and match[1] not in ("last", "this"):
        return _numeric(int(match[3]), _month(match[1], text), int(match[2]))
    if text in ("today", "yesterday"):
        day = today - timedelta(days=text == "yesterday")
        return Period(day, day)
    if match := _AGO.fullmatch(text):
        return _ago(int(match[1]) if match[1].isdigit() else 1, match[2], today)
    if match := _NAMED.fullmatch(text):
        relation, name, year = match.groups()
        if name in _UNITS and relation and year is None:
            return _ago(relation == "last", name, today)
        if year is None or relation is None:
            return _recurring(name, relation, int(year) if year else None, today, text)
    raise ValueError(f'"{text}" is not a date')


def _numeric(year: int | None, month: int | None, day: int | None) -> Period:
    assert year is not None  # both patterns have one
    if year < 1:
        raise ValueError("there is no year 0")
    if year > MAXYEAR:
        raise OverflowError
    if month is None:
        return Period(date(year, 1, 1), date(year, 12, 31))
    if not 1 <= month <= 12:
        raise ValueError(f"there is no month {month}")
    days = monthrange(year, month)[1]
    if day is None:
        return Period(date(year, month, 1), date(year, month, days))
    if not 1 <= day <= days:
        raise ValueError(f"there is no day {day} in {_MONTHS[month - 1].capitalize()} {year}")
    return Period(date(year, month, day), date(year, month, day))


def _month(name: str, text: str) -> int:
    found = [number for number, month in enumerate(_MONTHS, 1) if len(name) >= 3 and month.startswith(name)]
    if name == "sept":
        return 9
    if not found:
        raise ValueError(f'"{text}" is not a date')
    return found[0]


def _ago(count: int, unit: str, today: date) -> Period:
    """The day, week (from Monday), month or year that lies `count` of them back."""
    if unit == "day":
        day = today - timedelta(days=count)
        return Period(day, day)
    if unit == "week":
        monday = today - timedelta(days=today.weekday(), weeks=count)
        return Period(monday, monday + timedelta(days=6))
    months = today.year * 12 + today.month - 1 - count * (12 if unit == "year" else 1)
    if months < 12:
        raise OverflowError
    return _numeric(months // 12, None if unit == "year" else months % 12 + 1, None)


def _recurring(name: str, relation: str | None, year: int | None, today: date, text: str) -> Period:
    """A month or a season: of a year, the latest that has begun, or (`last`) the latest that is over."""
    season = _SEASONS.get(name)
    month, months = (season, 3) if season else (_month(name, text), 1)
    if year is not None:
        return _months(year, month, months)
    latest = today.year if date(today.year, month, 1) <= today else today.year - 1
    begun = _months(latest, month, months)
    if relation == "this":
        return begun if begun.last.year == today.year else _months(today.year, month, months)
    return _months(latest - 1, month, months) if relation == "last" and today <= begun.last else begun


def _months(year: int, month: int, count: int) -> Period:
    start = _numeric(year, month, None)
    end = year * 12 + month - 1 + count - 1
    return Period(start.first, _numeric(end // 12, end % 12 + 1, None).last)
