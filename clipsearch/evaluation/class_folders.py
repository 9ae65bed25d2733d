"""A folder of class folders: the photos of each, and what the classes are called."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from clipsearch.errors import UsageError
from clipsearch.labels.sets import imagenet_names
from clipsearch.photos import listed

_WNID = re.compile(r"n\d{8}")  # WordNet's numbers, by which ImageNet's folders are named


@dataclass(frozen=True, slots=True)
class ClassFolders:
    names: tuple[str, ...]  # of the classes, as they are asked
    files: tuple[tuple[Path, ...], ...]  # of each class, in the order of their names

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
        raise UsageError(f"{folder} has no class folders with photos.", f"Expected: {folder}/cat/1.jpg")
    return ClassFolders(_called([one.name for one in folders]), tuple(tuple(one[:per_class]) for one in files))


def _called(names: list[str]) -> tuple[str, ...]:
    """ImageNet's numbers by their names, in their order; else words, for folders have underscores."""
    if len(names) == 1000 and all(map(_WNID.fullmatch, names)):
        return imagenet_names()
    return tuple(" ".join(name.replace("_", " ").split()) for name in names)
