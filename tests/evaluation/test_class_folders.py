"""Class folders as they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipsearch.errors import UsageError
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
    assert [(number, file.name) for number, file in class_folders(tmp_path, 1).photos] == [(0, "3.png"), (1, "1.jpg")]


def test_imagenets_numbers_get_its_names(tmp_path: Path) -> None:
    """Imagenette has ten of them; n02979186 is a number to a model, and a cassette player to a person."""
    made(tmp_path, "n01440764/1.jpg", "n02979186/1.jpg", "n03888257/1.jpg", "n99999999/1.jpg")
    found = class_folders(tmp_path)
    assert found.names == ("tench", "cassette player", "parachute", "n99999999")
    assert found.imagenet == (0, 482, 701, None)
    assert len(imagenet_names()) == 1000


@pytest.mark.parametrize("names", [(), ("1.jpg", "2.jpg"), ("cat/readme.txt",)])
def test_a_folder_without_classes_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Photos beside each other have no class that could be right."""
    with pytest.raises(UsageError):
        class_folders(made(tmp_path / "set", *names) if names else tmp_path / "set")
