"""Dates in plain words name the days that a person means, on whatever day they are typed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clipsearch.query.dates import Period, period

TODAY = date(2024, 3, 10)  # a Sunday in a leap year
days = st.dates(date(1990, 1, 1), date(2100, 12, 31))


def spelled(text: str, today: date = TODAY) -> str:
    """`first..last`, or one day where both are the same."""
    found = period(text, today)
    return f"{found.first}" if found.first == found.last else f"{found.first}..{found.last}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2015", "2015-01-01..2015-12-31"),
        ("2015-07", "2015-07-01..2015-07-31"),
        ("2015-7", "2015-07-01..2015-07-31"),
        ("2015-07-14", "2015-07-14"),
        ("2015/07/14", "2015-07-14"),
        ("2015.7.4", "2015-07-04"),
        ("2024-02", "2024-02-01..2024-02-29"),
        ("1900-02", "1900-02-01..1900-02-28"),
        ("2024-02-29", "2024-02-29"),
        ("july 2015", "2015-07-01..2015-07-31"),
        ("Jul 2015", "2015-07-01..2015-07-31"),
        ("sept 2015", "2015-09-01..2015-09-30"),
        ("14 july 2015", "2015-07-14"),
        ("14. July  2015", "2015-07-14"),
        ("july 14, 2015", "2015-07-14"),
        ("summer 2015", "2015-06-01..2015-08-31"),
        ("fall 2015", "2015-09-01..2015-11-30"),
        ("winter 2015", "2015-12-01..2016-02-29"),
        ("winter 2016", "2016-12-01..2017-02-28"),
        ("july", "2023-07-01..2023-07-31"),
        ("march", "2024-03-01..2024-03-31"),
        ("last march", "2023-03-01..2023-03-31"),
        ("this july", "2024-07-01..2024-07-31"),
        ("today", "2024-03-10"),
        ("yesterday", "2024-03-09"),
        ("last day", "2024-03-09"),
        ("this week", "2024-03-04..2024-03-10"),
        ("last week", "2024-02-26..2024-03-03"),
        ("this month", "2024-03-01..2024-03-31"),
        ("last month", "2024-02-01..2024-02-29"),
        ("last year", "2023-01-01..2023-12-31"),
        ("3 days ago", "2024-03-07"),
        ("a week ago", "2024-02-26..2024-03-03"),
        ("14 months ago", "2023-01-01..2023-01-31"),
        ("one year ago", "2023-01-01..2023-12-31"),
        ("2010..2015", "2010-01-01..2015-12-31"),
        ("2010 .. july 2015", "2010-01-01..2015-07-31"),
        ("2015..2010", "2010-01-01..2015-12-31"),
        ("last summer..today", "2023-06-01..2024-03-10"),
    ],
)
def test_each_form_names_its_days(text: str, expected: str) -> None:
    """A period that is one day off hides the photos of New Year's Eve."""
    assert spelled(text) == expected


@pytest.mark.parametrize(
    ("month", "summer", "last_summer", "winter", "last_winter", "this_winter"),
    [
        # of which year's summer, and the year in which the winter begins, on the 15th of each month of 2024
        (1, 2023, 2023, 2023, 2022, 2023),
        (2, 2023, 2023, 2023, 2022, 2023),
        (3, 2023, 2023, 2023, 2023, 2023),
        (4, 2023, 2023, 2023, 2023, 2023),
        (5, 2023, 2023, 2023, 2023, 2023),
        (6, 2024, 2023, 2023, 2023, 2023),
        (7, 2024, 2023, 2023, 2023, 2023),
        (8, 2024, 2023, 2023, 2023, 2023),
        (9, 2024, 2024, 2023, 2023, 2023),
        (10, 2024, 2024, 2023, 2023, 2023),
        (11, 2024, 2024, 2023, 2023, 2023),
        (12, 2024, 2024, 2024, 2023, 2024),
    ],
)
def test_seasons_in_every_month_of_the_year(
    month: int, summer: int, last_summer: int, winter: int, last_winter: int, this_winter: int
) -> None:
    """A winter crosses New Year; asked in January, "this winter" once meant the next one, with no photo in it."""
    today = date(2024, month, 15)
    assert period("summer", today) == period(f"summer {summer}", today)
    assert period("last summer", today) == period(f"summer {last_summer}", today)
    assert period("this summer", today) == period("summer 2024", today)
    assert period("winter", today) == period(f"winter {winter}", today)
    assert period("last winter", today) == period(f"winter {last_winter}", today)
    assert period("this winter", today) == period(f"winter {this_winter}", today)


@given(days, st.sampled_from(["spring", "summer", "autumn", "winter", "january", "may", "december"]))
def test_the_latest_has_begun_the_last_is_over_and_none_lies_between(today: date, name: str) -> None:
    """The first and the last day of a season are where such rules go wrong."""
    latest, last = period(name, today), period(f"last {name}", today)
    assert latest.first <= today < latest.first.replace(year=latest.first.year + 1)
    assert last.last < today
    assert latest == last or (last.last < latest.first <= today <= latest.last)
    assert (today - last.last).days < 2 * 366


@given(days)
def test_weeks_and_months_follow_each_other_without_a_gap(today: date) -> None:
    """A photo of the 1st or of a Monday must lie in one of them."""
    for unit in ("week", "month", "year"):
        this, last, before = (period(text, today) for text in (f"this {unit}", f"last {unit}", f"2 {unit}s ago"))
        assert this.first <= today <= this.last
        assert last.last + timedelta(days=1) == this.first
        assert before.last + timedelta(days=1) == last.first


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2023-13", "there is no month 13"),
        ("2023-00", "there is no month 0"),
        ("2023-02-29", "there is no day 29 in February 2023"),
        ("31 april 2015", "there is no day 31 in April 2015"),
        ("0000", "there is no year 0"),
        ("sommer", '"sommer" is not a date'),
        ("last", '"last" is not a date'),
        ("last 2015", '"last 2015" is not a date'),
        ("ma 2015", '"ma 2015" is not a date'),
        ("14 2015", '"14 2015" is not a date'),
        ("2010..", "a range has a date on each side of its dots"),
        ("..", "a range has a date on each side of its dots"),
        ("2010..2011..2012", '"2011..2012" is not a date'),
        ("winter 9999", '"winter 9999" lies beyond the calendar'),
        ("9999 years ago", '"9999 years ago" lies beyond the calendar'),
        ("", '"" is not a date'),
    ],
)
def test_what_is_wrong_is_said_in_a_persons_words(text: str, problem: str) -> None:
    """It is shown above the caret; Python's own words would not help."""
    with pytest.raises(ValueError) as raised:
        period(text, TODAY)
    assert str(raised.value) == problem


words = st.sampled_from(
    [
        "last", "this", "winter", "summer", "july", "may", "2015", "0001", "9999", "0000", "14", "31", "feb", "2",
        "days", "day", "ago", "years", "weeks", "week", "month", "a", "an", "one", "today", "yesterday", "99999",
        "10000", "..", "-", "/", ".", ",", "٣", "²", "２０１５",
    ]
)  # fmt: skip
texts = st.one_of(
    st.text(max_size=30), st.lists(words, max_size=6).map(" ".join), st.lists(words, max_size=4).map("".join)
)


@given(texts, st.dates())
def test_any_text_is_a_period_or_a_value_error(text: str, today: date) -> None:
    """Whatever else is raised ends a search in a traceback."""
    try:
        found = period(text, today)
    except ValueError as error:
        assert not isinstance(error, UnicodeError) and str(error)
    else:
        assert isinstance(found, Period) and found.first <= found.last


def test_a_range_of_ten_thousand_parts_is_refused() -> None:
    """Read by recursion, it would end in a RecursionError."""
    with pytest.raises(ValueError, match="is not a date"):
        period("..".join(["may"] * 10_000), TODAY)


@given(texts, days, days)
def test_what_is_a_date_today_is_one_on_every_day(text: str, one: date, other: date) -> None:
    """The query is checked when it is typed or saved, and meant when it is asked: `2021..today` must live on."""
    assume("ago" not in text)  # how far back the calendar reaches does depend on the day
    answers = []
    for today in (one, other):
        try:
            period(text, today)
            answers.append("")
        except ValueError as error:
            answers.append(str(error))
    assert answers[0] == answers[1]
