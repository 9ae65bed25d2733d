"""Indexing from within: a child process whose events come back, a first run, what could not be read."""

from __future__ import annotations

import asyncio
import json
import queue
import shutil
from pathlib import Path

import pytest
from PIL import Image
from textual.widgets import Input

from clipsearch.cli import progress
from clipsearch.config import Paths
from clipsearch.errors import LibraryError
from clipsearch.events import Advanced, Event, Planned, Scanning, Summary, Timings, Unlisted
from clipsearch.library import Library
from clipsearch.tui.indexing import Indexing, Stopped, read_event
from tests.support.ways import measured_before
from tests.tui.driving import Driver, drive


@pytest.fixture
def empty(tmp_path: Path) -> Paths:
    measured_before(tmp_path / "cache")
    return Paths(tmp_path / "library", tmp_path / "cache", tmp_path / "models")


@pytest.mark.parametrize(
    "event",
    [
        Scanning(b"/photos"),
        Scanning(b"/caf\xe9"),
        Planned(b"/photos", 5, 1, 2, 1, 1),
        Unlisted(b"/photos/x", "permission denied"),
        Advanced(3, 5, 1, b"/photos/a.jpg"),
        Advanced(3, 5, 1, None),
        Summary(1, 2, 3, 4, 5, 6, 7.5),
        Summary(1, interrupted=True),
        Summary(1, timings=Timings(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)),
    ],
    ids=repr,
)
def test_an_event_survives_its_way_through_json(event: Event, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line writes events and the interface reads them; two halves of one format drift apart."""
    with progress.reporter("json") as report:
        report(event)
    assert read_event(json.loads(capsys.readouterr().out)) == event


def told(paths: Paths, *folders: Path) -> list[Event | Stopped]:
    events: queue.Queue[Event | Stopped] = queue.Queue()
    indexing = Indexing(paths, "auto", [bytes(folder) for folder in folders], events.put)
    indexing.wait()
    assert not indexing.is_running
    return list(events.queue)


def test_an_indexer_that_fails_says_what_to_do(empty: Paths, tmp_path: Path) -> None:
    """An indexer that ends without a word leaves one with an empty library."""
    (event,) = told(empty, tmp_path / "nowhere")
    assert isinstance(event, Stopped)
    assert event.message == f"There is no {tmp_path / 'nowhere'}." and "spelling" in event.hint


def test_the_first_run_offers_a_folder_and_shows_its_photos(
    empty: Paths, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody who has just installed it needs one Enter, not a manual."""
    home = tmp_path / "home"
    shutil.copytree(photos / "garden", home / "Pictures")
    monkeypatch.setenv("HOME", str(home))

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: "Nothing is indexed yet" in driver.text, "the welcome")
        await driver.until(lambda: str(home / "Pictures") in driver.app.screen.query_one(Input).value, "the proposal")
        await driver.press("enter")
        await driver.until(lambda: len(driver.results.hits) == len(list((home / "Pictures").iterdir())), "the photos")
        await driver.until(lambda: "indexed" in driver.toasts, "the summary")
        await driver.ask("flowers")
        assert "fit" in driver.text

    drive(empty, scenario)


def test_a_first_run_without_a_folder_says_how_to_go_on(empty: Paths) -> None:
    """Esc at the welcome must not end at a blank screen."""

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: "Nothing is indexed yet" in driver.text, "the welcome")
        driver.app.screen.query_one(Input).value = "/nowhere/at/all"
        await driver.press("enter")
        await driver.until(lambda: "There is no folder /nowhere/at/all" in driver.text, "the refusal")
        await driver.press("escape")
        await driver.until(lambda: "No photos are indexed. Esc, then I" in driver.text, "the sentence")
        await driver.type("dog")
        await driver.press("escape")
        await driver.until(lambda: driver.results.has_focus, "the focus on the photos")
        await driver.screen.bar.remember().wait()
        assert not driver.toasts, "there is nowhere to keep a question yet, and that is no mistake"
        assert not empty.library.exists()

    drive(empty, scenario)


def test_the_welcome_does_not_outlive_the_empty_library(empty: Paths, photos: Path) -> None:
    """ "Nothing is indexed yet" over photos that another process has indexed is not true."""

    def index_elsewhere() -> None:
        with Library(empty) as library:
            for _ in library.index([photos / "garden"], workers=1):
                pass

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: "Nothing is indexed yet" in driver.text, "the welcome")
        await asyncio.to_thread(index_elsewhere)
        await driver.until(lambda: driver.results.hits, "the photos")
        await driver.until(lambda: "Nothing is indexed yet" not in driver.text, "other words")
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is driver.screen, "the photos alone")
        await driver.pilot.pause()
        assert "No photos are indexed" not in driver.text

    drive(empty, scenario)


def test_a_folder_without_photos_says_so(empty: Paths, tmp_path: Path) -> None:
    """The question that shows all photos is ours; whoever never typed it cannot take it out."""
    folder = tmp_path / "papers"
    folder.mkdir()

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: "Nothing is indexed yet" in driver.text, "the welcome")
        await driver.press("escape")
        driver.screen.want_indexing((bytes(folder),))
        await driver.until(lambda: "0 indexed" in driver.toasts and driver.screen.answer, "the answer")
        await driver.until(lambda: "No photos are indexed. Esc, then I" in driver.text, "the sentence")
        assert "size:" not in driver.text

    drive(empty, scenario)


def test_photos_can_be_found_while_indexing_goes_on(
    empty: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eighteen thousand photos take minutes, and the first are there after seconds."""
    monkeypatch.setattr("clipsearch.tui.screens.search.REFRESH_S", 0.0)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(64):
        Image.new("RGB", (32, 24), (number, 255 - number, 7)).save(folder / f"{number:03d}.png")
    seen: list[int] = []

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: "Nothing is indexed yet" in driver.text, "the welcome")
        await driver.press("escape")
        driver.screen.want_indexing((bytes(folder),))
        while "indexed" not in driver.toasts:
            await driver.pilot.pause(0.01)
            if driver.app.indexing and driver.app.indexing.is_running and driver.results.hits:
                seen.append(len(driver.results.hits))
                assert "indexing" in driver.lines[-2] or driver.screen.status_line
        await driver.until(lambda: len(driver.results.hits) == 64, "all photos")

    drive(empty, scenario)
    assert any(0 < count < 64 for count in seen), "none was shown before the end"


def photos_in(paths: Paths) -> int:
    try:
        with Library(paths) as library:
            return library.status().photos
    except LibraryError:
        return 0


def test_leaving_stops_the_indexer_and_keeps_what_it_has(empty: Paths, tmp_path: Path) -> None:
    """A process left behind holds the library's lock, and nobody knows why."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        Image.new("RGB", (32, 24), (number % 256, number // 256, 7)).save(folder / f"{number:03d}.png")

    async def scenario(driver: Driver) -> None:
        driver.screen.want_indexing((bytes(folder),))
        await driver.until(lambda: "indexing" in driver.text, "progress")
        await driver.until(lambda: photos_in(empty) > 0, "something to keep")

    app = drive(empty, scenario)
    assert app.indexing is not None
    app.indexing.stop()
    app.indexing.wait()
    with Library(empty) as library:
        assert 0 < library.status().photos < 200


def test_unreadable_files_are_counted_and_listed_with_the_reason(indexed: Paths) -> None:
    """A photo that is missing from every answer must be somewhere."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.until(lambda: "1 not readable" in driver.lines[0], "the count")
        await driver.pilot.click(offset=(driver.lines[0].index("not readable"), 0))
        await driver.until(lambda: "1 file that could not be read" in driver.text, "the list")
        assert "broken/" in driver.text and "tried 1 time" in driver.text

    drive(indexed, scenario)


def test_a_library_that_cannot_be_opened_is_no_blank_screen(indexed: Paths) -> None:
    """A toast is gone after ten seconds, and then nothing tells why there are no photos."""
    for name in ("catalog.db-wal", "catalog.db-shm"):
        (indexed.library / name).unlink(missing_ok=True)
    (indexed.library / "catalog.db").write_bytes(b"no database" * 1000)

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: "is damaged" in " ".join(driver.text.split()), "the sentence")
        assert not driver.toasts
        await driver.type("dog")
        await driver.until(lambda: driver.screen.bar.text == "dog", "the question")
        await driver.screen.search().wait()
        assert "is damaged" in " ".join(driver.text.split()) and not driver.toasts

    drive(indexed, scenario)


def test_an_error_is_a_toast_with_what_to_do(indexed: Paths, photos: Path) -> None:
    """A library that somebody else is writing is told at once, not after an hour."""
    from clipsearch.files import writer_lock

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        with writer_lock(indexed.library / "writer.lock", "the test"):
            driver.screen.want_indexing(())
            await driver.until(lambda: "is being written by" in driver.toasts, "the toast")
        assert "Wait for it to finish" in driver.toasts
        await driver.ask("flowers")

    drive(indexed, scenario)


def test_a_mistake_of_ours_leaves_a_file_and_the_program_goes_on(
    indexed: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback over a full screen helps nobody, and the next question may work."""
    original = Library.search

    def broken(self: Library, query: str = "", **options: object) -> object:
        if query == "flowers":
            raise ZeroDivisionError("for the test")
        return original(self, query, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Library, "search", broken)

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        driver.screen.bar.ask_for("flowers")
        await driver.until(lambda: "ZeroDivisionError" in driver.toasts, "the toast")
        log = Path(driver.toasts.rpartition("Report it with ")[2].strip())
        assert "for the test" in log.read_text()
        log.unlink()
        await driver.ask("is:portrait")

    drive(indexed, scenario)


def test_what_another_process_indexes_is_shown_without_a_key(
    empty: Paths, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a watcher at work, whoever leaves the interface open would look at yesterday's photos."""
    monkeypatch.setattr("clipsearch.tui.screens.search.LOOK_S", 0.05)
    with Library(empty) as library:
        list(library.index([photos / "garden"]))

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        before = len(driver.results.hits)
        told(empty, photos)
        await driver.until(lambda: len(driver.results.hits) > before, "the photos of the other process")

    drive(empty, scenario)
