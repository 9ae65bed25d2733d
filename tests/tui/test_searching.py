"""Asking: what is typed, what comes, and what is said when nothing does."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from textual.widgets import Input

from clipsearch.config import Paths
from clipsearch.library import Library
from clipsearch.tui.query_text import EVERYTHING
from clipsearch.types import Answer
from tests.tui.driving import Driver, drive


def test_photos_come_while_one_types(indexed: Paths) -> None:
    """Search that waits for Enter is half as good as search that does not."""

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: driver.results.hits, "the first photos")
        await driver.type("flowers")
        await driver.answered("flowers")
        assert driver.names[0] in ("blue-periwinkle.jpg", "red-flower.jpg")
        assert " fit, " in driver.text and "●" in driver.text

    drive(indexed, scenario)


def test_without_a_question_the_newest_photos_are_there(indexed: Paths) -> None:
    """A blank screen says nothing of what one has."""

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: driver.results.hits, "the first photos")
        assert len(driver.results.hits) == 45
        taken = [hit.taken_at for hit in driver.results.hits if hit.taken_at]
        assert taken == sorted(taken, reverse=True)
        assert "45 photos" in driver.lines[0]

    drive(indexed, scenario)


def test_an_answer_that_comes_too_late_is_dropped(indexed: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos of the question before last under the question of now are wrong answers."""
    asked, release = threading.Event(), threading.Event()
    original = Library.search

    def slow(self: Library, query: str = "", **options: object) -> Answer:
        if query == "flowers":
            asked.set()
            assert release.wait(30)
        return original(self, query, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Library, "search", slow)

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: driver.results.hits, "the first photos")
        shown: list[str] = []
        show = driver.screen._show
        monkeypatch.setattr(
            driver.screen, "_show", lambda text, *rest, **more: (shown.append(text), show(text, *rest, **more))
        )
        driver.screen.bar.ask_for("flowers")
        await driver.until(asked.is_set, "the slow question")
        driver.screen.bar.ask_for("is:portrait")
        await driver.pilot.pause(0.2)  # the newer question waits behind the slow one by now
        release.set()
        await driver.answered("is:portrait")
        assert shown == ["is:portrait"]

    drive(indexed, scenario)


def test_old_photos_stay_dimmed_until_the_new_ones_are_there(indexed: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flash of nothing at each key makes typing unbearable."""
    release = threading.Event()
    original = Library.search

    def slow(self: Library, query: str = "", **options: object) -> Answer:
        if query != EVERYTHING:
            assert release.wait(30)
        return original(self, query, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Library, "search", slow)

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: driver.results.hits, "the first photos")
        before = driver.names
        await driver.type("flowers")
        assert driver.names == before and driver.results.is_stale
        release.set()
        await driver.answered("flowers")
        assert driver.names != before and not driver.results.is_stale

    drive(indexed, scenario)


def test_when_nothing_fits_one_line_says_so_above_the_nearest(indexed: Paths) -> None:
    """Photos that do not fit, shown as if they did, teach people to mistrust the program."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("a submarine sandwich factory")
        await driver.until(lambda: "Nothing here looks like that. The nearest, far off:" in driver.text, "the line")
        assert driver.results.hits and "0 fit" in driver.text
        await driver.ask("flowers")
        await driver.until(lambda: "Nothing here" not in driver.text, "the line goes")

    drive(indexed, scenario)


def test_filters_that_leave_nothing_are_named_with_what_is_there_without_them(indexed: Paths) -> None:
    """One does not know which of three filters was too much."""

    async def scenario(driver: Driver) -> None:
        driver.screen.bar.ask_for("flowers before:1990 is:landscape")
        await driver.until(lambda: "No photo fits" in driver.text, "the explanation")
        without = driver.text
        assert "without before:1990 " in without and "without is:landscape 0" in without

    drive(indexed, scenario)


def test_a_question_that_cannot_be_read_shows_where(indexed: Paths) -> None:
    """A query with a typo that quietly finds nothing looks like a library without photos."""

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: driver.results.hits, "the first photos")
        driver.screen.bar.ask_for("dog taken:2023-13")
        await driver.until(lambda: "there is no month 13" in driver.text, "the error")
        assert "^^^^^^^" in driver.text and "2023-12" in driver.text
        assert driver.results.hits, "the photos before stay"
        driver.screen.bar.ask_for("")
        await driver.until(lambda: "month" not in driver.text, "the error goes")

    drive(indexed, scenario)


def test_half_a_word_is_no_mistake(indexed: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the way to before:2015 stand before:2, before:20 and before:201: four lines that push all photos down."""
    monkeypatch.setattr("clipsearch.tui.screens.search.HALF_TYPED_S", 60.0)

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: driver.results.hits, "the first photos")
        parsed: list[str] = []
        original = Library.search

        def search(self: Library, query: str = "", **options: object) -> Answer:
            parsed.append(query)
            return original(self, query, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Library, "search", search)
        await driver.type("before:20")
        await driver.until(lambda: "before:20" in parsed, "the question that cannot be read")
        await driver.pilot.pause(0.1)
        assert "is not a date" not in driver.text
        await driver.type("15")
        await driver.answered("before:2015")

    drive(indexed, scenario)


def test_a_filter_is_a_chip_that_a_click_takes_out(indexed: Paths) -> None:
    """A filter one cannot see is one that one forgets."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers is:landscape")
        assert "is:landscape ✕" in driver.text
        line = next(number for number, line in enumerate(driver.lines) if "is:landscape ✕" in line)
        await driver.pilot.click(offset=(driver.lines[line].index("✕"), line))
        await driver.answered("flowers")
        assert "✕" not in driver.text

    drive(indexed, scenario)


def test_f_adds_a_filter_from_the_table(indexed: Paths) -> None:
    """Nobody knows fourteen filters by heart."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("f")
        await driver.until(lambda: "Add a filter" in driver.text, "the dialog")
        await driver.press("down", "down", "down", "enter")  # year:, with its example's value marked
        await driver.type("2010")
        await driver.press("enter")
        await driver.answered("year:2010")
        assert driver.names == ["denali.webp"]
        driver.results.focus()
        await driver.press("x")
        await driver.answered("")

    drive(indexed, scenario)


def test_a_filter_that_cannot_be_read_keeps_the_dialog_open(indexed: Paths) -> None:
    """What one typed must not be lost for a typo."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("f", "shift+tab")
        await driver.type("is:portait")
        await driver.press("enter")
        await driver.until(lambda: "is:portrait" in driver.text, "the suggestion")
        assert "Add a filter" in driver.text

    drive(indexed, scenario)


def test_m_and_l_ask_for_more_and_less_like_this(indexed: Paths) -> None:
    """From one good hit to the next is how people browse."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers")
        await driver.ready()
        first, second = (hit.path.decode() for hit in driver.results.hits[:2])
        await driver.press("m")
        await driver.answered(f"flowers + like:{first}")
        assert driver.results.hit and driver.results.hits[0].path.decode() == first
        await driver.press("right", "l")
        await driver.until(lambda: driver.screen.bar.text.endswith(f" - like:{second}"), "less like the second")
        await driver.until(
            lambda: second not in [hit.path.decode() for hit in driver.results.hits[:1]], "it moves down"
        )

    drive(indexed, scenario)


def test_i_searches_by_a_picture_that_is_in_no_library(indexed: Paths, photos: Path, tmp_path: Path) -> None:
    """ "What do I have like this one" is asked with a picture that somebody sent."""
    sent = tmp_path / "sent by mail.jpg"
    sent.write_bytes((photos / "animals" / "cat-on-armchair.jpg").read_bytes())

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("i")
        await driver.until(lambda: "Search by a picture" in driver.text, "the dialog")
        driver.app.screen.query_one(Input).value = str(sent)
        await driver.press("enter")
        await driver.answered(f'like:"{sent}"')
        assert driver.names[0] == "cat-on-armchair.jpg"

    drive(indexed, scenario)


def test_up_brings_back_what_was_asked_before(indexed: Paths) -> None:
    """A query that found it last week is worth more than the memory of it."""

    async def ask(driver: Driver) -> None:
        for text in ("flowers", "is:portrait"):
            await driver.ask(text)
            driver.screen.bar.line.focus()
            await driver.press("enter")
            await driver.until(lambda text=text: text in driver.screen.bar.line.asked, "the note")  # type: ignore[misc]

    async def recall(driver: Driver) -> None:
        await driver.until(lambda: driver.screen.bar.line.asked, "the history")
        await driver.type("draft")
        await driver.press("up")
        assert driver.screen.bar.text == "is:portrait"
        await driver.press("up")
        assert driver.screen.bar.text == "flowers"
        await driver.press("down", "down")
        assert driver.screen.bar.text == "draft"

    drive(indexed, ask)
    drive(indexed, recall)


def test_a_saved_search_is_in_the_palette_and_can_be_forgotten(indexed: Paths) -> None:
    """What is asked every week is not typed every week."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers is:landscape")
        await driver.ready()
        await driver.press("s")
        await driver.until(lambda: "Save this search" in driver.text, "the dialog")
        await driver.type("dogs")
        await driver.press("enter")
        await driver.until(lambda: "@dogs asks it again" in driver.toasts, "the toast")
        await driver.ask("")
        await driver.press("ctrl+p")
        await driver.type("@dogs")
        await driver.until(lambda: "flowers is:landscape" in driver.text, "the saved search in the palette")
        await driver.press("enter")
        await driver.answered("@dogs")
        assert driver.names[0] in ("blue-periwinkle.jpg", "red-flower.jpg")
        driver.screen.bar.forget("dogs")
        saved: list[object] = [None]
        while saved:
            saved = list(await driver.screen.bar.saved_searches())

    drive(indexed, scenario)


def test_O_changes_the_order(indexed: Paths) -> None:
    """The best ten, by date, is how one finds the holiday they are from."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers")
        await driver.ready()
        fitting = {hit.path for hit in driver.screen.answer.fitting} if driver.screen.answer else set()
        await driver.press("O")
        await driver.until(lambda: "the newest first" in driver.text, "by date")
        assert {hit.path for hit in driver.results.hits} == fitting
        await driver.press("O")
        await driver.until(lambda: "by name" in driver.text, "by name")
        assert driver.names == sorted(driver.names, key=str.lower)

    drive(indexed, scenario)


def test_esc_goes_back_one_step_at_a_time(indexed: Paths) -> None:
    """An Esc too many must not throw away a selection and a question at once."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers")
        await driver.ready()
        await driver.press("space", "escape")
        assert not driver.results.selection and driver.results.has_focus
        await driver.press("escape")
        await driver.until(lambda: driver.screen.bar.line.has_focus, "the query line")
        assert driver.screen.bar.text == "flowers"
        await driver.press("escape")
        await driver.until(lambda: driver.results.has_focus, "the photos")

    drive(indexed, scenario)
