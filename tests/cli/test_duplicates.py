"""`clipsearch duplicates`: what it groups, in which order, and that it only looks."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from tests.cli.program import Program, said_once
from tests.conftest import SAMPLES

FILE = {"path", "width", "height", "size", "taken_at", "modified_at", "copies", "offline"}
_MODEL, _EXIF_IFD, _DATE = 0x0110, 0x8769, 0x9003  # Exif 2.32, tables 4 and 7


def shot(picture: Image.Image, path: Path, *, second: int, camera: str = "Pentax K-3") -> None:
    exif = Image.Exif()
    exif[_MODEL] = camera
    exif.get_ifd(_EXIF_IFD)[_DATE] = f"2015:07:14 10:00:{second:02}"
    picture.save(path, exif=exif, quality=92)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of one content, three copies of one picture, a burst with a copy of a frame, and others."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "kept").mkdir()
    (folder / "in\nbox").mkdir()
    for name in ("food/coffee-cup.jpg", "animals/jellyfish.jpg", "space/saturnian-profile.jpg"):
        shutil.copy(SAMPLES / name, folder / "kept")
    shutil.copy(SAMPLES / "food/coffee-cup.jpg", folder / "in\nbox" / "again.jpg")
    os.utime(folder / "kept" / "coffee-cup.jpg", (1_000_000_000, 1_000_000_000))
    with Image.open(SAMPLES / "garden/red-flower.jpg") as picture:
        flower = ImageOps.exif_transpose(picture).convert("RGB")
    flower.save(folder / "kept" / "flower.png")
    flower.resize((flower.width // 2, flower.height // 2)).save(folder / "in\nbox" / "small.jpg", quality=70)
    flower.save(folder / "in\nbox" / "flower.webp", quality=70)
    with Image.open(SAMPLES / "garden/dandelions.jpg") as picture:
        garden = picture.convert("RGB")
    width, height = garden.width - 60, garden.height - 40
    for frame in range(3):
        x, y = 30 * frame, 20 * frame
        shot(garden.crop((x, y, x + width, y + height)), folder / f"frame-{frame}.jpg", second=2 * frame)
    small = garden.crop((0, 0, width, height)).resize((width // 2, height // 2))
    shot(small, folder / "frame-0-small.jpg", second=0)
    shot(garden.transpose(Image.Transpose.FLIP_LEFT_RIGHT), folder / "an-hour-later.jpg", second=40)
    return folder


@pytest.fixture(scope="module")
def known(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    program = Program(tmp_path_factory.mktemp("known"))
    assert program("index", album).code == 0
    return program


def groups_of(text: bytes, end: bytes, album: Path) -> list[list[str]]:
    blocks = text.split(end * 2)
    assert blocks.pop() == b""
    return [[os.path.relpath(os.fsdecode(path), album) for path in block.split(end)] for block in blocks]


GROUPS = [
    ["kept/coffee-cup.jpg", "in\nbox/again.jpg"],
    ["frame-0.jpg", "frame-0-small.jpg"],
    ["kept/flower.png", "in\nbox/flower.webp", "in\nbox/small.jpg"],
]


def test_groups_come_by_kind_with_the_best_one_first(known: Program, album: Path) -> None:
    """What is listed first is kept: the oldest of equals, the most pixels, the larger file."""
    outcome = known("duplicates", "-0")
    assert outcome.code == 0 and outcome.stderr == ""
    *others, burst = groups_of(outcome.stdout, b"\0", album)
    assert others == GROUPS
    assert sorted(burst) == ["frame-0.jpg", "frame-1.jpg", "frame-2.jpg"]
    sizes = [(album / name).stat().st_size for name in burst]
    assert sizes == sorted(sizes, reverse=True)


def test_a_pipe_ends_each_group_with_an_empty_line(known: Program, album: Path) -> None:
    """awk and friends read paragraphs."""
    outcome = known("duplicates", "--kind", "burst")
    assert [len(group) for group in groups_of(outcome.stdout, b"\n", album)] == [3]


def test_json_has_every_promised_field(known: Program) -> None:
    """A script that keeps `files[0]` and asks about the others breaks when a field is renamed."""
    outcome = known("duplicates", "--json")
    lines = known("duplicates", "--ndjson").stdout.decode().splitlines()
    assert outcome.json == [json.loads(line) for line in lines]
    assert [group["kind"] for group in outcome.json] == ["exact", "perceptual", "perceptual", "burst"]
    for group in outcome.json:
        assert set(group) == {"kind", "files"} and len(group["files"]) > 1
        assert all(set(file) == FILE for file in group["files"])
    exact = outcome.json[0]["files"][0]
    assert exact["modified_at"] < "2001-09-11" and exact["copies"] == [] and exact["size"] > 10_000


def test_kinds_are_chosen_and_a_burst_counts_copies_once_either_way(known: Program) -> None:
    """Asked for bursts alone, a frame and its preview would be one."""
    both = known("duplicates", "--kind", "exact", "--kind", "burst", "--json").json
    assert [group["kind"] for group in both] == ["exact", "burst"]
    assert len(both[1]["files"]) == 3
    assert known("duplicates", "--kind", "burst", "--within", "1").code == 1


def test_under_compares_what_lies_there_with_itself(known: Program, album: Path) -> None:
    """As in `search`: nothing outside the folder is shown."""
    found = known("duplicates", "--under", album / "in\nbox", "-0")
    assert groups_of(found.stdout, b"\0", album) == [["in\nbox/flower.webp", "in\nbox/small.jpg"]]
    nothing = known("duplicates", "--under", album / "kept")
    assert (nothing.code, nothing.stdout) == (1, b"")
    assert nothing.stderr == "No photo is there more than once.\n"


def test_a_terminal_shows_sizes_dates_and_which_is_best(known: Program) -> None:
    """A person decides by them."""
    outcome = known.on_terminal("duplicates", columns=110)
    lines = outcome.text.replace("\r", "").splitlines()
    assert "exact · 2 files" in lines and "perceptual · 3 photos" in lines and "burst · 3 photos" in lines
    (best,) = [line for line in lines if "coffee-cup.jpg" in line]
    assert best.startswith("  * ") and " x " in best and "kB" in best and "2001-09-09" in best
    assert sum(line.startswith("  * ") for line in lines) == 4
    assert "in\\x0abox/again.jpg" in outcome.text
    assert "2015-07-14 10:00:04" in outcome.text
    assert lines[-1] == "4 groups: 1 exact, 2 perceptual, 1 burst. Nothing was changed."


def test_no_file_is_touched(known: Program, album: Path) -> None:
    """It says so in its help."""
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in album.rglob("*")}
    known("duplicates")
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in album.rglob("*")} == before


def test_no_model_and_no_pixels_are_loaded(known: Program) -> None:
    """It compares what is stored; loading a runtime would take longer than the answer."""
    _, modules = known.modules("duplicates")
    assert not {"onnxruntime", "openvino", "PIL", "usearch", "tokenizers"} & modules


def test_without_a_library_it_says_what_to_do(program: Program) -> None:
    """The first thing someone tries may be this."""
    assert "no library" in said_once(program("duplicates"), 3)


def test_an_unknown_kind_names_the_known_ones(program: Program) -> None:
    """`--kind similar` is a good guess."""
    said = program("duplicates", "--kind", "similar")
    assert said.code == 2 and "perceptual" in said.stderr


def test_a_search_shows_a_moment_once_and_its_data_keep_all(known: Program) -> None:
    """Twenty frames of one goal would be the whole first page; a script still gets each of them."""
    hits = known("search", "dandelions", "-k", "0", "--json").json
    moment = [hit for hit in hits if os.path.basename(hit["path"]).startswith("frame-")]
    assert [hit["same_as"] for hit in moment] == [None, *[moment[0]["rank"]] * 3]
    table = known.on_terminal("search", "dandelions", "-k", "0", "--all").text
    assert table.count("frame-") == 1
    (line,) = [line for line in table.splitlines() if "frame-" in line]
    assert line.rstrip().endswith("+ 3 of the same moment")
    assert known.on_terminal("search", "dandelions", "-k", "0", "--all", "--verbose").text.count("frame-") == 4
    assert len(known("search", "dandelions", "-k", "0", "--all", "-0").stdout.split(b"\0")) == len(hits) + 1
