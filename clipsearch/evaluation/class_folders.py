"""A folder of class folders: the photos of each, and what the classes are called."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clipsearch.errors import UsageError
from clipsearch.labels.sets import imagenet_names
from clipsearch.photos import listed

_WNIDS = Path(__file__).with_name("imagenet_wnids.txt")


@dataclass(frozen=True, slots=True)
class ClassFolders:
    names: tuple[str, ...]  # of the classes, as they are asked
    files: tuple[tuple[Path, ...], ...]  # of each class, in the order of their names
    imagenet: tuple[int | None, ...]  # ImageNet's number of each class, 0..999, where its folder is named so

    @property
    def photos(self) -> list[tuple[int, Path]]:
        """(class, photo) of all."""
        return [(number, file) for number, files in enumerate(self.files) for file in files]


def class_folders(folder: Path, per_class: int | None = None) -> ClassFolders:
    """The first `per_class` photos of each class. Raises UsageError where there are no class folders with photos."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.", "Name a folder with one folder for each class.")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = [sorted(Path(os.fsdecode(path)) for path in listed(os.fsencode(one))) for one in folders]
    if not any(files):
        raise UsageError(
            f"{folder} has no class folders with photos.",
            f"Expected: {folder}/cat/1.jpg, or the files of CIFAR or MNIST as they are published.",
        )
    numbers = tuple(imagenet_numbers().get(one.name) for one in folders)
    names = tuple(_called(one.name, number) for one, number in zip(folders, numbers, strict=True))
    return ClassFolders(names, tuple(tuple(one[:per_class]) for one in files), numbers)


def _called(folder: str, number: int | None) -> str:
    """ImageNet's classes by their names; else words, for folders have underscores."""
    return " ".join(folder.replace("_", " ").split()) if number is None else imagenet_names()[number]


@cache
def imagenet_numbers() -> dict[str, int]:
    """WordNet's numbers, by which ImageNet's folders are named, to the numbers of its classes."""
    return {wnid: number for number, wnid in enumerate(_WNIDS.read_text("ascii").split())}
