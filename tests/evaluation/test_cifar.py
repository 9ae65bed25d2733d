"""CIFAR as it is published, whole, cut short, and as nobody published it."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.evaluation.cifar import read_cifar
from tests.support.cifar import batch, data, framed, pair, text

# Three pictures whose red, green and blue are told apart, and whose rows are told from their columns.
PICTURES = np.zeros((3, 32, 32, 3), np.uint8)
PICTURES[0, 0, :, 0] = 200  # the uppermost row is red
PICTURES[1, :, 0, 1] = 150  # the left column is green
PICTURES[2, 31, 31, 2] = 100  # the last corner is blue
PLANES = PICTURES.transpose(0, 3, 1, 2).reshape(3, -1)
LABELS = [3, 0, 9]


def records(*label_bytes: list[int]) -> bytes:
    return b"".join(bytes(labels) + row.tobytes() for *labels, row in zip(*label_bytes, PLANES, strict=True))


@pytest.mark.parametrize(
    ("folder", "file", "content", "name"),
    [
        ("cifar-10-batches-bin", "test_batch.bin", records(LABELS), "cifar10"),
        ("cifar-100-binary", "test.bin", records([19, 18, 0], LABELS), "cifar100"),
        ("cifar-10-batches-py", "test_batch", batch(LABELS, PLANES.tobytes()), "cifar10"),
        ("cifar-100-python", "test", batch(LABELS, PLANES.tobytes(), key=b"fine_labels"), "cifar100"),
    ],
    ids=["binary 10", "binary 100", "python 10", "python 100"],
)
def test_each_form_gives_the_same_pictures(folder: str, file: str, content: bytes, name: str, tmp_path: Path) -> None:
    """Red for blue, or rows for columns, costs a model some points, and nobody sees why."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / file).write_bytes(content)
    for place in (tmp_path, tmp_path / folder):  # where the archive was unpacked, or the folder that it unpacks to
        (found,) = read_cifar(place)
        assert (found.set, found.part) == (name, "test")
        assert np.array_equal(found.pixels, PICTURES) and found.truth.tolist() == LABELS


def test_the_test_part_comes_before_the_train_part(tmp_path: Path) -> None:
    """Published figures are over the test part; models may have seen the other."""
    for number in (1, 2):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(records(LABELS))
    (found,) = read_cifar(tmp_path)
    assert (found.part, len(found.truth)) == ("train", 6)
    (tmp_path / "test_batch.bin").write_bytes(records(LABELS))
    (found,) = read_cifar(tmp_path)
    assert (found.part, len(found.truth)) == ("test", 3)


@pytest.mark.parametrize(
    "content", [b"", records(LABELS)[:-1], records([3, 0, 10])], ids=["empty", "cut short", "of no class"]
)
def test_a_binary_file_that_is_not_whole_pictures_is_refused(content: bytes, tmp_path: Path) -> None:
    """One byte lost shifts every picture behind it, and the figure looks like one all the same."""
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(UsageError, match=r"test_batch.bin (has|says)"):
        read_cifar(tmp_path)


@pytest.mark.parametrize("name", ["test", "train", "test.bin", "train.bin"])
def test_a_stray_file_with_a_common_name_is_no_set(name: str, tmp_path: Path) -> None:
    """CIFAR-100's files are called test and train: a note beside class folders stopped every figure over them."""
    (tmp_path / name).write_text("notes\n")
    assert read_cifar(tmp_path) == []


@pytest.mark.parametrize("beside", ["meta", "fine_label_names.txt"])
def test_renamed_folders_of_cifar_100_are_told_by_what_lies_beside(beside: str, tmp_path: Path) -> None:
    """Who calls the folder otherwise has the same files."""
    (tmp_path / "test.bin").write_bytes(records([19, 18, 0], LABELS))
    (tmp_path / beside).touch()
    assert [one.set for one in read_cifar(tmp_path)] == ["cifar100"]


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("was-here",)


WHOLE = batch(LABELS, PLANES.tobytes())
HUGE = struct.pack("<i", 2**31 - 1)
ATTACKS = {
    "runs a command": b"cos\nsystem\n(S'mkdir was-here'\ntR.",
    "Python 3 runs a function": pickle.dumps(Bomb()),
    "protocol 0": pickle.dumps({"data": Bomb()}, 0),
    "builtins by way of numpy": b"\x80\x02cnumpy\n__builtins__\n.",
    "eval behind a known name": WHOLE.replace(b"cnumpy\ndtype", b"cbuiltins\neval"),
    "an instance": b"\x80\x02(inumpy\ndtype\n.",
    "makes an object": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "an extension": b"\x80\x02\x82\x01.",
    "a name outside": b"\x80\x02U\x01aQ.",
    "calls a text": b"\x80\x02U\x01aU\x01b\x85R.",
    "an array of objects": WHOLE.replace(b"U\x02u1", b"U\x02O8"),
    "more pictures than bytes": batch(LABELS, PLANES.tobytes(), count=60_000),
    "fewer pictures than labels": batch([*LABELS, 1], PLANES.tobytes(), count=3),
    "2 GB in ten bytes": b"\x80\x02T" + HUGE + b"abc.",
    "8 EB in ten bytes": b"\x80\x04\x8e" + struct.pack("<q", 2**62) + b".",
    "a memo of four billion": b"\x80\x02]r\xff\xff\xff\xffh\xff.",
    "three million lists": b"\x80\x02(" + b"]" * 3_000_000 + b"t.",
    "a number of a million digits": b"\x80\x02I" + b"9" * 1_000_000 + b"\n.",
    "a list in itself": b"\x80\x02]q\x01h\x01a.",
    "lists for keys": b"\x80\x02}](K\x01es.",
    "no stack": b"\x80\x02tttt.",
    "marks without things": b"\x80\x02}" + b"(" * 100 + b"u.",
    "numbers for labels' list": framed(text(b"labels") + b"K\x01" + data(PLANES.tobytes(), 3)),
    "texts for labels": framed(text(b"labels") + b"](U\x01ae" + data(PLANES.tobytes(), 3)),
    "labels beyond the classes": batch([3, 0, 10], PLANES.tobytes()),
    "labels below them": batch([3, 0, -1], PLANES.tobytes()),
    "a shape of shapes": WHOLE.replace(b"M\x00\x0c\x86", b"K\x01" + b"\x85" * 50_000 + b"\x86"),
    "a shape of megabytes": WHOLE.replace(
        b"M\x00\x0c\x86", b"T" + struct.pack("<i", 4 << 20) + bytes(4 << 20) + b"\x86"
    ),
    "no pictures": framed(pair(b"labels", LABELS)),
    "cut short": WHOLE[:-4000],
    "cut at its end": WHOLE[:-1],
    "empty": b"",
    "not a pickle": b"<html>404</html>",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_hostile_pickle_is_refused_and_runs_nothing(
    attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pickle.load` of a data set that somebody sends is a program of theirs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_batch").write_bytes(ATTACKS[attack])
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=r"nothing of it was run|is of class") as refused:
            read_cifar(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "was-here").exists()
    assert "\n" not in refused.value.message and len(refused.value.message) < 100 + len(str(tmp_path)) * 2


@pytest.mark.parametrize("name", ["test_batch", "test_batch.bin"])
def test_a_larger_file_than_any_is_not_read(name: str, tmp_path: Path) -> None:
    """A sparse file of a terabyte takes no room on the disk."""
    with (tmp_path / name).open("wb") as file:
        file.truncate(3073 << 28)
    with pytest.raises(UsageError, match=r"more than any file of CIFAR|no whole pictures"):
        read_cifar(tmp_path)
