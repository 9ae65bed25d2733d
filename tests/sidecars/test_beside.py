"""Which sidecar is a photo's, and writing labels there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipsearch.labels.sets import read_label_set
from clipsearch.sidecars import beside
from clipsearch.sidecars.beside import Change, Sidecars
from clipsearch.sidecars.packet import keywords, with_label
from clipsearch.types import FailedFile

LABELS = read_label_set(b'labels = ["receipt"]\n[label.cat]\nunder = "pet"\n[label.pet]\nunder = "animal"', "a.toml")


def made(folder: Path, *names: str) -> list[bytes]:
    for name in names:
        (folder / name).write_bytes(with_label(None, ("mine",)) or b"" if name.endswith("mp") else b"pixels")
    return [os.fsencode(folder / name) for name in names]


def plan(*labelled: tuple[bytes, str | None]) -> list[Change | FailedFile]:
    return list(Sidecars(LABELS).planned(labelled))


@pytest.mark.parametrize(
    ("there", "photo", "sidecar"),
    [
        (["a.jpg"], "a.jpg", "a.jpg.xmp"),
        (["a.jpg", "a.xmp"], "a.jpg", "a.xmp"),
        (["a.jpg", "a.xmp", "a.jpg.xmp"], "a.jpg", "a.jpg.xmp"),
        (["a.jpg", "a.JPG", "a.xmp"], "a.jpg", "a.jpg.xmp"),
        (["a.jpg", "a.cr2", "a.xmp"], "a.jpg", "a.jpg.xmp"),
        (["a.jpg", "a.cr2", "a.xmp"], "a.cr2", "a.xmp"),
        (["a.jpg", "a.txt", "a.b.jpg", "a.XMP"], "a.jpg", "a.XMP"),
        (["a.cr2", "a.xmp"], "a.cr2", "a.xmp"),
        (["a.cr2", "a.dng", "a.xmp"], "a.cr2", "a.cr2.xmp"),
        (["a.cr2", "a.dng", "a.xmp"], "a.dng", "a.dng.xmp"),
        (["a.cr2", "a.cr2.jpg", "a.cr2.xmp"], "a.cr2", "a.cr2.xmp"),
        (["a.cr2", "a.cr2.jpg", "a.cr2.xmp"], "a.cr2.jpg", "a.cr2.jpg.xmp"),
    ],
)
def test_the_sidecar_that_is_there_is_taken_unless_it_is_anothers(
    tmp_path: Path, there: list[str], photo: str, sidecar: str
) -> None:
    """A second one beside it would hide the first; another photo's would get the label of this one."""
    made(tmp_path, *there)
    assert Sidecars(LABELS).sidecar_of(os.fsencode(tmp_path / photo)) == os.fsencode(tmp_path / sidecar)


def test_a_plan_writes_nothing_and_says_what_writing_does(tmp_path: Path) -> None:
    """Who looks first would have done it already; or something else than was told."""
    one, two, three, _ = made(tmp_path, "1.jpg", "2.jpg", "3.jpg", "2.xmp")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    asked = [(one, "cat"), (two, "receipt"), (three, None)]
    changes = plan(*asked)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert [one.kind for one in changes if isinstance(one, Change)] == ["made", "changed", "unchanged"]
    sidecars = Sidecars(LABELS)
    assert [sidecars.write(one) for one in changes if isinstance(one, Change)] == [None] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.jpg", "1.jpg.xmp", "2.jpg", "2.xmp", "3.jpg"]
    assert b"animal|pet|cat" in (tmp_path / "1.jpg.xmp").read_bytes()
    assert keywords((tmp_path / "2.xmp").read_bytes()) == ["mine", "receipt"]
    assert all(path.read_bytes() == before[path] for path in before if path.suffix == ".jpg")
    assert [one.kind for one in plan(*asked) if isinstance(one, Change)] == ["unchanged"] * 3


def test_a_sidecar_that_cannot_be_read_is_named_and_stays(tmp_path: Path) -> None:
    """Another program's half-written file would be replaced by ours."""
    one, two = made(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "1.jpg.xmp").write_text("<x:xmpmeta")
    broken, good = plan((one, "cat"), (two, "cat"))
    assert isinstance(broken, FailedFile) and broken.path == one + b".xmp" and "well-formed" in broken.reason
    assert isinstance(good, Change) and good.kind == "made"
    change = Change(one, one + b".xmp", "changed", "cat")  # it was whole when it was planned
    assert isinstance(Sidecars(LABELS).write(change), FailedFile)
    assert (tmp_path / "1.jpg.xmp").read_text() == "<x:xmpmeta"
    (gone,) = plan((os.fsencode(tmp_path / "absent.jpg"), "cat"))
    assert isinstance(gone, FailedFile) and "not there" in gone.reason and b"absent.jpg" in gone.path
    away = tmp_path / "away"  # a disk with ten thousand photos is one line
    assert plan((os.fsencode(away / "1.jpg"), "cat")) == [
        FailedFile(os.fsencode(away), "the folder is not there now", 1)
    ]


def test_two_raws_of_one_name_have_each_their_own_label(tmp_path: Path) -> None:
    """The label of the first was replaced by the second's, and both were told as written."""
    cat, receipt, _ = made(tmp_path, "p.cr2", "p.dng", "p.xmp")
    sidecars = Sidecars(LABELS)
    for change in plan((cat, "cat"), (receipt, "receipt")):
        assert isinstance(change, Change) and sidecars.write(change) is None
    assert keywords((tmp_path / "p.cr2.xmp").read_bytes()) == ["cat"]
    assert keywords((tmp_path / "p.dng.xmp").read_bytes()) == ["receipt"]
    assert keywords((tmp_path / "p.xmp").read_bytes()) == ["mine"]


@pytest.mark.parametrize("name", ["q.jpg.xmp", "q.xmp"])
def test_a_link_to_a_sidecar_that_is_not_there_is_left_alone(tmp_path: Path, name: str) -> None:
    """The disk with the sidecars is away; a new file at its place would stand in for years of edits."""
    (photo,) = made(tmp_path, "q.jpg")
    away = tmp_path / "away"
    away.mkdir()
    (tmp_path / name).symlink_to(away / name)
    (failed,) = plan((photo, "cat"))
    assert isinstance(failed, FailedFile) and failed.path == os.fsencode(tmp_path / name)
    assert "link" in failed.reason
    change = Change(photo, os.fsencode(tmp_path / name), "changed", "cat")  # it was there when it was planned
    assert isinstance(Sidecars(LABELS).write(change), FailedFile)
    assert list(away.iterdir()) == [] and (tmp_path / name).is_symlink()
    (away / name).write_bytes(with_label(None, ("mine",)) or b"")
    (found,) = plan((photo, "cat"))
    assert isinstance(found, Change) and Sidecars(LABELS).write(found) is None
    assert keywords((away / name).read_bytes()) == ["mine", "cat"] and (tmp_path / name).is_symlink()


def test_a_folder_that_may_only_be_read_is_one_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand lines about one folder; and the photos of the others would wait."""
    folders = tmp_path / "locked", tmp_path / "open"
    photos = []
    for folder in folders:
        folder.mkdir()
        photos += made(folder, "1.jpg", "2.jpg")
    access = os.access  # root may write anywhere
    monkeypatch.setattr(
        beside.os, "access", lambda path, mode: b"locked" not in os.fsencode(path) and access(path, mode)
    )
    found = plan(*((photo, "cat") for photo in photos))
    failures = {(one.path, one.reason) for one in found if isinstance(one, FailedFile)}
    assert failures == {(os.fsencode(folders[0]), "the folder is read-only")}
    assert [one.kind for one in found if isinstance(one, Change)] == ["made", "made"]


def test_a_sidecar_is_the_old_or_the_new_one_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years of keywords in a file that is cut short."""
    (photo,) = made(tmp_path, "1.jpg")
    sidecars = Sidecars(LABELS)
    (change,) = (one for one in plan((photo, "cat")) if isinstance(one, Change))
    assert sidecars.write(change) is None
    sidecar = tmp_path / "1.jpg.xmp"
    sidecar.chmod(0o640)
    before = sidecar.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("clipsearch.files.sync_file", full)
        failed = sidecars.write(Change(photo, os.fsencode(sidecar), "changed", "receipt"))
    assert isinstance(failed, FailedFile) and failed.reason == "no space left on device"
    assert sidecar.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["1.jpg", "1.jpg.xmp"]
    assert sidecars.write(Change(photo, os.fsencode(sidecar), "changed", "receipt")) is None
    assert keywords(sidecar.read_bytes()) == ["receipt"] and sidecar.stat().st_mode & 0o777 == 0o640
