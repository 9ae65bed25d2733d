"""What is done with the photos found: moving, selecting, looking, taking them elsewhere."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input

from clipsearch.config import Paths
from clipsearch.library import Library
from clipsearch.tui.picture import Wanted
from clipsearch.types import Hit
from tests.tui.driving import Driver, drive


def hits(count: int) -> list[Hit]:
    return [Hit(rank, b"/p/%06d.jpg" % rank, None, None, (), 30, 20, None, False) for rank in range(1, count + 1)]


def test_keys_move_as_in_vi_and_as_on_every_keyboard(indexed: Paths) -> None:
    """Fingers know one of the two."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        for keys, place in [("right", 1), ("j", 5), ("h", 4), ("up", 0), ("w", 1), ("end", 44), ("k", 40), ("g", 0)]:
            await driver.press(keys)
            assert driver.results.cursor == place, keys
        await driver.press("pagedown")
        assert driver.results.cursor == 4 * (driver.results.size.height // 9)
        assert driver.results.scroll_offset.y > 0

    drive(indexed, scenario)


def test_thumbnails_appear_where_their_photos_are(indexed: Paths) -> None:
    """A right name under a wrong picture is worse than no picture."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.until(lambda: driver.text.count("▀") > 400, "pictures")
        shape = driver.results.grid
        assert shape.picture
        first = driver.results.hits[0]
        await driver.until(lambda: driver.results.picture(Wanted(first.path, *shape.picture)), "the first one")
        picture = driver.results.picture(Wanted(first.path, *shape.picture))
        assert picture and picture.lines
        top = driver.results.region.y
        assert driver.lines[top][1:19].rstrip() == picture.lines[0].text.rstrip()

    drive(indexed, scenario)


def test_a_picture_that_comes_late_moves_nothing(indexed: Paths) -> None:
    """What jumps away under the cursor is opened by mistake."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        names = [line for line in driver.lines if ".jpg" in line]
        await driver.press("right")
        await driver.until(lambda: driver.text.count("▀") > 400, "pictures")
        assert next(line for line in driver.lines if ".jpg" in line).lstrip(" ▌")[:15] == names[0].lstrip(" ▌")[:15]
        assert driver.results.cursor == 1

    drive(indexed, scenario)


def test_a_selection_outlives_the_question(indexed: Paths) -> None:
    """Photos for an album come from several questions."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("space", "space")
        await driver.until(lambda: "2 selected" in driver.text, "the count")
        assert driver.text.count("✓") == 2
        chosen = [hit.path for hit in driver.results.chosen]
        await driver.ask("flowers")
        assert [hit.path for hit in driver.results.chosen] == chosen
        await driver.press("escape")
        await driver.until(lambda: "selected" not in driver.text, "nothing selected")

    drive(indexed, scenario)


def test_v_draws_a_range_that_follows_the_cursor(indexed: Paths) -> None:
    """Forty photos of one afternoon are not forty key presses."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("right", "v", "down")
        assert [driver.results.hits.index(hit) for hit in driver.results.chosen] == [1, 2, 3, 4, 5]
        await driver.press("up", "left")
        assert sorted(driver.results.hits.index(hit) for hit in driver.results.chosen) == [0, 1]
        await driver.press("v", "down")
        assert len(driver.results.selection) == 2

    drive(indexed, scenario)


def test_the_mouse_does_what_the_keys_do(indexed: Paths) -> None:
    """Every key has a mouse way."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        results = driver.results
        await driver.pilot.click(results, offset=(25, 3))
        assert results.cursor == 1
        await driver.pilot.click(results, offset=(45, 3), control=True)
        await driver.until(lambda: len(results.selection) == 1, "one selected")
        assert results.cursor == 2
        await driver.pilot.click(results, offset=(5, 12), shift=True)
        await driver.until(lambda: len(results.selection) == 3, "three selected")
        keys = driver.lines[-1]
        await driver.pilot.click(offset=(keys.index("filter"), 23))
        await driver.until(lambda: "Add a filter" in driver.text, "the key line is clicked")

    drive(indexed, scenario)


def test_t_shows_a_list_with_folders_and_dates(indexed: Paths) -> None:
    """Names and dates are sometimes all one wants."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("down", "t")
        under = driver.results.hit
        await driver.until(lambda: "2010-08-13  travel/2010-alaska/denali.webp" in driver.text, "the list")
        assert driver.results.hit == under and "(+1)" in driver.text
        await driver.press("j")
        assert driver.results.cursor == 5
        await driver.press("t")
        await driver.until(lambda: "denali.webp" in driver.text and "▀" in driver.text, "the grid")

    drive(indexed, scenario)


def test_a_wide_terminal_shows_what_is_known_of_the_photo(indexed: Paths) -> None:
    """Which of two alike is the original, one sees by size and folder."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("year:2010")
        await driver.ready()
        await driver.until(lambda: " MP, " in driver.text, "the details")
        beside = "\n".join(line[94:] for line in driver.lines)
        assert "denali.webp" in beside and "taken    2010-08-13" in beside and "folder   /" in beside
        assert "title    Denali National Park and" in beside
        await driver.ask("rating:3")
        await driver.ready()
        await driver.until(lambda: "rating   ★★★☆☆" in driver.text, "its stars")
        await driver.until(lambda: "caption  Sumo Museum" in driver.text, "its caption")
        await driver.pilot.resize_terminal(100, 30)
        await driver.until(lambda: not driver.screen.browser.preview.display, "no room for it")

    drive(indexed, scenario, size=(140, 40))


def test_resizing_keeps_cursor_and_selection(indexed: Paths) -> None:
    """A window is resized when one has found something."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press(*["down"] * 5, "space", "up")
        under, chosen = driver.results.hit, driver.results.chosen
        for size in [(200, 50), (60, 16), (80, 24)]:
            await driver.pilot.resize_terminal(*size)
            await driver.until(lambda size=size: driver.app.size == size, "the new size")  # type: ignore[misc]
            assert driver.results.hit == under and driver.results.chosen == chosen
            name = os.path.basename(under.path).decode()[:6] if under else ""
            await driver.until(lambda name=name: f"▌{name}" in driver.text, "the cursor in sight")  # type: ignore[misc]

    drive(indexed, scenario)


def test_ten_thousand_photos_are_one_widget(indexed: Paths) -> None:
    """A widget for each photo makes a large library unusable."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        widgets = len(driver.screen.query("*"))
        driver.results.show(hits(10_000), None, keep_place=False)
        await driver.press("G")
        assert driver.results.cursor == 9_999
        await driver.until(lambda: "▌009…" in driver.text or "010000" in driver.text, "the last photo")
        assert len(driver.screen.query("*")) == widgets

    drive(indexed, scenario)


def test_the_end_of_the_photos_asks_for_more(indexed: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 401st photo is one of the library too."""
    monkeypatch.setattr("clipsearch.tui.screens.search.PAGE", 12)

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: len(driver.results.hits) == 12, "the first dozen")
        driver.results.focus()
        await driver.press("down", "down")
        under = driver.results.hit
        await driver.until(lambda: len(driver.results.hits) == 45, "the others")
        assert driver.results.hit == under

    drive(indexed, scenario)


def test_y_copies_paths_through_the_terminal(indexed: Paths) -> None:
    """Over SSH the clipboard that counts is the one of the terminal."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers")
        await driver.ready()
        await driver.press("y")
        assert driver.app.clipboard.endswith("/garden/blue-periwinkle.jpg")
        await driver.press("space", "space", "y")
        assert len(driver.app.clipboard.splitlines()) == 2
        await driver.until(lambda: "Copied 2 paths" in driver.toasts, "the toast")

    drive(indexed, scenario)


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named xdg-open that writes down what it is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "xdg-open"
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path / "opened"


def test_enter_opens_with_the_program_of_the_system(indexed: Paths, opener: Path) -> None:
    """A search that ends in a picture of 18 characters is none."""

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers")
        await driver.ready()
        await driver.press("enter")
        await driver.until(lambda: opener.exists() and opener.read_text().count("\n") == 1, "one photo opened")
        await driver.press("space", "space", "o")
        await driver.until(lambda: opener.read_text().count("\n") == 3, "the selected ones opened")
        await driver.press("R")
        await driver.until(lambda: opener.read_text().endswith("/garden\n"), "its folder opened")

    drive(indexed, scenario)


def test_without_a_program_to_open_photos_it_says_so(indexed: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server there is none, and nothing happening looks like a hang."""
    monkeypatch.setenv("PATH", "/nonexistent")

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.press("enter")
        await driver.until(lambda: "no program" in driver.toasts and "xdg-utils" in driver.toasts, "the toast")

    drive(indexed, scenario)


def test_export_never_writes_over_anything(indexed: Paths, tmp_path: Path) -> None:
    """A photo lost by exporting is the worst a search program can do."""
    target = tmp_path / "album"
    target.mkdir()
    (target / "blue-periwinkle.jpg").write_text("precious")

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers")
        await driver.ready()
        await driver.press("space", "space", "e")
        await driver.until(lambda: "Export 2 photos" in driver.text, "the dialog")
        assert "●▌ Copies" in driver.text and "▐ ▌ Symbolic" in driver.text, "seen without colours too"
        line = driver.app.screen.query_one(Input)
        line.value = str(target)
        line.focus()
        await driver.press("enter")
        await driver.until(lambda: "2 copies in" in driver.toasts, "the toast")

    drive(indexed, scenario)
    assert (target / "blue-periwinkle.jpg").read_text() == "precious"
    assert (target / "blue-periwinkle-2.jpg").stat().st_size > 1000
    assert len(list(target.iterdir())) == 3


def test_d_lists_the_files_with_the_same_content(indexed: Paths) -> None:
    """Which of the copies may go, one decides by where they lie."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        place = next(index for index, hit in enumerate(driver.results.hits) if hit.copies)
        driver.results.move_to(place)
        await driver.press("d")
        await driver.until(lambda: "2 files with this content" in driver.text, "the list")
        assert "old-phone-backup" in driver.text
        await driver.press("escape", "g", "d")
        await driver.until(lambda: "is there once" in driver.toasts, "the toast")

    drive(indexed, scenario)


def test_a_burst_is_one_cell_and_d_lists_the_rest(indexed: Paths) -> None:
    """Ten frames of one moment push nine other photos out of sight; hidden for good they must not be."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        first, second, third, *_ = (replace(hit, copies=()) for hit in driver.results.hits)
        burst = [replace(first, rank=1), replace(second, rank=2), replace(third, rank=3, same_as=1)]
        driver.results.show(burst, None, keep_place=False)
        assert driver.results.hits == tuple(burst[:2])
        await driver.until(lambda: "(+1)" in driver.text, "the count")
        await driver.press("d")
        await driver.until(lambda: "2 files of this moment" in driver.text, "the list")
        assert os.path.basename(third.path).decode() in driver.text
        assert "the same picture or moment" in driver.text

    drive(indexed, scenario)


def test_a_photo_that_is_gone_keeps_its_thumbnail_and_is_marked(tmp_path: Path, photos: Path) -> None:
    """A disk that is unplugged must not look like a broken program."""
    disk = tmp_path / "disk"
    shutil.copytree(photos / "garden", disk)
    paths = Paths(tmp_path / "library", tmp_path / "cache", tmp_path / "models")
    with Library(paths) as library:
        for _ in library.index([disk], workers=1):
            pass
        list(library.thumbnails([os.fsencode(path) for path in disk.iterdir()]))
        disk.rename(tmp_path / "elsewhere")
        for _ in library.index([], workers=1):
            pass

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.until(lambda: driver.text.count("offline") >= 2, "the marks")
        assert "1 folder offline" in driver.lines[0]
        await driver.until(lambda: "▀" in driver.text, "the thumbnails that were kept")
        await driver.until(lambda: "its disk is offline" in driver.text, "the preview")

    drive(paths, scenario, size=(140, 30))


def test_why_there_is_no_picture_is_said_in_full(tmp_path: Path, photos: Path) -> None:
    """ "it is… there now" says the opposite."""
    folder = Path(shutil.copytree(photos / "garden", tmp_path / "garden"))
    paths = Paths(tmp_path / "library", tmp_path / "cache", tmp_path / "models")
    with Library(paths) as library:
        for _ in library.index([folder], workers=1):
            pass
    shutil.rmtree(folder)

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.until(lambda: "it is not there" in driver.text, "the reason")
        assert "…" not in driver.text.partition("it is not there")[2].partition("now")[0]

    drive(paths, scenario)


def test_without_pictures_there_is_the_list(indexed: Paths) -> None:
    """--pictures none is for slow lines and for screen readers."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        assert "animals/canyon-wren.jpg" in driver.text and "▀" not in driver.text

    drive(indexed, scenario, pictures="none")


def test_a_name_that_forges_lines_is_escaped(indexed: Paths) -> None:
    """A file name may hold anything, and a terminal does as it is told."""

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        evil = replace(driver.results.hits[0], path=b"/p/\x1b[2Jgone\n\xff.jpg", copies=(b"/p/\x1b]52;c;eA==\x07.jpg",))
        driver.results.show([evil], None, keep_place=False)
        await driver.press("t")
        await driver.until(lambda: "\\x1b[2Jgone\\x0a\\xff.jpg" in driver.text, "the escaped name")
        await driver.press("d")
        await driver.until(lambda: "\\x1b]52" in driver.text, "the escaped copy")
        assert "\x1b" not in driver.text
        await driver.press("escape", "m")
        await driver.until(lambda: "not UTF-8" in driver.toasts, "the refusal")

    drive(indexed, scenario)
