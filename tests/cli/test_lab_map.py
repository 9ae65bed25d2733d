"""`clipsearch lab map`: the page in a real browser, with a real mouse and real keys."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from PIL import Image

from tests.cli.program import Program, copied, said_once
from tests.cli.test_html import NASTY
from tests.support.browser import Browser, driven_browser, needs_driven_browser, until

# What is drawn, in few numbers: how many colours, and a sum that changes with the pixels (every 11th).
_DRAWN = """
const canvas = document.querySelector("canvas"), [w, h] = [canvas.width, canvas.height];
const data = canvas.getContext("2d").getImageData(0, 0, w, h).data, colors = new Set();
let sum = 0;
for (let i = 0; i < data.length; i += 4 * 11) {
  colors.add(data[i] * 65536 + data[i + 1] * 256 + data[i + 2]);
  sum = (sum * 31 + data[i] + 3 * data[i + 1] + 7 * data[i + 2]) % 1000000007;
}
return { colors: colors.size, sum };
"""
# The middle of a picture: a place whose surroundings are all of other colours than the ground.
_A_PICTURE = """
const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect();
const pen = canvas.getContext("2d"), ground = pen.getImageData(2, 2, 1, 1).data.join();
for (let y = 40; y < canvas.height - 40; y += 10) for (let x = 40; x < canvas.width - 40; x += 10) {
  const around = [[0, 0], [-16, -12], [16, -12], [-16, 12], [16, 12]];
  const seen = around.map(([a, b]) => pen.getImageData(x + a, y + b, 1, 1).data.join());
  if (!seen.includes(ground) && new Set(seen).size === 5) return [box.left + x, box.top + y];
}
return null;
"""


@pytest.fixture(scope="module")
def page(indexed: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("map") / "map.html"
    outcome = indexed("lab", "map", "--output", target)
    assert outcome.code == 0, outcome.stderr
    assert re.search(r"map\.html · 45 photos · \d+ kB", outcome.text) and "--by umap" in outcome.stderr
    return target


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with driven_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def shown(window: Browser, page: Path) -> Browser:
    window.open(page)
    settled(window)
    return window


def settled(window: Browser) -> Any:
    """What is drawn once it rests: pictures are decoded as they are needed, and a flight takes its time."""
    last: list[Any] = [None, None]

    def rests() -> bool:
        last[:] = [last[1], window.run(_DRAWN)]
        return last[0] == last[1] and last[1]["colors"] > 1

    until(rests, "a drawing that rests")
    return last[1]


@needs_driven_browser
def test_the_page_opens_in_silence_and_shows_pictures(page: Path, window: Browser) -> None:
    """A blank canvas, a refused script, or a page that tells somebody that it was opened."""
    shown(window, page)
    assert window.run(_DRAWN)["colors"] > 1000  # dots alone have a few dozen
    assert window.complaints() == [] and window.requests() == [page.as_uri()]
    html = page.read_text("utf-8")
    assert not re.findall(r"https?:|<link|@import|url\(", html) and html.count("<script>") == 1
    assert "default-src 'none'" in html and "script-src 'sha256-" in html and "unsafe-eval" not in html


@needs_driven_browser
def test_keys_wheel_and_mouse_move_what_is_seen(page: Path, window: Browser) -> None:
    """A map that one cannot come closer to is a picture."""
    shown(window, page)
    window.run("document.querySelector('canvas').focus()")
    seen = [settled(window)["sum"]]
    for act in (
        lambda: window.press("+"),
        lambda: window.wheel(500, 400, -300),
        lambda: window.drag(600, 400, 450, 330),
        lambda: window.press("-"),
        lambda: window.press("0"),
    ):
        act()
        until(lambda: window.run(_DRAWN)["sum"] != seen[-1], "another drawing")
        seen.append(settled(window)["sum"])
    assert len(set(seen)) == len(seen) and window.complaints() == [] and window.windows() == 1


@needs_driven_browser
def test_a_mouse_over_a_picture_shows_it_and_a_click_opens_it(page: Path, window: Browser, photos: Path) -> None:
    """A picture without a name, or a link to another photo than is shown."""
    shown(window, page)
    x, y = window.run(_A_PICTURE)
    window.move(x, y)
    window.until("!document.querySelector('.card').hidden")
    card = window.run(
        "const c = document.querySelector('.card'), i = c.querySelector('img');"
        "return {name: c.querySelector('.name').textContent, href: c.querySelector('a').href, wide: i.naturalWidth}"
    )
    opened = unquote_to_bytes(urlsplit(card["href"]).path)
    assert os.path.basename(os.fsdecode(opened)) == card["name"] and os.path.isfile(opened)
    assert opened.startswith(os.fsencode(photos)) and card["wide"] >= 200
    window.click(x, y)
    until(lambda: window.windows() == 2, "the original in a window of its own")
    window.close_others()


@needs_driven_browser
def test_arrows_go_from_photo_to_photo_and_are_said(page: Path, window: Browser) -> None:
    """Who has no mouse, or does not see the map."""
    shown(window, page)
    window.run("document.querySelector('canvas').focus()")
    said = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        window.press(key)
        said.append(window.until("document.querySelector('.said').textContent"))
    names = window.run("return [...document.querySelectorAll('li .name')].map((one) => one.textContent)")
    assert all(one != after for one, after in itertools.pairwise(said))
    assert {one.split(", ")[0] for one in said} <= set(names)
    window.press("Escape")
    window.until("document.querySelector('.card').hidden")


@needs_driven_browser
def test_a_name_is_found_and_flown_to(page: Path, window: Browser) -> None:
    """Among two thousand pictures nobody looks for one by eye."""
    shown(window, page)
    before = settled(window)["sum"]
    window.press("/")
    window.press(*"jelly")
    assert window.run("return document.querySelector('.count').textContent") == "1 found"
    until(lambda: window.run(_DRAWN)["sum"] != before, "the others dimmed")
    window.press("Enter")
    left, top, wide, high = window.run(
        "const b = document.querySelector('canvas').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]"
    )

    aside = itertools.cycle((0, 3))

    def name_in_the_middle() -> Any:  # a mouse is noticed when it moves, and the flight takes its time
        window.move(left + wide / 2 + next(aside), top + high / 2)
        return window.run("return document.querySelector('.card:not([hidden]) .name')?.textContent")

    until(lambda: name_in_the_middle() == "jellyfish.jpg", "the photo in the middle")
    window.run("document.querySelector('[data-do=list]').click()")
    listed = "[...document.querySelectorAll('li')].filter((one) => one.offsetParent).length"
    assert window.run(f"return {listed}") == 1


@needs_driven_browser
def test_colours_tell_folders_apart_and_choose_them(page: Path, window: Browser) -> None:
    """A legend of other colours than the map's."""
    shown(window, page)
    before = settled(window)["sum"]
    window.run("const s = document.querySelector('select'); s.value = 'folder'; s.dispatchEvent(new Event('change'))")
    first = window.until("document.querySelector('.key button')?.textContent")
    assert re.fullmatch(r"travel \d+", first)
    colored = settled(window)["sum"]
    window.run("document.querySelector('.key button').click()")
    until(lambda: window.run(_DRAWN)["sum"] != colored, "the others dimmed")
    assert colored != before


@needs_driven_browser
def test_names_of_any_bytes_are_text_on_the_map(
    program: Program, photos: Path, tmp_path: Path, window: Browser
) -> None:
    """A file name that is HTML runs in the browser of whoever gets the page."""
    folder = program.folder / "in"
    sources = copied(photos, folder, *[f"animals/{name}" for name in sorted(os.listdir(photos / "animals"))])
    for source, name in zip(sources, NASTY, strict=False):
        os.rename(source, os.path.join(os.fsencode(folder), name))
    program("index", folder)
    page = tmp_path / "nasty.html"
    assert program("lab", "map", '"<script>alert(1)</script> $title"', "--output", page).code in (0, 2)
    page.unlink(missing_ok=True)
    assert program("lab", "map", "--output", page).code == 0
    shown(window, page)
    found = window.run(
        "return {names: [...document.querySelectorAll('li .name')].map((one) => one.textContent),"
        " links: [...document.querySelectorAll('li a')].map((one) => one.href),"
        " scripts: document.scripts.length, images: document.querySelectorAll('li img').length}"
    )
    assert found["scripts"] == 1 and found["images"] == 7 and window.complaints() == []
    assert {"right\\u202egpj.exe.jpg", "not \\xff\\xfe utf8 %41 #1 ?.jpg", "línea\\x0anueva ☃.jpg"} <= set(
        found["names"]
    )
    assert {os.path.join(os.fsencode(folder), name) for name in NASTY} <= {
        unquote_to_bytes(urlsplit(link).path) for link in found["links"]
    }
    window.run("document.querySelector('canvas').focus()")
    for _ in range(4):  # the card is made by the script
        window.press("ArrowRight")
    assert window.run("return document.querySelectorAll('.card script, .card img[onerror]').length") == 0
    assert window.complaints() == []


@needs_driven_browser
@pytest.mark.parametrize(("scheme", "size"), [("light", (1280, 800)), ("dark", (500, 900))])
def test_the_map_follows_the_readers_light_or_dark_and_fills_any_window(
    page: Path, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    """Black names on a black ground, or a page that scrolls beneath the map."""
    preference = {"light": 1, "dark": 0}[scheme]
    with driven_browser(tmp_path, *size, f"--blink-settings=preferredColorScheme={preference}") as window:
        shown(window, page)
        with Image.open(io.BytesIO(window.screenshot())) as image:
            corner = image.convert("L").getpixel((3, image.height - 3))
        overflow = window.run(
            "const e = document.documentElement;return [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]"
        )
    assert isinstance(corner, int)
    assert corner > 200 if scheme == "light" else corner < 60
    assert overflow == [0, 0]


def test_the_page_reads_without_a_script(page: Path) -> None:
    """The hidden half of a page is not there for who reads without scripts, or on paper."""
    html = page.read_text("utf-8")
    body = html.split("<body>")[1].split("<script>")[0]
    assert '<main class="list">' in body and '<svg class="still"' in body
    assert len(re.findall(r"<li [^>]*><a [^>]*><img src=\"data:image/webp", body)) == body.count("<circle") == 45
    assert re.findall(r'<(\w+) class="(?:tools|stage|key)"[^>]* hidden', body) == ["div", "div", "div"]
    assert "jellyfish.jpg" in body and "of each photo" in body.lower()


def test_the_same_library_gives_the_same_page(indexed: Program, tmp_path: Path) -> None:
    """A map that is another one each time cannot be remembered, or compared."""
    pages = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert indexed("lab", "map", "--output", "map.html", "--photos", "9", cwd=tmp_path / name).code == 0
        pages.append((tmp_path / name / "map.html").read_bytes())
    assert pages[0] == pages[1] and b"9 of 45 photos, spread over all of them" in pages[0]


def test_the_page_tells_what_it_gives_away(page: Path) -> None:
    """Who shares a map shares the names of folders, and cannot see it."""
    html = page.read_text("utf-8")
    assert 'href="file:///' in html
    assert "each link is a whole path" in html.split("<footer>")[1].split("</footer>")[0]


def test_a_query_chooses_the_photos(indexed: Program, tmp_path: Path) -> None:
    """A map of the whole library for who asked for one folder."""
    outcome = indexed("lab", "map", "in:travel", "--output", tmp_path / "travel.html", "--json")
    found = outcome.json
    html = (tmp_path / "travel.html").read_text("utf-8")
    names = re.findall(r'<span class="name"><bdi>(.*?)</bdi>', html)
    wanted = indexed("search", "in:travel", "-k", "0", "--json").json
    assert sorted(names) == sorted(os.path.basename(hit["path"]) for hit in wanted)
    assert found["photos"] == found["of"] == len(wanted) and found["by"] == "pca" and 0 < found["neighbours_kept"] <= 1
    assert sum(one["photos"] for one in found["regions"]) == len(wanted)
    assert found["bytes"] == (tmp_path / "travel.html").stat().st_size
    assert '<h1 dir="auto">in:travel</h1>' in html and json.dumps(found)


def test_what_cannot_become_a_map_is_said_before_the_work(indexed: Program, program: Program, tmp_path: Path) -> None:
    """Minutes of decoding for "there is such a file already"."""
    page = tmp_path / "map.html"
    assert "is of no kind that is written here" in said_once(indexed("lab", "map", "--output", tmp_path / "map.png"), 2)
    assert "There is no folder" in said_once(indexed("lab", "map", "--output", tmp_path / "no/map.html"), 5)
    assert "1 photo fits" in said_once(indexed("lab", "map", "in:old-phone-backup", "--output", page), 2)
    said_once(program("lab", "map", "--output", page), 3)  # no library yet
    assert not page.exists()
    page.write_text("last week")
    assert "is there already" in said_once(indexed("lab", "map", "--output", page), 5)


@pytest.mark.slow
def test_umap_makes_a_map_too(indexed: Program, tmp_path: Path) -> None:
    """Warnings of numba among what is told, or no page at the end of a minute."""
    pytest.importorskip("umap", reason="umap-learn is not installed")
    outcome = indexed("lab", "map", "--by", "umap", "--output", tmp_path / "map.html", "--json")
    assert outcome.code == 0 and outcome.stderr == "" and outcome.json["neighbours_kept"] > 0.5
