"""The zero-shot panel: labels sort the photos found into columns, and a column becomes a filter."""

from __future__ import annotations

from textual.widgets import Input, OptionList

from clipsearch.config import Paths
from clipsearch.tui.screens.labels import UNKNOWN, sorted_into_columns
from clipsearch.types import Labelled, LabelScore
from tests.tui.driving import Driver, drive


def labelled(path: bytes, label: str, probability: float, *, fits: bool = True) -> Labelled:
    scores = (LabelScore(label, probability, 0.2), LabelScore("other", 1 - probability, 0.1))
    return Labelled(path, scores, label if fits else None, probability if fits else None)


def test_every_photo_stands_in_one_column_and_unknown_is_last() -> None:
    """A photo that stands nowhere is one that is forgotten."""
    found = [labelled(b"a", "cat", 0.6), labelled(b"b", "cat", 0.9), labelled(b"c", "dog", 0.4, fits=False)]
    columns = sorted_into_columns(["dog", "cat"], found, [b"a", b"b", b"c", b"unreadable"])
    assert list(columns) == ["dog", "cat", UNKNOWN]
    assert columns["cat"] == [(b"b", 0.9), (b"a", 0.6)]
    assert columns["dog"] == []
    assert columns[UNKNOWN] == [(b"c", 0.4), (b"unreadable", 0.0)]


def test_a_column_becomes_a_filter(indexed: Paths) -> None:
    """Labels that one cannot search by are a game."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("z")
        await driver.until(lambda: "Label the 45 photos found" in driver.text, "the panel")
        driver.app.screen.query_one(Input).value = "a cat, a landscape"
        await driver.press("enter")
        await driver.until(lambda: len(driver.app.screen.query(OptionList)) == 3, "the columns")
        columns = driver.app.screen.query(OptionList)
        assert sum(column.option_count for column in columns) == 45
        assert "a cat  " in driver.text and "unknown  " in driver.text
        count = columns[0].option_count
        await driver.until(lambda: columns[0].has_focus, "the first column")
        await driver.press("enter")
        await driver.answered('label:"a cat"')
        assert len(driver.results.hits) == count

    drive(indexed, scenario)


def test_labels_that_cannot_work_are_told_in_the_panel(indexed: Paths) -> None:
    """The same label twice would halve its share."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("z")
        await driver.until(lambda: "Label the 45 photos found" in driver.text, "the panel")
        await driver.type("cat, cat")
        await driver.press("enter")
        await driver.until(lambda: "is there twice" in driver.text, "the refusal")

    drive(indexed, scenario)
