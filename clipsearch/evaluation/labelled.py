"""Photos whose classes are known: what a set of them is, whatever form it was published in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.evaluation.class_folders import class_folders
from clipsearch.types import Picture


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPhotos:
    name: str  # of the set, for a person: "CIFAR-10", or the folder's name
    classes: tuple[str, ...]  # as they are asked; two of ImageNet's have one name
    pictures: Sequence[Picture]  # files, or uint8 RGB arrays (height, width, 3)
    truth: NDArray[np.int64]  # (pictures,), the class of each, from 0
    published: str | None = None  # the set that it is of, as published templates and figures name it: "cifar10"


def labelled_photos(folder: Path, per_class: int | None = None) -> LabelledPhotos:
    """The set in `folder`, of each class the first `per_class`. Raises UsageError where there is none."""
    folders = class_folders(folder, per_class)
    photos = folders.photos
    truth = np.array([number for number, _ in photos], np.int64)
    return LabelledPhotos(folder.resolve().name, folders.names, [file for _, file in photos], truth)
