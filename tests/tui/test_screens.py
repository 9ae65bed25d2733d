"""A few whole screens as text, so that a change of layout is seen by who makes it.

SNAPSHOTS=write python -m pytest tests/tui/test_screens.py   writes them anew; look at the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.pictures.protocol import Protocol
from clipsearch.tui.keys import described_bindings, shown_keys
from tests.tui.driving import Driver, drive

SNAPSHOTS = Path(__file__).parent / "snapshots"


def same_as_before(name: str, driver: Driver) -> None:
    shown = re.sub(r"\d+ ms ", "9 ms ", driver.text)
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(shown + "\n")
    assert shown + "\n" == path.read_text()


def test_search_at_80_by_24(indexed: Paths) -> None:
    """The terminal that everybody has."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers -in:city")
        await driver.ready()
        await driver.press("right", "space")
        await driver.until(lambda: not driver.results.lacking and "1 selected" in driver.text, "all pictures")
        same_as_before("search", driver)

    drive(indexed, scenario)


def test_list_at_100_by_20(indexed: Paths) -> None:
    """Columns that do not line up are hard to read."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers")
        await driver.ready()
        await driver.press("t", "v", "down")
        await driver.until(lambda: "2 selected" in driver.text and "garden/" in driver.text, "the list")
        same_as_before("list", driver)

    drive(indexed, scenario, size=(100, 20))


def test_the_help_names_every_key(indexed: Paths) -> None:
    """A key that the help does not name is one that nobody finds."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("question_mark")
        await driver.until(lambda: "With a photo or what is selected" in driver.text, "the help")
        for node in (driver.results, driver.screen.browser, driver.screen, driver.screen.bar.line, driver.app):
            for binding, keys in described_bindings(node, {}):
                assert binding.id, "without an id nobody can give it another key"
                told = f"{shown_keys(driver.app, binding, keys):<19} {binding.description}  {binding.id}"
                assert told in driver.text
        assert 'after:"last summer"' in driver.text

    drive(indexed, scenario, size=(80, 100))


def test_the_last_line_names_only_keys_that_work_now(indexed: Paths) -> None:
    """A key that is named and types itself, or does nothing, makes all of them suspect."""

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: driver.results.hits, "the first photos")
        assert driver.lines[-1].split("  ") == [" esc to the photos", "f1 help"]
        await driver.ready()
        await driver.until(lambda: "␣ select  ⏎ open  / query  m more like" in driver.lines[-1], "the keys of photos")
        await driver.ask("year:1801")
        await driver.until(lambda: driver.lines[-1] == " / query  f filter  ? help", "the keys without photos")

    drive(indexed, scenario)


def test_a_setting_gives_an_action_another_key_and_a_wrong_name_is_told(indexed: Paths) -> None:
    """Keys that cannot be changed shut out who types on another keyboard; a typing error that is ignored, too."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.until(lambda: 'no action "photo.opne"' in driver.toasts, "the mistake")
        assert "photo.open" in driver.toasts
        await driver.press("space")
        assert "1 selected" not in driver.text
        await driver.press("b")
        await driver.until(lambda: "1 selected" in driver.text, "the selection")
        await driver.press("question_mark")
        await driver.until(lambda: f"{'b':<19} select  select.one" in driver.text, "the new key in the help")

    drive(indexed, scenario, size=(80, 40), keys={"select.one": "b", "photo.opne": "x"})


@pytest.mark.parametrize(
    ("protocol", "begins"), [("kitty", "\x1b_Ga=T"), ("iterm2", "\x1b]1337;File"), ("sixel", "\x1bP")]
)
def test_real_pictures_go_to_the_terminal(indexed: Paths, protocol: Protocol, begins: str) -> None:
    """A way of showing pictures that was asked for must not become half blocks without a word."""
    if protocol == "sixel":
        pytest.importorskip("textual_image._sixel", reason="the extra [graphics] is not installed here")
    written: list[str] = []

    async def scenario(driver: Driver) -> None:
        driver.app._driver.write = written.append  # type: ignore[method-assign,union-attr]
        await driver.ready()
        await driver.until(lambda: not driver.results.lacking, "all pictures")
        drawn = "".join(
            segment.text for strip in driver.results.render_lines(driver.results.size.region) for segment in strip
        )
        assert begins in "".join(written) if protocol == "kitty" else begins in drawn
        if protocol == "kitty":
            assert "\U0010eeee" in drawn and "▀" not in drawn

    drive(indexed, scenario, pictures=protocol)
