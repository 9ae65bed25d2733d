"""How far a long deed is, on a terminal and nowhere else."""

from __future__ import annotations

import io
import re

import pytest

from clipsearch.cli import meter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its last number is the time."""
    times = [100.0]
    monkeypatch.setattr(meter.time, "monotonic", lambda: times[-1])
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    return times


def test_deeds_follow_each_other_on_one_line(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    """80,000 texts are minutes of which nothing was seen; and the photos after them would stand below a dead line."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    with meter.metered() as line:
        line.show("encoding labels", 512, 2048)
        assert shown.getvalue() == ""  # it may be over at once
        clock.append(101.0)
        line.show("encoding labels", 1024, 2048)
        assert re.search(r"encoding labels .*50%", shown.getvalue())
        line.show("encoding labels", 2048, 2048)
        line.show("encoding photos", 1, 10)
        clock.append(102.0)
        shown.seek(0)
        shown.truncate()
        line.show("encoding photos", 2, 10)
        assert "labels" not in shown.getvalue() and re.search(r"encoding photos .*20%", shown.getvalue())


def test_rows_stand_above_the_line(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    """Each row began behind the bar, and wrapped."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    with meter.metered() as line:
        line.show("encoding photos", 1, 4)
        clock.append(101.0)
        line.show("encoding photos", 2, 4)
        with line.aside():
            shown.write("cat.jpg\n")
    before, after = shown.getvalue().split("cat.jpg\n")
    assert before.endswith("\r\x1b[2K") and "encoding photos" in after


def test_nothing_is_said_in_a_pipe(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    """A log of a thousand lines of progress."""
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    with meter.metered() as line:
        for done in range(10):
            clock.append(100.0 + done)
            line.show("encoding labels", done, 10)
    assert shown.getvalue() == ""
