"""Class folders as they are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipsearch.errors import SystemFault, UsageError
from clipsearch.evaluation.class_folders import class_folders
from clipsearch.labels.sets import imagenet_names


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"a photo")
    return folder


def test_folders_are_classes_and_underscores_are_blanks(tmp_path: Path) -> None:
    """`golden_retriever` is no word that a model knows."""
    made(tmp_path, "golden_retriever/2.jpg", "golden_retriever/1.jpg", "cat/deep/3.png", "cat/notes.txt", "top.jpg")
    found = class_folders(tmp_path)
    assert found.names == ("cat", "golden retriever")
    assert [[file.name for file in files] for files in found.files] == [["3.png"], ["1.jpg", "2.jpg"]]
    assert [number for number, _ in class_folders(tmp_path, 1).photos] == [0, 1]


def test_imagenets_numbers_get_its_names(tmp_path: Path) -> None:
    """Imagenette has ten of them; n02979186 is a number to a model, and a cassette player to a person."""
    made(tmp_path, "n01440764/1.jpg", "n02979186/1.jpg", "n03888257/1.jpg", "n99999999/1.jpg")
    found = class_folders(tmp_path)
    assert found.names == ("tench", "cassette player", "parachute", "n99999999")
    assert found.imagenet == (0, 482, 701, None)
    assert len(imagenet_names()) == 1000


@pytest.mark.parametrize("names", [("1.jpg", "2.jpg"), ("cat/readme.txt",)])
def test_a_folder_without_classes_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Photos beside each other have no class that could be right."""
    with pytest.raises(UsageError):
        class_folders(made(tmp_path / "set", *names))
    with pytest.raises(SystemFault):
        class_folders(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (os.fsdecode(b"caf\xe9"), "is not UTF-8"),
        ("_", "names no class"),
        ("ice cream", "are one class"),
        ("Ice__Cream", "are one class"),
    ],
)
def test_folders_that_name_no_class_of_their_own_are_refused(name: str, why: str, tmp_path: Path) -> None:
    """Of two classes with one name the second is always wrong; a name that is no text cannot be asked at all."""
    with pytest.raises(UsageError, match=why):
        class_folders(made(tmp_path, "ice_cream/1.jpg", f"{name}/1.jpg"))


def test_imagenets_two_missiles_are_two_classes(tmp_path: Path) -> None:
    """Two of its classes have one name, and published figures count both."""
    assert class_folders(made(tmp_path, "n03773504/1.jpg", "n04008634/1.jpg")).imagenet == (657, 744)
    with pytest.raises(UsageError, match="are one class"):
        class_folders(made(tmp_path, "missile/1.jpg"))


def test_the_photos_of_a_class_are_drawn_from_all_of_it(tmp_path: Path) -> None:
    """The first twenty by name are one burst of one camera: a figure over them is of one scene."""
    made(tmp_path, *(f"{name}/{number:03}.jpg" for name in ("cat", "dog") for number in range(200)))
    cats, dogs = ([int(file.stem) for file in files] for files in class_folders(tmp_path, 20).files)
    assert cats == dogs == sorted(set(cats)) and len(cats) == 20
    assert cats[0] < 50 and cats[-1] >= 150 and cats != list(range(20))
    assert set(cats) <= {int(file.stem) for file in class_folders(tmp_path, 40).files[0]}
    assert len(class_folders(tmp_path, 300).files[0]) == 200
