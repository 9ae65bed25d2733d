"""MNIST and the sets that took its form: IDX files, plain or packed with gzip.

A file begins with two zeros, the type of its numbers (8: bytes) and how many sizes follow, each as four bytes, the
highest first; then the numbers (yann.lecun.com/exdb/mnist). Several sets have files of the same names, so which one it
is, is told by the SHA-256 of its labels.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from clipsearch.evaluation.arrays import LabelledArrays, check_labels, unfit

_PLACES = ("", "raw", "MNIST/raw", "FashionMNIST/raw")  # the latter as torchvision keeps them
_IMAGES = re.compile(r"(.*)images[.-]idx3-ubyte(\.gz)?")
_MOST_PICTURES = 1_000_000
_MOST_PIXELS = 256 << 20  # bytes; MNIST's train part has 47 million
_LARGEST_SIDE = 256  # px
_CLASSES = 10
_CHUNK = 1 << 20  # bytes: a packed file that holds less than it says costs no more than it holds
# SHA-256 of the label files, unpacked: what they are of, and which part.
_LABELS = {
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2": ("mnist", "test"),
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5": ("mnist", "train"),
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34": ("fashion-mnist", "test"),
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9": ("fashion-mnist", "train"),
}
_FOLDERS = {"mnist": "mnist", "fashionmnist": "fashion-mnist"}  # what a folder may be called, letters only


def read_idx(folder: Path) -> list[LabelledArrays]:
    """The sets in `folder`, and where torchvision keeps them in it; of each the test part, if it is there.

    Raises UsageError for files that are cut short, say what is not so, or would unpack to more than they say.
    """
    return [found for place in _PLACES if (found := _read(folder / place)) is not None]


def _read(place: Path) -> LabelledArrays | None:
    files = [path for path in sorted(place.glob("*images?idx3-ubyte*"), reverse=True) if path.is_file()]
    named = {found[1]: path for path in files if (found := _IMAGES.fullmatch(path.name))}  # the plain one before .gz
    if not named:
        return None
    stem = min(named, key=lambda stem: (not re.search("t10k|test", stem), stem))
    images, labels = named[stem], _labels_beside(named[stem])
    numbers = _content(labels, dimensions=1)
    pixels = _content(images, dimensions=3)
    if len(numbers) != len(pixels):
        raise unfit(images, f"has {len(pixels):,} pictures, and {labels.name} has {len(numbers):,} labels")
    truth = numbers.astype(np.int64)
    known = _LABELS.get(hashlib.sha256(struct.pack(">II", 0x801, len(numbers)) + numbers.tobytes()).hexdigest())
    name, part = known or (_by_folder(images.parent), stem.strip("-._") or "all")
    if name is not None:
        check_labels(labels, truth, _CLASSES)
    grey = np.broadcast_to(pixels[..., None], (*pixels.shape, 3))
    return LabelledArrays(name, part, grey, truth, published=known is not None)


def _labels_beside(images: Path) -> Path:
    plain = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    found = next((path for end in ("", ".gz") if (path := images.with_name(plain + end)).is_file()), None)
    if found is None:
        raise unfit(images, f"has no labels beside it, in {plain} or {plain}.gz")
    return found


def _by_folder(folder: Path) -> str | None:
    """What the folder is called, or the one above it: torchvision keeps them in MNIST/raw."""
    names = (re.sub("[^a-z]", "", one.name.lower()) for one in (folder.resolve(), folder.resolve().parent))
    return next((_FOLDERS[name] for name in names if name in _FOLDERS), None)


def _content(path: Path, dimensions: int) -> NDArray[np.uint8]:
    try:
        with _opened(path) as file:
            shape = _shape(path, file, dimensions)
            return _numbers(path, file, prod(shape)).reshape(shape)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise unfit(path, "is damaged, or cut short") from error
    except OSError as error:
        raise unfit(path, f"cannot be read ({error.strerror})") from error


def _opened(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")


def _shape(path: Path, file: gzip.GzipFile | IO[bytes], dimensions: int) -> tuple[int, ...]:
    head = file.read(4 + 4 * dimensions)
    if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
        raise unfit(path, f"is no IDX file of bytes in {dimensions} dimension{'s' * (dimensions > 1)}")
    count, *sides = struct.unpack(f">{dimensions}I", head[4:])
    if not 1 <= count <= _MOST_PICTURES or not all(1 <= side <= _LARGEST_SIDE for side in sides):
        raise unfit(path, f"says that it holds {' x '.join(map(str, (count, *sides)))} numbers; no such set does")
    if count * prod(sides) > _MOST_PIXELS:
        raise unfit(path, f"says that it holds {count * prod(sides):,} bytes, more than {_MOST_PIXELS:,}")
    return count, *sides


def _numbers(path: Path, file: gzip.GzipFile | IO[bytes], size: int) -> NDArray[np.uint8]:
    """Just so many bytes, and no more behind them: what else is packed in the file is never unpacked."""
    parts, left = [], size
    while left and (part := file.read(min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    if left:
        raise unfit(path, f"ends after {size - left:,} of {size:,} bytes")
    if file.read(1):
        raise unfit(path, f"goes on after the {size:,} bytes that it says it has")
    return np.frombuffer(b"".join(parts), np.uint8)
