"""A folder of class folders: the photos of each, and what the classes are called."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clipsearch.errors import SystemFault, UsageError
from clipsearch.evaluation.drawn import drawn
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
    """Of each class `per_class` photos, drawn the same each time; all where it is None.

    Raises UsageError where there are no class folders with photos, or one whose name is no class of its own.
    """
    if not folder.is_dir():
        raise SystemFault(f"There is no folder {folder}.", "Check the spelling, or plug in the disk it lies on.")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = [sorted(Path(os.fsdecode(path)) for path in listed(os.fsencode(one))) for one in folders]
    if not any(files):
        raise UsageError(
            f"{folder} has no class folders with photos.",
            f"Expected: {folder}/cat/1.jpg, or the files of CIFAR or MNIST as they are published.",
        )
    numbers = tuple(imagenet_numbers().get(one.name) for one in folders)
    names = tuple(_called(one.name, number) for one, number in zip(folders, numbers, strict=True))
    _check_names(folders, names, numbers)
    kept = tuple(tuple(one[place] for place in drawn(len(one), per_class)) for one in files)
    return ClassFolders(names, kept, numbers)


def _check_names(folders: Sequence[Path], names: Sequence[str], numbers: Sequence[int | None]) -> None:
    """Raises UsageError. Models read capitals as small letters, so that names which differ in them alone are one."""
    first: dict[str, int] = {}
    for place, (folder, name) in enumerate(zip(folders, names, strict=True)):
        if not _is_text(name):
            raise UsageError(f"The name of the folder {folder} is not UTF-8.", "Rename it: its name is what is asked.")
        if not name:
            raise UsageError(f"The folder {folder} names no class.", "Call it as the class is called.")
        other = first.setdefault(unicodedata.normalize("NFC", name).casefold(), place)
        if other != place and None in (numbers[place], numbers[other]):  # two of ImageNet's names stand for two classes
            raise UsageError(
                f'The folders {folders[other].name} and {folder.name} are one class, "{name}".',
                "Put their photos into one folder, or name one otherwise.",
            )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8 come as lone surrogates
        return False
    return True


def _called(folder: str, number: int | None) -> str:
    """ImageNet's classes by their names; else words, for folders have underscores."""
    return " ".join(folder.replace("_", " ").split()) if number is None else imagenet_names()[number]


@cache
def imagenet_numbers() -> dict[str, int]:
    """WordNet's numbers, by which ImageNet's folders are named, to the numbers of its classes."""
    return {wnid: number for number, wnid in enumerate(_WNIDS.read_text("ascii").split())}
