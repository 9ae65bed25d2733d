"""Photos that moved to another disk: the library follows, and nothing is read or encoded again."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from clipsearch.errors import LibraryError, SystemFault, UsageError
from clipsearch.events import Summary
from tests.index.filled import own_vector, photo
from tests.upkeep.kept import Kept


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path)
    made.add(*range(4))
    made.add(10, 11, folder="trip")
    made.index(made.photos)
    return made


def relocate(kept: Kept, old: Path | bytes, new: Path | bytes, **how: bool) -> tuple[int, int, int]:
    with kept.library as library:
        done = library.relocate(old, new, **how)
        return done.files, done.same, done.unread


def indexed(kept: Kept) -> tuple[int, int, int]:
    """(unchanged, removed, encoded) of an index run over all that is known."""
    done: Summary = kept.index()
    return done.unchanged, done.removed, kept.encoder.encoded


def names(kept: Kept) -> list[tuple[str, int]]:
    return [(os.path.relpath(os.fsdecode(path), kept.base), files) for path, files, _ in kept.roots()]


def test_photos_on_another_disk_are_found_there_and_none_is_read(kept: Kept) -> None:
    """A new disk must not cost a night of encoding, nor a second copy of everything in the results."""
    truth, new = kept.vectors(), kept.base / "elsewhere"
    kept.photos.rename(new)
    assert relocate(kept, kept.photos, new, dry_run=True) == (6, 6, 6)
    assert names(kept) == [("photos", 6)]
    assert relocate(kept, kept.photos, new) == (6, 6, 6)
    assert indexed(kept) == (6, 0, 0)
    old, moved = os.fsencode(kept.photos), os.fsencode(new)
    assert kept.vectors() == {path.replace(old, moved): vector for path, vector in truth.items()}
    assert [path for path, _ in kept.nearest(new / "003.jpg", 1)] == [os.fsencode(new / "003.jpg")]


def test_a_place_where_none_of_the_photos_is_is_refused_unless_it_is_meant(kept: Kept) -> None:
    """A slip of the finger would make the whole library point at nothing."""
    other = kept.base / "other"
    photo(other / "000.jpg", 77, width=64)
    with pytest.raises(SystemFault, match=r"None of 6 files looked for is in .*other, so nothing was changed"):
        relocate(kept, kept.photos, other)
    assert names(kept) == [("photos", 6)]
    away = kept.base / "not mounted yet"
    assert relocate(kept, kept.photos, away, force=True) == (6, 0, 0)
    assert kept.roots() == [(os.fsencode(away), 6, False)]
    kept.photos.rename(away)
    assert indexed(kept) == (6, 0, 0)


def test_a_place_that_was_forced_is_listed_though_nothing_in_it_is_known(kept: Kept) -> None:
    """Taken for another disk, it would stay offline whatever its owner does."""
    new = kept.base / "tidied"
    for number, path in enumerate(sorted(kept.photos.rglob("*.jpg"))):
        (new / "2020").mkdir(parents=True, exist_ok=True)
        path.rename(new / "2020" / f"new name {number}.jpg")
    shutil.rmtree(kept.photos)
    assert relocate(kept, kept.photos, new, force=True) == (6, 0, 0)
    done: Summary = kept.index()
    assert (done.offline, done.moved) == ((), 6)
    assert kept.roots() == [(os.fsencode(new), 6, True)]


def test_copies_with_another_time_are_read_again_and_not_encoded(kept: Kept) -> None:
    """A copy that lost its times is the same photo."""
    new = kept.base / "new"
    kept.photos.rename(new)
    for path in new.rglob("*.jpg"):
        os.utime(path, ns=(1, 1))
    assert relocate(kept, kept.photos, new) == (6, 6, 0)
    assert indexed(kept) == (0, 0, 0)
    assert indexed(kept) == (6, 0, 0) and len(kept.found()) == 6


def test_a_folder_above_several_roots_moves_all_of_them_and_back(kept: Kept) -> None:
    """A disk with three indexed folders would need three commands, and be half moved in between."""
    disk = kept.base / "disk"
    for seed, name in enumerate(("a", "a/.hidden", "b/c"), 50):
        photo(disk / name / "one.jpg", seed)
        kept.index(disk / name)
    disk.rename(kept.base / "disk2")
    assert relocate(kept, disk, kept.base / "disk2") == (3, 3, 3)
    assert names(kept)[1:] == [("disk2/a", 1), ("disk2/a/.hidden", 1), ("disk2/b/c", 1)]
    assert indexed(kept) == (9, 0, 0)
    # Into a folder of its own and out again, where one takes the path that another one leaves.
    shutil.move(kept.base / "disk2" / "a", kept.base / "disk2" / "x")
    (kept.base / "disk2" / "a").mkdir()
    shutil.move(kept.base / "disk2" / "x", kept.base / "disk2" / "a" / ".hidden")
    assert relocate(kept, kept.base / "disk2" / "a", kept.base / "disk2" / "a" / ".hidden") == (2, 2, 2)
    assert names(kept)[1:] == [("disk2/a/.hidden", 1), ("disk2/a/.hidden/.hidden", 1), ("disk2/b/c", 1)]
    assert indexed(kept) == (9, 0, 0)


def test_a_new_place_that_was_indexed_already_gets_each_path_once(kept: Kept) -> None:
    """Who copies, indexes and only then relocates would see every photo twice."""
    new = kept.base / "new"
    shutil.copytree(kept.photos, new)
    (new / "003.jpg").unlink()
    photo(new / "more.jpg", 99)
    changed = photo(new / "001.jpg", 98)
    kept.index(new)
    with kept.library as library:
        (root,) = library.relocate(kept.photos, new).roots
    assert root.into == os.fsencode(new)
    own = own_vector(changed, kept.encoder).astype("<f2").tobytes()
    assert kept.vectors()[os.fsencode(changed)] == own, "what was seen there is newer"
    assert names(kept) == [("new", 7)]
    assert indexed(kept) == (6, 1, 0) and len(kept.found()) == 6
    assert all(not copies for copies in kept.found().values())


def test_a_new_place_inside_or_around_another_root_joins_it(kept: Kept) -> None:
    """Two roots that list one folder would find each photo twice from then on."""
    archive, outer, disk = (kept.base / name for name in ("archive", "outer", "disk"))
    photo(archive / "a.jpg", 20)
    photo(outer / "o.jpg", 21)
    kept.index(archive)
    kept.index(outer)
    shutil.move(kept.photos, archive / "2020")
    relocate(kept, kept.photos, archive / "2020")
    assert names(kept) == [("archive", 7), ("outer", 1)]
    assert indexed(kept) == (8, 0, 0)
    outer.rename(disk)
    shutil.move(archive, disk / "archive")
    relocate(kept, archive, disk / "archive")
    relocate(kept, outer, disk)
    assert names(kept) == [("disk", 8)]
    assert indexed(kept) == (8, 0, 0) and len(kept.found()) == 8


def test_a_root_that_is_away_is_not_taken_in(kept: Kept) -> None:
    """It would be listed as empty, and its photos be gone instead of offline (I5)."""
    disk, inner = kept.base / "disk", kept.base / "disk" / "archive"
    photo(inner / "a.jpg", 20)
    kept.index(inner)
    inner.rename(kept.base / "unplugged")
    shutil.rmtree(disk)
    kept.photos.rename(disk)
    relocate(kept, kept.photos, disk)
    assert sorted(names(kept)) == [("disk", 6), ("disk/archive", 1)]
    assert indexed(kept) == (6, 0, 0) and len(kept.found()) == 7


def test_what_cannot_be_relocated_says_why(kept: Kept) -> None:
    """A sentence that does not say which folder, or what else to do."""
    with pytest.raises(UsageError) as told:
        relocate(kept, kept.photos / "trip", kept.base / "trip")
    assert told.value.message == f"{kept.photos}/trip is a folder inside the indexed {kept.photos}."
    with pytest.raises(UsageError, match="are the same"):
        relocate(kept, kept.photos, kept.photos)
    with pytest.raises(LibraryError, match="Nothing in /nowhere is indexed"):
        relocate(kept, Path("/nowhere"), kept.photos)
    for how in ({}, {"dry_run": True}):
        with pytest.raises(LibraryError, match="no library"):
            relocate(Kept(kept.base / "none"), kept.photos, kept.base, **how)


def test_all_moves_are_one_transaction(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a disk at the old place and half at the new one is a library that nobody can put right."""
    from clipsearch.index.relocation import MovableCatalog

    disk = kept.base / "disk"
    for seed, name in enumerate(("a", "b"), 50):
        photo(disk / name / "one.jpg", seed)
        kept.index(disk / name)
    before = names(kept)
    seen: list[bytes] = []

    def stop(self: MovableCatalog, root: object) -> None:
        seen.append(b"")
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(MovableCatalog, "look_at", stop)
    with pytest.raises(KeyboardInterrupt):
        relocate(kept, disk, kept.base / "disk2", force=True)
    assert names(kept) == before


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_names_that_are_not_utf_8_and_single_photos_move_too(tmp_path: Path) -> None:
    """A photo whose name was written on another system would be lost on the way."""
    kept = Kept(tmp_path)
    old, new = Path(os.fsdecode(os.fsencode(tmp_path) + b"/fotos \xe9")), tmp_path / "neu"
    (single, inside) = photo(old / "single.jpg", 1), photo(old / os.fsdecode(b"\xfc") / "a.jpg", 2)
    kept.index(single)
    kept.index(inside.parent)
    old.rename(new)
    assert relocate(kept, os.fsencode(old), os.fsencode(new)) == (2, 2, 2)
    assert set(kept.found()) == {os.fsencode(new) + b"/single.jpg", os.fsencode(new) + b"/\xfc/a.jpg"}
    assert indexed(kept) == (2, 0, 0)


def test_a_single_photo_that_was_relocated_and_then_deleted_is_gone(tmp_path: Path) -> None:
    """Taken for one on a disk that is away, it would stay in the results for good."""
    kept = Kept(tmp_path)
    single = photo(kept.base / "here" / "one.jpg", 1)
    kept.index(single)
    new = kept.base / "there" / "one.jpg"
    new.parent.mkdir()
    single.rename(new)
    assert relocate(kept, single, new) == (1, 1, 1)
    new.unlink()
    done: Summary = kept.index()
    assert (done.removed, done.offline) == (1, ())
