"""`clipsearch lab prompts` and `lab temperature`: from a folder to a page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.program import Program, said_once


@pytest.fixture(scope="module")
def folder(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, and a file that is no photo."""
    made = tmp_path_factory.mktemp("set") / "pets & food"
    for name in ("animals", "food"):
        (made / name).mkdir(parents=True)
        for photo in sorted((photos / name).glob("*.jpg"))[:3]:
            shutil.copy(photo, made / name)
    (made / "food" / "zzz.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return made


def test_chosen_templates_are_printed_to_be_used_again(program: Program, folder: Path, tmp_path: Path) -> None:
    """What must be typed off a table is typed wrong."""
    (tmp_path / "mine.txt").write_text("# my own\n\na picture of {}.\n{}\n", "utf-8")
    page = tmp_path / "page.html"
    outcome = program("lab", "prompts", folder, "--templates-file", tmp_path / "mine.txt", "--output", page)
    assert outcome.code == 0, outcome.stderr
    assert "zzz.jpg was left out" in outcome.stderr
    text = outcome.stdout.decode()
    assert text.startswith("Chosen 1 of 2: ") and "on 3 photos that were not used to choose." in text
    assert "--template 'a picture of {}.'" in text or "--template '{}'" in text
    written = page.read_text("utf-8")
    assert written.count("<svg") == 2 and "<script" not in written and "<pre" in written and "nan" not in written


@pytest.mark.parametrize("content", [b"# none\n", b"\xff\xfe{}"])
def test_a_file_without_templates_is_refused_before_the_work(content: bytes, program: Program, folder: Path) -> None:
    """An hour of encoding, and then the eighty that nobody asked for."""
    said_once(program("lab", "prompts", folder, "--templates-file", "-", stdin=content), 2)


def test_temperature_is_a_picture_and_one_object(program: Program, folder: Path, tmp_path: Path) -> None:
    """The diagram goes into a talk, the figures to a script."""
    picture = tmp_path / "diagram.png"
    outcome = program("lab", "temperature", folder, "--template", "a photo of {}.", "--output", picture, "--json")
    assert outcome.code == 0, outcome.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = outcome.json
    assert (found["fitting"], found["telling"], found["before"]["scale"]) == (3, 3, 85.0)
    assert found["failures"][0]["path"].endswith("zzz.jpg") and "zzz.jpg was left out" in outcome.stderr
