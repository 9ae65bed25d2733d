"""`clipsearch lab space`: over real photos, and asked wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Program, copied, said_once


def test_classes_of_real_photos_are_tighter_than_the_whole(program: Program, photos: Path, tmp_path: Path) -> None:
    """Labels and vectors out of step would make classes no tighter than chance."""
    folder = tmp_path / "sets"
    for name in ("animals", "space", "planes-and-rockets"):
        copied(photos, folder / name, *(f"{name}/{one.name}" for one in (photos / name).iterdir()))
    page = tmp_path / "space.html"
    outcome = program("lab", "space", folder, "--output", page)
    assert outcome.code == 0, outcome.stderr
    assert "modality gap" in outcome.text and "planes-and-rockets" in outcome.text
    html = page.read_text("utf-8")
    assert html.count("<svg") == 4 and "two classes" in html
    found = program("lab", "space", folder, "--json").json
    assert found["same"] > found["other"] + 0.05 and found["photos"] == 12
    assert len(found["same_curve"]) == len(found["edges"]) - 1
    assert found["gap"]["right"] > found["gap"]["wrong"] + 0.03


def test_captions_lie_nearer_to_their_photo(program: Program, photos: Path, tmp_path: Path) -> None:
    """As above, for captions."""
    captions = tmp_path / "captions.tsv"
    captions.write_text("food/coffee-cup.jpg\ta cup of coffee\nanimals/jellyfish.jpg\ta jellyfish\n")
    found = program("lab", "space", "--captions", captions, "--photos", photos, "--json").json
    assert found["gap"]["right"] > found["gap"]["wrong"] + 0.05 and found["captions"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "One of a folder and --captions"),
        (("a", "--captions", "b"), "One of a folder and --captions"),
        (("a", "--photos", "b"), "--photos belongs"),
        (("--captions", "b", "--per-class", "3"), "--per-class and --set belong"),
        (("--captions", "b", "--set", "mnist"), "--per-class and --set belong"),
        (("a", "--per-class", "1"), "One photo of a class"),
    ],
)
def test_what_cannot_be_meant_is_said(program: Program, arguments: tuple[str, ...], said: str) -> None:
    """An option that is silently without effect is believed to have one."""
    assert said in said_once(program("lab", "space", *arguments), 2)


def test_one_class_has_nothing_to_be_apart_from(program: Program, photos: Path, tmp_path: Path) -> None:
    """A silhouette of NaN."""
    copied(photos, tmp_path / "sets" / "food", "food/coffee-cup.jpg", "food/bakery-pastries.jpg")
    assert "has one class" in said_once(program("lab", "space", tmp_path / "sets"), 2)
