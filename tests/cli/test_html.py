"""`--html`: one page that needs nothing else, looked at in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest

from clipsearch.pages.contact_sheet import Entry, contact_sheet
from clipsearch.types import Failure
from tests.cli.program import Program, copied, said_once

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

NASTY = [
    b"a & b <img src=x onerror=alert(1)>.jpg",
    b"quote \" ' `.jpg",
    "right\u202egpj.exe.jpg".encode(),
    b"not \xff\xfe utf8 %41 #1 ?.jpg",
    "línea\nnueva ☃.jpg".encode(),
]

# Loads the page in a frame and writes down what the browser made of it; the page itself has no script.
_PROBE = """<!DOCTYPE html><title>probe</title><iframe src="page.html" width="1200" height="900"></iframe><pre></pre>
<script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument, all = (q) => [...page.querySelectorAll(q)];
  document.querySelector("pre").textContent = JSON.stringify({
    title: page.title,
    heading: page.querySelector("h1").textContent,
    images: all("img").map((i) => [i.naturalWidth, i.naturalHeight, i.getBoundingClientRect().width]),
    links: all("a").map((a) => a.href),
    focusable: all("a").every((a) => { a.focus(); return page.activeElement === a; }),
    names: all(".name").map((n) => n.textContent),
    scripts: all("script").length,
    wide: page.documentElement.scrollWidth > page.documentElement.clientWidth,
  });
};
</script>"""


def browser(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--allow-file-access-from-files",
            *arguments,
        ],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def looked_at(page: Path) -> dict[str, Any]:
    """What a browser says of the page, after checking that its console is silent."""
    folder = page.parent / "browser"
    folder.mkdir(exist_ok=True)
    shutil.copy(page, folder / "page.html")
    (folder / "probe.html").write_text(_PROBE)
    done = browser(folder, "--virtual-time-budget=5000", "--dump-dom", (folder / "probe.html").as_uri())
    assert not re.findall(r".*CONSOLE.*", done.stderr), done.stderr
    (text,) = re.findall(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    found: dict[str, Any] = json.loads(_text(text))
    return found


def _text(html: str) -> str:
    parts: list[str] = []
    parser = HTMLParser(convert_charrefs=True)
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(html)
    parser.close()
    return "".join(parts)


def target(url: str) -> bytes:
    """The file that a link opens."""
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
    return unquote_to_bytes(parts.path)


@needs_browser
def test_a_browser_shows_every_picture_and_its_links_open_the_originals(indexed: Program, tmp_path: Path) -> None:
    """A page of broken pictures is found out by the person it was sent to."""
    page = tmp_path / "animals.html"
    outcome = indexed("search", "an animal", "-k", "30", "--all", "--html", page)
    assert outcome.code == 0 and outcome.stdout == b""
    assert re.fullmatch(r".*animals\.html · 30 photos · \d+ kB\n", outcome.stderr)
    wanted = indexed("search", "an animal", "-k", "30", "--json").json
    seen = looked_at(page)
    assert seen["title"] == "an animal · clipsearch" and seen["heading"] == "an animal"
    assert len(seen["images"]) == 30 and all(max(image[:2]) == 320 and image[2] > 60 for image in seen["images"])
    assert [target(link) for link in seen["links"]] == [os.fsencode(hit["path"]) for hit in wanted]
    assert all(os.path.isfile(target(link)) for link in seen["links"])
    assert seen["focusable"] and not seen["wide"] and seen["scripts"] == 0


@needs_browser
def test_names_of_any_bytes_are_text_and_their_links_open(program: Program, photos: Path, tmp_path: Path) -> None:
    """A file name that is HTML runs in the browser of whoever gets the page."""
    folder = program.folder / "in"
    sources = copied(photos, folder, *[f"animals/{name}" for name in os.listdir(photos / "animals")])[: len(NASTY)]
    for source, name in zip(sources, NASTY, strict=True):
        os.rename(source, os.path.join(os.fsencode(folder), name))
    program("index", folder)
    page = tmp_path / "page.html"
    assert program("search", '"<b>&amp; $title"', "--all", "--html", page).code == 0
    seen = looked_at(page)
    assert seen["heading"] == '"<b>&amp; $title"' and seen["scripts"] == 0
    opened = {target(link) for link in seen["links"]}
    assert {os.path.join(os.fsencode(folder), name) for name in NASTY} <= opened
    assert all(map(os.path.isfile, opened))
    assert {"right\\u202egpj.exe.jpg", "not \\xff\\xfe utf8 %41 #1 ?.jpg", "línea\\x0anueva ☃.jpg"} <= set(
        seen["names"]
    )


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_readers_light_or_dark(indexed: Program, tmp_path: Path, scheme: str) -> None:
    """A white page at night, or black text on black."""
    from PIL import Image

    indexed("search", "an animal", "-k", "3", "--all", "--html", tmp_path / "page.html")
    preference = {"light": 1, "dark": 0}[scheme]
    shot = tmp_path / "shot.png"
    browser(
        tmp_path, f"--blink-settings=preferredColorScheme={preference}", "--window-size=1000,700",
        f"--screenshot={shot}", (tmp_path / "page.html").as_uri(),
    )  # fmt: skip
    with Image.open(shot) as image:
        corner = image.convert("L").getpixel((2, 2))
    assert isinstance(corner, int)
    assert corner > 200 if scheme == "light" else corner < 60


@needs_browser
def test_the_page_prints_on_paper_that_is_white(indexed: Program, tmp_path: Path) -> None:
    """Forty photos on one endless sheet, or pages of dark ground."""
    indexed("search", "an animal", "-k", "40", "--all", "--html", tmp_path / "page.html")
    browser(tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "page.html").as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes()))
    assert 2 <= pages <= 6


def test_the_page_needs_nothing_from_elsewhere(indexed: Program, tmp_path: Path) -> None:
    """Sent by mail or opened in ten years, it must look the same; and it must call nobody."""
    indexed("search", "an animal", "-k", "5", "--all", "--html", tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text("utf-8")
    assert not re.findall(r"https?:|<script|<link|@import|url\(", html)
    assert len(re.findall(r'src="data:image/webp;base64,', html)) == html.count("src=") == 5
    assert "default-src 'none'" in html


def test_the_page_has_what_the_table_has(indexed: Program, tmp_path: Path) -> None:
    """A page without dots and dates sends people back to the terminal."""
    indexed("search", "a cat sleeping on a chair", "-k", "1", "--html", tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text("utf-8")
    assert "●●●●●" in html and "2025-06-01" in html and "cat-on-armchair.jpg" in html and ">animals<" not in html
    indexed("search", "is:portrait", "--html", tmp_path / "filters.html")
    assert "●" not in (tmp_path / "filters.html").read_text("utf-8")  # nothing was scored


def test_stdout_is_a_file_too(indexed: Program, photos: Path) -> None:
    """`| ssh somewhere 'cat > page.html'`."""
    outcome = indexed("similar", photos / "animals/jellyfish.jpg", "-k", "3", "--html", "-")
    assert outcome.stdout.startswith(b"<!DOCTYPE html>") and outcome.stdout.endswith(b"</html>\n")
    assert "<title>Like jellyfish.jpg · clipsearch</title>" in outcome.stdout.decode()


def test_an_old_page_stays_until_the_new_one_is_whole(indexed: Program, tmp_path: Path) -> None:
    """A search that finds nothing, or a full disk, must not cost the page of last week."""
    page = tmp_path / "page.html"
    page.write_text("last week")
    page.chmod(0o604)
    assert indexed("search", "a dog", "year:1890", "--html", page).code == 1
    assert page.read_text() == "last week"
    link = tmp_path / "link.html"
    link.symlink_to(page)
    assert indexed("search", "a dog", "--html", link).code == 0
    assert link.is_symlink() and page.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.html", "page.html"]
    assert stat.S_IMODE(page.stat().st_mode) & 0o044 == 0o044  # others may read it, as any new file


def test_a_place_that_cannot_be_written_is_said_before_the_search(indexed: Program, tmp_path: Path) -> None:
    """Ten minutes of decoding for "no such folder"."""
    assert "is a folder" in said_once(indexed("search", "a dog", "--html", tmp_path), 5)
    assert "There is no folder" in said_once(indexed("search", "a dog", "--html", tmp_path / "no/page.html"), 5)


def test_a_device_is_written_to_and_not_replaced(indexed: Program) -> None:
    """`--html /dev/null` as root would replace the device by a page."""
    assert indexed("search", "a dog", "--html", "/dev/null").code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_photo_without_picture_has_a_place_and_a_reason() -> None:
    """A hole in the page, or an exception for one deleted file among a thousand."""
    entry = Entry(
        number=3, url="file:///a", name="<a>", folder="", facts=("2011-10-02",), dots="●○○○○",
        relevance="relevance 0.12", ratio=100.0, picture=Failure("the <file> is empty"),
    )  # fmt: skip
    html = "".join(contact_sheet("t", "s", [entry]))
    assert "No picture: the &lt;file&gt; is empty" in html and "<img" not in html
    assert "--ratio:2.400" in html and "<bdi>&lt;a&gt;</bdi>" in html and 'aria-label="relevance 0.12"' in html
