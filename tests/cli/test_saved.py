"""What a person keeps in a library: saved searches and labels."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cli.program import Program, copied, said_once


def test_a_saved_search_is_listed_asked_and_removed(program: Program, photos: Path) -> None:
    """A search that can be saved and not seen or removed piles up."""
    copied(photos, program.folder / "in", "food/coffee-cup.jpg", "animals/jellyfish.jpg")
    program("index", program.folder / "in")
    assert program("saved").stdout == b"" and "No search is saved" in program("saved").stderr
    outcome = program("search", "ext:jpg coffee", "--all", "--save", "cups")
    assert outcome.code == 0 and "clipsearch search @cups" in outcome.stderr
    program("search", "ext:jpg", "--save", "every", "-q")
    assert program("saved").stdout == b"cups\text:jpg coffee\nevery\text:jpg\n"
    assert program("saved", "--json").json[0] == {"name": "cups", "query": "ext:jpg coffee"}
    assert "@cups" in program.on_terminal("saved").text
    assert len(program("search", "@every").paths) == 2
    assert program("saved", "remove", "@cups").code == 0
    assert "Did you mean every?" in program("saved", "remove", "evry").stderr
    assert 'no saved search "cups"' in said_once(program("saved", "remove", "cups"), 2)
    assert program("saved").stdout == b"every\text:jpg\n"


def test_a_label_that_zsl_saves_is_found(program: Program, photos: Path) -> None:
    """Labels that are printed and gone have to be computed again for every question."""
    copied(photos, program.folder / "in", "food/coffee-cup.jpg", "animals/jellyfish.jpg")
    program("index", program.folder / "in")
    outcome = program("zsl", program.folder / "in", "--labels", "a cup of coffee,jellyfish", "--save")
    assert outcome.code == 0 and "Saved the best label of 2 photos" in outcome.stderr
    assert [os.path.basename(path) for path in program("search", "label:jellyfish").paths] == ["jellyfish.jpg"]
    found = program("search", 'label:"a cup of coffee"').paths
    assert [os.path.basename(path) for path in found] == ["coffee-cup.jpg"]


def test_another_best_label_of_the_same_set_replaces_the_one_before(program: Program, photos: Path) -> None:
    """A photo that once was taken for a dog would be found as a dog for ever."""
    copied(photos, program.folder / "in", "animals/jellyfish.jpg")
    program("index", program.folder / "in")
    program("zsl", program.folder / "in", "--labels", "coffee,dog", "--save")
    (first,) = [label for label in ("coffee", "dog") if program("search", f"label:{label}").paths]
    program("zsl", program.folder / "in", "--labels", "a person,a car", "--save")
    assert program("search", f"label:{first}").code == 0  # another question, another answer
    program("zsl", program.folder / "in", "--labels", "coffee,dog,jellyfish", "--save")
    assert program("search", f"label:{first}").code == 1 and program("search", "label:jellyfish").code == 0


def test_photos_outside_the_library_get_no_label_and_that_is_said(program: Program, photos: Path) -> None:
    """Who looks for the label later would think that the photo is not one."""
    copied(photos, program.folder / "in", "animals/jellyfish.jpg")
    program("index", program.folder / "in")
    copied(photos, program.folder / "in", "food/coffee-cup.jpg")
    outcome = program("zsl", program.folder / "in", "--labels", "coffee,jellyfish", "--save")
    assert "best label of 1 photo." in outcome.stderr
    assert "1 of these photos are not in the library" in outcome.stderr


def test_saving_labels_without_a_library_is_refused_before_the_work(program: Program, photos: Path) -> None:
    """An hour of labelling, and then an error."""
    outcome = program("zsl", photos / "food", "--labels", "cup,dog", "--save")
    assert "library" in said_once(outcome, 3) and outcome.stdout == b""
