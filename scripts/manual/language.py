"""The query language, for Markdown and roff alike: its rules in prose, its grammar and its dates from their code."""

from __future__ import annotations

import inspect

from clipsearch import query
from clipsearch.query import dates

RULES = (
    "The same filter twice means one or the other: `camera:nikon camera:canon` finds photos of both.",
    "Different filters must all hold: `year:2015 is:portrait` finds the portraits of that year.",
    "A minus that touches a filter turns it round: `-in:Screenshots` leaves that folder out. Each such filter counts. "
    "At the start of a query the shell's command line takes a minus for an option: write `--` before it.",
    "A minus before a word only looks away from it: `beach - people` prefers beaches without people. "
    "`not:people` is hard: it drops every photo that shows them.",
    "`like:cat.jpg` looks for photos like that picture; `+`, `-` and weights hold for it as for words.",
    "`before:` means before the named period begins, `after:` after it is over: `after:2015` begins in January 2016. "
    "`taken:` means within it.",
    "Seasons are northern: summer is June, July and August; `winter 2015` ends in February 2016.",
    "A photo that does not say (no date, no place, no camera) fits no filter about it, and every one that is turned "
    "round: `-year:2015` finds photos without a date.",
    "`@name` at the start stands for a saved search; more may follow it.",
    "Filters alone are a query; its photos come by date, the newest first.",
)


def grammar() -> str:
    """The grammar as it stands in the docstring of the package `query`."""
    lines = [line for line in (query.__doc__ or "").splitlines() if line.startswith("    ")]
    return inspect.cleandoc("\n".join(lines))


def date_words() -> str:
    """The words for dates, as they stand in the docstring of query/dates.py."""
    return inspect.cleandoc(dates.__doc__ or "").split("\n\n", 1)[1].strip()
