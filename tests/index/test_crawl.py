"""What a walk finds, and what a plan decides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.events import Unlisted
from clipsearch.index.catalog import KnownFile, Root
from clipsearch.index.crawl import Changes, Listing, identity_of, plan, walk
from clipsearch.types import Stamp

FOLDERS = st.sampled_from([b"", b"a", b"a/b", b"ab", b"c"])
NAMES = st.sampled_from([b"1.jpg", b"2.jpg", b"3.jpg"])
STAMPS = st.builds(Stamp, FOLDERS, NAMES, st.integers(0, 2), st.integers(0, 2), st.integers(0, 4))


def place(stamp: Stamp) -> tuple[bytes, bytes]:
    return stamp.folder, stamp.name


@st.composite
def known_files(draw: st.DrawFn) -> list[KnownFile]:
    stamps = draw(st.lists(STAMPS, unique_by=place))
    files = []
    for number, stamp in enumerate(stamps):
        kind = draw(st.sampled_from(["embedded", "other space", "failed"]))
        files.append(
            KnownFile(
                number,
                stamp,
                None if kind == "failed" else 100 + number,
                kind == "embedded",
                draw(st.sampled_from(["old", "new"])) if kind == "failed" else None,
            )
        )
    return files


SEEN = st.lists(STAMPS, unique_by=place)


def after(known: list[KnownFile], changes: Changes) -> list[KnownFile]:
    """The catalog once the changes were carried out and every fresh file was read."""
    files = {place(file.stamp): file for file in known}
    for file, _ in changes.moved:
        del files[place(file.stamp)]
    for file in changes.gone:
        del files[place(file.stamp)]
    for file, stamp in changes.moved:
        files[place(stamp)] = KnownFile(file.id, stamp, file.photo_id, True, None)
    for number, stamp in enumerate(changes.fresh):
        files[place(stamp)] = KnownFile(1000 + number, stamp, 1000 + number, True, None)
    return list(files.values())


# -- plan -------------------------------------------------------------------------------------------


@given(known_files(), SEEN, st.lists(FOLDERS, max_size=2))
def test_every_stamp_and_every_known_file_is_in_exactly_one_place(
    known: list[KnownFile], seen: list[Stamp], unlisted: list[bytes]
) -> None:
    """A stamp in no place is a photo never found; a file in two is deleted and kept."""
    changes = plan(known, seen, unlisted=unlisted, decoder="new")
    read = [*changes.fresh, *(stamp for _, stamp in changes.moved)]
    assert len(read) == len(set(read))
    assert set(read) <= set(seen)
    assert len(read) + changes.unchanged == len(seen)
    moved = {file.id for file, _ in changes.moved}
    gone = {file.id for file in changes.gone}
    assert not moved & gone
    assert len(moved) == len(changes.moved) and len(gone) == len(changes.gone)
    shown = {place(stamp) for stamp in seen}
    below = {
        file.id
        for file in known
        if any(not parent or (file.stamp.folder + b"/").startswith(parent + b"/") for parent in unlisted)
    }
    absent = {file.id for file in known if place(file.stamp) not in shown}
    assert moved | gone == absent - below


@given(known_files(), SEEN)
def test_a_plan_carried_out_leaves_nothing_to_do(known: list[KnownFile], seen: list[Stamp]) -> None:
    """A plan that never settles would read the same photos in every run."""
    again = plan(after(known, plan(known, seen, decoder="new")), seen, decoder="new")
    assert (again.fresh, again.moved, again.gone) == ((), (), ())
    assert again.unchanged == len(seen)


@given(known_files(), SEEN, FOLDERS)
def test_a_folder_that_cannot_be_listed_loses_nothing(
    known: list[KnownFile], seen: list[Stamp], unlisted: bytes
) -> None:
    """(I5) A disk that fails for a moment must not empty the library."""
    changes = plan(known, seen, unlisted=[unlisted], decoder="new")
    lost = [*changes.gone, *(file for file, _ in changes.moved)]
    assert not [file for file in lost if not unlisted or (file.stamp.folder + b"/").startswith(unlisted + b"/")]


@given(known_files(), SEEN)
def test_only_an_equal_file_moves_and_only_from_a_place_that_is_empty_now(
    known: list[KnownFile], seen: list[Stamp]
) -> None:
    """A move between different files would show a wrong path under a right picture."""
    changes = plan(known, seen, decoder="new")
    for file, stamp in changes.moved:
        assert file.complete
        assert (file.stamp.inode, file.stamp.size, file.stamp.mtime_ns) == (stamp.inode, stamp.size, stamp.mtime_ns)
        assert place(file.stamp) not in {place(seen_stamp) for seen_stamp in seen}


def test_a_renamed_file_is_moved_and_not_read_again() -> None:
    """Tidying up a folder must not cost an encoding of all of it."""
    before, renamed = Stamp(b"a", b"1.jpg", 5, 6, 7), Stamp(b"b", b"2.jpg", 5, 6, 7)
    file = KnownFile(1, before, 10, True, None)
    assert plan([file], [renamed], decoder="new") == Changes((), ((file, renamed),), (), 0)


@pytest.mark.parametrize(("failed_by", "size", "tried_again"), [("new", 5, False), ("old", 5, True), ("new", 6, True)])
def test_a_failure_is_tried_again_only_when_it_changed_or_the_decoder_did(
    failed_by: str, size: int, tried_again: bool
) -> None:
    """Broken files must not be read in every run, nor stay broken after an upgrade."""
    file = KnownFile(1, Stamp(b"", b"1.jpg", 5, 6, 7), None, False, failed_by)
    seen = Stamp(b"", b"1.jpg", size, 6, 7)
    assert plan([file], [seen], decoder="new").fresh == ((seen,) if tried_again else ())


def test_a_file_without_a_vector_in_this_space_is_fresh() -> None:
    """After a change of models every photo must be encoded anew."""
    seen = Stamp(b"", b"1.jpg", 5, 6, 7)
    assert plan([KnownFile(1, seen, 10, False, None)], [seen], decoder="new").fresh == (seen,)


def test_a_new_inode_alone_is_not_a_change() -> None:
    """Network and FUSE disks number their files anew at each mount; that must not read a whole NAS."""
    known = KnownFile(1, Stamp(b"", b"1.jpg", 5, 6, 7), 10, True, None)
    assert plan([known], [Stamp(b"", b"1.jpg", 5, 6, 99)], decoder="new").unchanged == 1


def test_a_file_that_was_renamed_over_another_of_its_size_and_time_is_told_by_its_inode() -> None:
    """Frames of one burst are alike to the byte in size; the wrong picture would answer under this path for good."""
    first = KnownFile(1, Stamp(b"", b"1.bmp", 5, 6, 7), 10, True, None)
    second = KnownFile(2, Stamp(b"", b"2.bmp", 5, 6, 8), 11, True, None)
    over = Stamp(b"", b"1.bmp", 5, 6, 8)
    assert plan([first, second], [over], decoder="new") == Changes((), ((second, over),), (), 0)
    swapped = [over, Stamp(b"", b"2.bmp", 5, 6, 7)]
    assert plan([first, second], swapped, decoder="new").fresh == tuple(swapped)
    unknown = Stamp(b"", b"3.bmp", 5, 6, 9)  # it was linked to the first, and is new itself
    linked = [Stamp(b"", b"1.bmp", 5, 6, 9), second.stamp, unknown]
    assert set(plan([first, second], linked, decoder="new").fresh) == {linked[0], unknown}


# -- walk -------------------------------------------------------------------------------------------


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def root_at(path: Path, exclude: tuple[str, ...] = (), *, is_file: bool = False) -> Root:
    return Root(1, os.fsencode(path), is_file, exclude, None)


def listed(path: Path, exclude: tuple[str, ...] = ()) -> list[bytes]:
    listing = walk(root_at(path, exclude))
    assert isinstance(listing, Listing)
    assert listing.unlisted == ()
    return [os.path.join(stamp.folder, stamp.name) for stamp in listing.stamps]


def test_walk_finds_photos_in_all_folders_in_a_repeatable_order(tmp_path: Path) -> None:
    """A run that lists differently each time cannot be resumed or compared."""
    for name in ("b.jpg", "a.JPG", "notes.txt", "sub/deep/c.png", "sub/d.webp", "Ordner mit Leerzeichen/e.tif"):
        touch(tmp_path / name)
    assert listed(tmp_path) == [
        b"a.JPG", b"b.jpg", b"Ordner mit Leerzeichen/e.tif", b"sub/d.webp", b"sub/deep/c.png",
    ]  # fmt: skip


def test_a_raw_is_listed_when_its_jpeg_is_not(tmp_path: Path) -> None:
    """The JPEG that stands for it must be one that is searched: here, in this folder, and not excluded."""
    for name in ("a/1.jpg", "a/1.NEF", "b/1.NEF", "a/2.nef"):
        touch(tmp_path / name)
    (tmp_path / "a" / "2.jpg").mkdir()
    assert listed(tmp_path) == [b"a/1.jpg", b"a/2.nef", b"b/1.NEF"]
    assert listed(tmp_path, ("*.jpg",)) == [b"a/1.NEF", b"a/2.nef", b"b/1.NEF"]
    (tmp_path / "a" / "1.jpg").unlink()
    assert listed(tmp_path) == [b"a/1.NEF", b"a/2.nef", b"b/1.NEF"]


def test_walk_stamps_a_file_as_the_disk_shows_it(tmp_path: Path) -> None:
    """A stamp that loses precision misses an edit within the second."""
    touch(tmp_path / "sub" / "a.jpg")
    os.utime(tmp_path / "sub" / "a.jpg", ns=(1, 1_500_000_000_123_456_789))
    listing = walk(root_at(tmp_path))
    assert isinstance(listing, Listing)
    status = os.stat(tmp_path / "sub" / "a.jpg")
    assert listing.stamps == (Stamp(b"sub", b"a.jpg", 1, status.st_mtime_ns, status.st_ino),)
    assert listing.device == identity_of(root_at(tmp_path)) != identity_of(root_at(tmp_path / "sub"))


@pytest.mark.parametrize(
    "skipped",
    [".hidden.jpg", "._IMG_1.jpg", ".AppleDouble/a.jpg", "._folder/a.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
     ".Trash-1000/files/a.jpg", "Trash/a.jpg", "$RECYCLE.BIN/a.jpg", "#recycle/a.jpg", "lost+found/a.jpg",
     "__MACOSX/a.jpg", "sub/.thumbnails/a.jpg"],
)  # fmt: skip
def test_walk_skips_hidden_names_thumbnails_and_trash(tmp_path: Path, skipped: str) -> None:
    """Thumbnails of a NAS and deleted photos would answer instead of the photos."""
    touch(tmp_path / "kept.jpg")
    touch(tmp_path / skipped)
    assert listed(tmp_path) == [b"kept.jpg"]


def test_a_root_may_itself_be_hidden_or_called_trash(tmp_path: Path) -> None:
    """A folder that the user names is wanted, whatever it is called."""
    touch(tmp_path / ".Trash" / "a.jpg")
    assert listed(tmp_path / ".Trash") == [b"a.jpg"]


def test_excludes_of_a_root_follow_gitignore_syntax(tmp_path: Path) -> None:
    """Patterns that differ from what people know from git exclude the wrong photos."""
    for name in ("a.jpg", "a.png", "raw/b.jpg", "raw/keep/c.jpg", "sub/raw/d.jpg", "sub/e.jpg"):
        touch(tmp_path / name)
    assert listed(tmp_path, ("*.png", "/raw/")) == [b"a.jpg", b"sub/e.jpg", b"sub/raw/d.jpg"]
    assert listed(tmp_path, ("raw/",)) == [b"a.jpg", b"a.png", b"sub/e.jpg"]
    assert listed(tmp_path, ("*.jpg", "!e.jpg")) == [b"a.png", b"sub/e.jpg"]


def test_an_ignore_file_rules_its_own_folder_and_below(tmp_path: Path) -> None:
    """An ignore file deep in one album must not hide photos of another."""
    for name in ("x.jpg", "sub/x.jpg", "sub/deep/x.jpg", "sub/deep/y.jpg", "other/x.jpg"):
        touch(tmp_path / name)
    (tmp_path / "sub" / ".clipsearchignore").write_text("# a comment\n/x.jpg\ndeep/y.jpg\n")
    assert listed(tmp_path) == [b"x.jpg", b"other/x.jpg", b"sub/deep/x.jpg"]


def test_a_deeper_ignore_file_may_take_back_what_a_higher_one_excludes(tmp_path: Path) -> None:
    """As in git: the pattern nearest to the file decides, or one album could not be an exception."""
    for name in ("a.png", "sub/b.png", "sub/deep/c.png"):
        touch(tmp_path / name)
    (tmp_path / ".clipsearchignore").write_text("*.png\n")
    (tmp_path / "sub" / ".clipsearchignore").write_text("!*.png\n")
    assert listed(tmp_path) == [b"sub/b.png", b"sub/deep/c.png"]


def test_no_ignore_file_takes_back_what_the_user_excludes_by_name(tmp_path: Path) -> None:
    """`--exclude` is what the user says now; a file on an old disk must not overrule it."""
    touch(tmp_path / "sub" / "b.png")
    (tmp_path / "sub" / ".clipsearchignore").write_text("!*.png\n")
    assert listed(tmp_path, ("*.png",)) == []


def test_links_that_loop_are_walked_once(tmp_path: Path) -> None:
    """A link to its own parent would list photos until the path is too long."""
    touch(tmp_path / "album" / "a.jpg")
    (tmp_path / "album" / "up").symlink_to(tmp_path)
    (tmp_path / "album" / "self").symlink_to("self")
    (tmp_path / "zz").symlink_to(tmp_path / "album")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    assert listed(tmp_path) == [b"album/a.jpg"]


def test_a_link_to_a_photo_is_listed_and_a_link_to_nowhere_is_not(tmp_path: Path) -> None:
    """A link to nowhere would be a failure in every run."""
    touch(tmp_path / "real" / "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "real" / "a.jpg")
    (tmp_path / "c.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert listed(tmp_path) == [b"b.jpg", b"real/a.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this platform")
def test_a_fifo_named_as_a_photo_is_not_listed(tmp_path: Path) -> None:
    """Whoever opens it would wait for ever."""
    os.mkfifo(tmp_path / "photo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    touch(tmp_path / "a.jpg")
    assert listed(tmp_path) == [b"a.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse such names")
def test_names_that_are_not_utf8_or_hold_newlines_are_names(tmp_path: Path) -> None:
    """Old archives are full of them; they must neither stop a walk nor be excluded by accident."""
    names = [b"caf\xe9.jpg", b"new\nline.jpg", b"\xff\xfe/a\x01.jpg"]
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass
    assert listed(tmp_path, ("*.png",)) == names
    assert listed(tmp_path, ("new*",)) == [names[0], names[2]]
    assert listed(tmp_path, ("caf*",)) == names[1:]


def test_a_missing_root_is_unlisted_not_empty(tmp_path: Path) -> None:
    """(I5) An unplugged disk would delete all its photos."""
    outcome = walk(root_at(tmp_path / "gone"))
    assert isinstance(outcome, Unlisted)
    assert outcome.path == os.fsencode(tmp_path / "gone")
    assert "No such file" in outcome.reason


def test_a_root_that_is_one_file_lists_that_file_alone(tmp_path: Path) -> None:
    """A photo named by itself must not bring its neighbours, and is taken whatever its name."""
    touch(tmp_path / "a.jpg")
    touch(tmp_path / ".scan")
    listing = walk(root_at(tmp_path / ".scan", is_file=True))
    assert isinstance(listing, Listing)
    assert [(stamp.folder, stamp.name) for stamp in listing.stamps] == [(b"", b".scan")]


def test_a_root_that_is_one_file_is_gone_only_when_its_folder_can_be_listed(tmp_path: Path) -> None:
    """(I5) The photo on an unplugged disk is not deleted, the one in a folder without it is."""
    absent = walk(root_at(tmp_path / "a.jpg", is_file=True))
    assert isinstance(absent, Listing) and absent.stamps == ()
    assert isinstance(walk(root_at(tmp_path / "unplugged" / "a.jpg", is_file=True)), Unlisted)


# Permission bits do not apply to root, so the walk is done by a child that is nobody.
_AS_NOBODY = """
import os, sys
from clipsearch.index.catalog import Root
from clipsearch.index.crawl import walk
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
listing = walk(Root(1, os.fsencode(sys.argv[1]), False, (), None))
print([stamp.name for stamp in listing.stamps], [unlisted.path for unlisted in listing.unlisted])
"""


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
@pytest.mark.parametrize(("mode", "why"), [(0o000, "not listable"), (0o444, "listable, but its files have no stat")])
def test_a_folder_without_permission_is_unlisted_and_its_neighbours_are_found(
    open_to_all: Path, mode: int, why: str
) -> None:
    """(I5) A changed permission must not delete what lies below."""
    touch(open_to_all / "locked" / "a.jpg")
    touch(open_to_all / "locked" / "c.jpg")
    touch(open_to_all / "open" / "b.jpg")
    (open_to_all / "locked").chmod(mode)
    try:
        child = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, open_to_all], capture_output=True, text=True, check=True, timeout=60
        )
    finally:
        (open_to_all / "locked").chmod(0o755)
    assert child.stdout.strip() == "[b'b.jpg'] [b'locked']", why


def test_a_folder_whose_listing_fails_midway_is_unlisted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """(I5) A failing disk must not delete photos."""
    touch(tmp_path / "bad" / "a.jpg")
    touch(tmp_path / "b.jpg")
    real = os.scandir

    def scandir(path: bytes) -> object:
        if path.endswith(b"bad"):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    listing = walk(root_at(tmp_path))
    assert isinstance(listing, Listing)
    assert [stamp.name for stamp in listing.stamps] == [b"b.jpg"]
    assert listing.unlisted == (Unlisted(b"bad", "Input/output error"),)


def test_folders_may_be_nested_deeper_than_python_calls(tmp_path: Path) -> None:
    """One odd tree would end the run of a whole library."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_100):  # by descriptors: the whole path may be longer than a call takes
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("a.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    try:
        listing = walk(Root(1, os.fsencode(tmp_path), False, (), None))
    finally:
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # Python's own way recurses
    assert isinstance(listing, Listing) and [stamp.name for stamp in listing.stamps] == [b"a.jpg"]
