"""CIFAR-10 and CIFAR-100 as they are published: the binary and the python version.

The binary version is records of one label byte (CIFAR-100: coarse, then fine) and 3,072 bytes, 1,024 of red, green and
blue each, row by row (cs.toronto.edu/~kriz/cifar.html). The python version is pickles; cifar_pickle.py reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.evaluation.arrays import LabelledArrays, check_labels, unfit
from clipsearch.evaluation.cifar_pickle import read_batch

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]  # (pictures, 3072) and (pictures,)

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_MOST = 50_000  # pictures in a file: CIFAR-100's train part is one


@dataclass(frozen=True, slots=True)
class _Layout:
    set: str
    classes: int
    folder: str  # that the published archive unpacks to
    parts: tuple[tuple[str, tuple[str, ...]], ...]  # the test part first: figures are over it
    read: Callable[[Path], Batch]


def read_cifar(folder: Path) -> list[LabelledArrays]:
    """Each CIFAR that lies in `folder`, or in a folder there with its published name; the test part where it is there.

    Raises UsageError for files that are cut short, or hold something else.
    """
    found: dict[str, LabelledArrays] = {}
    for layout in _LAYOUTS:
        for place in (folder, folder / layout.folder):
            part = next((one for one in layout.parts if (place / one[1][0]).is_file()), None)
            if part is not None and layout.set not in found and _tells(place, layout):
                found[layout.set] = _read(place, layout, *part)
    return list(found.values())


def _tells(place: Path, layout: _Layout) -> bool:
    """Files of CIFAR-100 are called test and train: by that alone anybody's file is one."""
    beside = (any(place.glob(pattern)) for pattern in ("meta", "fine_label_names*"))
    return place.name == layout.folder or layout.set == "cifar10" or any(beside)


def _read(place: Path, layout: _Layout, part: str, names: tuple[str, ...]) -> LabelledArrays:
    batches = []
    for path in (place / name for name in names if (place / name).is_file()):
        pixels, truth = layout.read(path)
        check_labels(path, truth, layout.classes)
        batches.append((pixels, truth))
    rows = np.concatenate([pixels for pixels, _ in batches])
    pixels = rows.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return LabelledArrays(layout.set, part, pixels, np.concatenate([truth for _, truth in batches]))


def _binary(labels: int) -> Callable[[Path], Batch]:
    """Records with that many label bytes, of which the last is the class."""

    def read(path: Path) -> Batch:
        record, size = labels + _PIXELS, path.stat().st_size
        if size == 0 or size % record or size // record > _MOST:
            raise unfit(path, f"has {size:,} bytes, which are no whole pictures of {record:,}")
        rows = np.fromfile(path, np.uint8).reshape(-1, record)
        return rows[:, labels:], rows[:, labels - 1].astype(np.int64)

    return read


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_LAYOUTS = (
    _Layout(
        "cifar10",
        10,
        "cifar-10-batches-bin",
        (("test", ("test_batch.bin",)), ("train", tuple(f"{name}.bin" for name in _BATCHES))),
        _binary(1),
    ),
    _Layout(
        "cifar10",
        10,
        "cifar-10-batches-py",
        (("test", ("test_batch",)), ("train", _BATCHES)),
        lambda path: read_batch(path, b"labels"),
    ),
    _Layout(
        "cifar100",
        100,
        "cifar-100-binary",
        (("test", ("test.bin",)), ("train", ("train.bin",))),
        _binary(2),
    ),
    _Layout(
        "cifar100",
        100,
        "cifar-100-python",
        (("test", ("test",)), ("train", ("train",))),
        lambda path: read_batch(path, b"fine_labels"),
    ),
)
