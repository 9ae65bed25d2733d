"""IDX files as MNIST's, whole, cut short, and as bombs."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.evaluation import idx
from clipsearch.evaluation.idx import read_idx

PIXELS = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([7, 2, 1], np.uint8)


def packed(numbers: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    sizes = shape or numbers.shape
    return struct.pack(f">I{len(sizes)}I", 0x800 + len(sizes), *sizes) + numbers.tobytes()


def written(folder: Path, images: bytes, labels: bytes, stem: str = "t10k-", end: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        content = gzip.compress(content) if end else content
        (folder / f"{stem}{name}{end}").write_bytes(content)
    return folder


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("place", ["", "raw", "MNIST/raw"])
def test_grey_pictures_come_as_rgb_row_by_row(end: str, place: str, tmp_path: Path) -> None:
    """A digit on its side is no digit."""
    written(tmp_path / place, packed(PIXELS), packed(LABELS), end=end)
    (found,) = read_idx(tmp_path)
    assert found.pixels.shape == (3, 4, 5, 3)
    assert all(np.array_equal(found.pixels[..., channel], PIXELS) for channel in range(3))
    assert found.truth.tolist() == [7, 2, 1] and not found.published


def test_the_test_part_is_read_where_both_are_there(tmp_path: Path) -> None:
    """Published figures are over it."""
    written(tmp_path, packed(PIXELS), packed(LABELS), "train-")
    assert read_idx(tmp_path)[0].part == "train"
    written(tmp_path, packed(PIXELS[:1]), packed(LABELS[:1]))
    assert len(read_idx(tmp_path)[0].truth) == 1


def test_a_set_is_told_by_its_labels_and_else_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST and Fashion-MNIST have the same file names: shirts asked as digits score 10 %, and no one knows why."""
    monkeypatch.setitem(idx._LABELS, hashlib.sha256(packed(LABELS)).hexdigest(), ("fashion-mnist", "test"))
    (found,) = read_idx(written(tmp_path / "mnist", packed(PIXELS), packed(LABELS)))
    assert (found.set, found.part, found.published) == ("fashion-mnist", "test", True)
    other = packed(LABELS[::-1].copy())
    sets = {
        name: read_idx(written(tmp_path / name / "raw", packed(PIXELS), other))[0].set
        for name in ("FashionMNIST", "mnist", "KMNIST")
    }
    assert sets == {"FashionMNIST": "fashion-mnist", "mnist": "mnist", "KMNIST": None}


LYING = {
    "cut short": (packed(PIXELS)[:-1], packed(LABELS), r"ends after 59 of 60 bytes"),
    "goes on": (packed(PIXELS) + b"0", packed(LABELS), "goes on after the 60 bytes"),
    "no head": (b"\0\0\x08", packed(LABELS), "is no IDX file"),
    "of floats": (b"\0\0\x0d" + packed(PIXELS)[3:], packed(LABELS), "is no IDX file"),
    "labels for pictures": (packed(LABELS), packed(LABELS), "is no IDX file"),
    "four billion pictures": (packed(PIXELS, (2**32 - 1, 28, 28)), packed(LABELS), "no such set does"),
    "wide": (packed(PIXELS, (3, 1, 2**31)), packed(LABELS), "no such set does"),
    "none": (packed(PIXELS[:0]), packed(LABELS[:0]), "no such set does"),
    "a gigabyte": (packed(PIXELS, (1_000_000, 32, 32)), packed(LABELS), "more than"),
    "more labels": (packed(PIXELS), packed(np.arange(4, dtype=np.uint8)), "has 4 labels"),
    "labels cut short": (packed(PIXELS), packed(LABELS)[:-1], "ends after 2 of 3 bytes"),
}


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("lie", LYING, ids=str)
def test_a_header_that_lies_is_refused_and_takes_no_memory(lie: str, end: str, tmp_path: Path) -> None:
    """Twelve bytes can promise 14 TB."""
    images, labels, says = LYING[lie]
    written(tmp_path, images, labels, end=end)
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=says):
            read_idx(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("claimed", [3, 300_000])
def test_a_packed_bomb_is_not_unpacked(claimed: int, tmp_path: Path) -> None:
    """A megabyte of zeros, packed, is a gigabyte."""
    written(tmp_path, b"", packed(LABELS), end=".gz")
    with gzip.open(tmp_path / "t10k-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(packed(PIXELS[:0], (claimed, 28, 28)))
        for _ in range(100):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=r"goes on|ends after"):
            read_idx(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 160 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", gzip.compress(packed(PIXELS))[:-12], b"\x1f\x8b\x08\0" + bytes(range(99))],
    ids=["empty", "two bytes", "cut short", "garbled"],
)
def test_a_damaged_archive_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    """gzip and zlib raise five kinds of errors."""
    written(tmp_path, packed(PIXELS), packed(LABELS), end=".gz")
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(UsageError, match=r"idx3-ubyte.gz (is|ends)"):
        read_idx(tmp_path)


def test_labels_that_are_missing_or_of_no_class_are_told(tmp_path: Path) -> None:
    """A picture without its class cannot be right."""
    written(tmp_path / "mnist", packed(PIXELS), packed(LABELS + 3))
    with pytest.raises(UsageError, match="picture 0 is of class 10"):
        read_idx(tmp_path / "mnist")
    next((tmp_path / "mnist").glob("*labels*")).unlink()
    with pytest.raises(UsageError, match="has no labels beside it"):
        read_idx(tmp_path / "mnist")
