"""What a terminal shows: moments in a person's words, tables that fit."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from clipsearch.cli import output
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.moments import ago, lasting

NOW = datetime(2026, 11, 21, 15, 0).astimezone()  # a Saturday


@pytest.mark.parametrize(
    ("before", "words", "how_long"),
    [
        (timedelta(seconds=-30), "just now", "since a moment ago"),
        (timedelta(seconds=59), "just now", "since a moment ago"),
        (timedelta(minutes=1), "1 minute ago", "for 1 minute"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago", "for 59 minutes"),
        (timedelta(hours=14), "14 hours ago", "for 14 hours"),
        (timedelta(hours=16), "yesterday", "since yesterday"),
        (timedelta(days=6), "on Sunday", "since Sunday"),
        (timedelta(days=7), "on 14 November", "since 14 November"),
        (timedelta(days=365), "on 21 November 2025", "since 21 November 2025"),
    ],
)
def test_a_moment_is_said_as_a_person_would(before: timedelta, words: str, how_long: str) -> None:
    """An ISO time in UTC makes a person reckon, and reckon wrongly by the zone."""
    at = (NOW - before).isoformat()
    assert (ago(at, NOW), lasting(at, NOW)) == (words, how_long)


def test_just_before_midnight_is_not_yet_yesterday() -> None:
    """Twenty minutes ago is that, also across midnight."""
    now = datetime(2026, 11, 21, 0, 30).astimezone()
    assert ago((now - timedelta(hours=2)).isoformat(), now) == "2 hours ago"


def test_a_narrow_terminal_gets_fewer_columns_and_a_pipe_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that wraps cannot be read; one that is cut in a pipe loses data."""
    columns = Columns(head=("name", "size", "licence"), numbers=(1,), dropped=(2,))
    rows = [("a", "1", "MIT"), ("long", "100", "Apache-2.0")]
    piped = list(table_lines(columns, rows, ["", "why it is so"]))
    assert piped == ["name  size  licence", "a        1  MIT", "long   100  Apache-2.0", "    why it is so"]
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setattr(output, "width", lambda: 14)
    narrow = list(table_lines(columns, rows, ["", "why it is so"]))
    assert narrow == ["name  size", "a        1", "long   100", "    why it is", "    so"]
