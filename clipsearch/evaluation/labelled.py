"""Photos whose classes are known: what a set of them is, whatever form it was published in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError
from clipsearch.evaluation.arrays import LabelledArrays
from clipsearch.evaluation.cifar import read_cifar
from clipsearch.evaluation.class_folders import ClassFolders, class_folders
from clipsearch.evaluation.drawn import drawn
from clipsearch.evaluation.idx import read_idx
from clipsearch.evaluation.known_sets import KNOWN_SETS, KnownSet, known_set
from clipsearch.types import Picture

_COPIES = (".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPhotos:
    name: str  # of the set, for a person: "CIFAR-10 test", or the folder's name
    classes: tuple[str, ...]  # as they are asked; two of ImageNet's have one name
    pictures: Sequence[Picture]  # files, or uint8 RGB arrays (height, width, 3)
    truth: NDArray[np.int64]  # (pictures,), the class of each, from 0
    published: str | None = None  # the set that it is of, as published templates and figures name it: "cifar10"
    differences: tuple[str, ...] = ()  # why a figure over it is none like the published ones; clauses

    @property
    def templates(self) -> tuple[str, ...]:
        """What is asked where nobody says: the name of the templates published for the set, if there are any."""
        return () if self.published is None else known_set(self.published).templates


def labelled_photos(folder: Path, per_class: int | None = None, set_name: str | None = None) -> LabelledPhotos:
    """The set in `folder`: CIFAR and MNIST as published, or class folders. Of each class `per_class`, drawn the same
    each time.

    `set_name` says which published set it is of, where the files do not tell; class folders are then held against its
    classes, and all of these are asked. Raises UsageError where there is none, or another one, or more than one.
    """
    named = None if set_name is None else known_set(set_name)
    arrays = [*read_cifar(folder), *read_idx(folder)] if folder.is_dir() else []
    if not arrays:
        return _of_folders(folder, class_folders(folder, per_class), named)
    if named is not None:
        arrays = [one for one in arrays if one.set in (None, named.name) or not one.published]
    if len(arrays) != 1:
        raise UsageError(
            f"{folder} holds no {named.title}." if named and not arrays else f"{folder} holds more than one set.",
            "Say which with --set, or name the folder of one.",
        )
    name = named.name if named else arrays[0].set
    if name is None:
        raise UsageError(
            f"Which set {folder} holds cannot be told: its labels are not the published ones.",
            "Say it: --set mnist, or --set fashion-mnist",
        )
    return _of_arrays(arrays[0], known_set(name), per_class)


def drawn_labelled(photos: LabelledPhotos, most: int) -> LabelledPhotos:
    """At most that many of them, drawn by chance, the same ones each time; all classes are asked."""
    count = len(photos.pictures)
    if count <= most:
        return photos
    kept = drawn(count, most)
    return replace(
        photos,
        pictures=[photos.pictures[place] for place in kept],
        truth=photos.truth[kept],
        differences=(*photos.differences, f"{most:,} of its {count:,} photos were drawn"),
    )


def _of_arrays(arrays: LabelledArrays, of: KnownSet, per_class: int | None) -> LabelledPhotos:
    if arrays.truth.max() >= len(of.classes):
        raise UsageError(f"It has {arrays.truth.max() + 1} classes; {of.title} has {len(of.classes)}.", "Name another.")
    of_class = (np.flatnonzero(arrays.truth == number) for number in range(len(of.classes)))
    kept = np.sort(np.concatenate([places[drawn(len(places), per_class)] for places in of_class]))
    differences = []
    if not arrays.published:
        differences.append("its labels are not those of the published files")
    elif arrays.part != "test":
        differences.append(f"it is the {arrays.part} part")
    differences += _count_differs(len(kept), of)
    return LabelledPhotos(
        name=f"{of.title} {arrays.part}",
        classes=of.classes,
        pictures=[arrays.pixels[place] for place in kept],
        truth=arrays.truth[kept],
        published=of.name,
        differences=tuple(differences),
    )


def _of_folders(folder: Path, folders: ClassFolders, named: KnownSet | None) -> LabelledPhotos:
    of = named or _told_by_names(folders.names)
    files = [file for _, file in folders.photos]
    truth = np.array([number for number, _ in folders.photos], np.int64)
    if of is None:
        return LabelledPhotos(folder.resolve().name, folders.names, files, truth)
    numbers = _numbers(folders, of)
    copies = sum(file.suffix.lower() in _COPIES for file in files) if of.lossless else 0
    differences = [f"{copies:,} of its pictures are JPEG copies, or packed in another lossy way"] if copies else []
    return LabelledPhotos(
        name=f"{of.title}, class folders",
        classes=of.classes,
        pictures=files,
        truth=numbers[truth],
        published=of.name,
        differences=(*differences, *_count_differs(len(files), of)),
    )


def _told_by_names(names: Sequence[str]) -> KnownSet | None:
    """The set with these classes. Ten folders 0 to 9 are anybody's: stars of a review, months, or MNIST's digits."""
    if all(name.isdecimal() for name in names):
        return None
    return next((one for one in KNOWN_SETS if _forms(names) == _forms(one.classes)), None)


def _numbers(folders: ClassFolders, of: KnownSet) -> NDArray[np.int64]:
    """Of each folder, in their order, the class of the set."""
    if of.name == "imagenet" and None not in folders.imagenet:
        return np.array(folders.imagenet)
    places = {_form(name): number for number, name in reversed(list(enumerate(of.classes)))}
    for name in folders.names:
        if _form(name) not in places:
            raise UsageError(f'{of.title} has no class "{name}".', "Name another set, or none: folders name classes.")
    return np.array([places[_form(name)] for name in folders.names])


def _count_differs(count: int, of: KnownSet) -> list[str]:
    if count == of.pictures:
        return []
    return [f"it has {count:,} pictures, not {of.pictures:,}"]


def _forms(names: Sequence[str]) -> list[str]:
    return sorted(map(_form, names))


def _form(name: str) -> str:
    """How names of classes are compared: a folder can be called neither T-shirt/top nor, by some, apple pie."""
    return re.sub(r"[\W_]", "", name.lower())
