"""Bundles into a library: each whole or not at all, once, in any order; and what is wrong with one is one sentence."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from clipsearch.bundles.folder import MANIFEST, read_manifest, seal, write_part
from clipsearch.bundles.header import FORMAT
from clipsearch.bundles.rows import Copy, Place, Row, Unread
from clipsearch.errors import ClipsearchError, LibraryBusy, ModelError, SystemFault, UsageError
from clipsearch.files import writer_lock
from clipsearch.opened import catalog_path
from clipsearch.transfer.merging import Merged
from tests.bundles.made import HEADER, ROOT, bundle, photo
from tests.bundles.test_folder import rechecked
from tests.index.filled import photo as picture
from tests.sharding.made import share
from tests.transfer.content import content
from tests.upkeep.kept import Kept

pytest.importorskip("pyarrow", reason='bundles need pip install "clipsearch[parquet]"')


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "kept")


def merge(kept: Kept, *bundles: Path, **how: object) -> Merged:
    with kept.library as library:
        return library.merge(bundles, **how)  # type: ignore[arg-type]


def files(kept: Kept) -> list[tuple[object, ...]]:
    return content(kept)["files"]


def test_bundles_give_a_library_that_answers(kept: Kept, tmp_path: Path) -> None:
    """With a checkpoint, or the first search after a merge of millions would read all vectors."""
    for number in range(6):
        picture(tmp_path / "in" / f"{number}.jpg", number)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"broken")
    share(tmp_path / "b", tmp_path / "in")
    told: list[tuple[int, int]] = []
    done = merge(kept, tmp_path / "b", progress=lambda *rows: told.append(rows))
    assert (done.bundles, done.photos, done.known, done.files, done.unread, done.offline) == (1, 6, 0, 7, 1, ())
    assert told[-1] == (7, 7)
    query = tmp_path / "in" / "3.jpg"
    assert kept.nearest(query, 1) == [(os.fsencode(query), 1.0)]
    with kept.library as library:
        assert library.status().checkpoint.rows == 6
        assert [one.path for one in library.failures()] == [os.fsencode(tmp_path / "in" / "broken.jpg")]
    again = merge(kept, tmp_path / "b")
    assert (again.photos, again.known, again.files) == (0, 6, 0)


def test_copies_may_stand_before_what_they_are_copies_of(kept: Kept, tmp_path: Path) -> None:
    """Parts are in the order of their checksums, which is none."""
    one = photo(b"a.jpg")
    copies: list[Row] = [Copy(Place(ROOT, b"%d.jpg" % number), one.digest) for number in range(3)]
    folder = bundle(tmp_path / "b", copies, [one])
    manifest = read_manifest(folder)
    for parts in permutations(manifest.parts):
        (folder / MANIFEST).unlink()
        seal(folder, HEADER, parts)
        other = Kept(tmp_path / parts[0].name)
        assert merge(other, folder).files == 4
        assert len(other.found()) == 1


def test_of_two_rows_about_one_file_the_later_one_counts_in_any_order(tmp_path: Path) -> None:
    """Shares that were encoded on different days, one after the file had changed: the order of merging is chance."""
    place = Place(ROOT, b"a.jpg", 3, 10, 1)
    rows: list[Row] = [
        photo(b"a.jpg", b"old", mtime_ns=5),
        Unread(place, "cut short", "decoder"),
        Unread(place, "it changed while it was being read", ""),
        photo(b"a.jpg", b"new", mtime_ns=10),
        photo(b"a.jpg", b"odd", mtime_ns=10),
    ]
    bundles = [bundle(tmp_path / f"bundle-{number}", [row]) for number, row in enumerate(rows)]
    seen = []
    for number, order in enumerate(random.Random(0).sample(list(permutations(bundles)), 12)):
        kept = Kept(tmp_path / f"kept-{number}")
        for one in order:
            merge(kept, one)
        merge(kept, *order)
        seen.append(content(kept))
        (file,) = seen[-1]["files"]
        assert file[4] == 10 and file[6] is not None
        with kept.reader() as catalog:
            assert catalog.photo_count() == 1 and catalog._all("PRAGMA foreign_key_check") == []
    assert all(one == seen[0] for one in seen)


# -- where the photos are ---------------------------------------------------------------------------


def test_where_the_folder_lies_here_may_be_said_and_index_then_encodes_nothing(kept: Kept, tmp_path: Path) -> None:
    """Machines mount one archive at different places, and with other inodes."""
    there = tmp_path / "mnt" / "photos"
    for number in range(5):
        picture(there / "trip" / f"{number}.jpg", number)
    share(tmp_path / "b", there)
    shutil.copytree(there, kept.photos)  # the times stay, the inodes do not
    shutil.rmtree(there)
    done = merge(kept, tmp_path / "b", root=kept.photos)
    assert done.offline == () and kept.roots() == [(os.fsencode(kept.photos), 5, True)]
    summary = kept.index()
    assert (kept.encoder.encoded, summary.unchanged, summary.indexed) == (0, 5, 0)
    with pytest.raises(SystemFault, match="There is no"):
        merge(kept, tmp_path / "b", root=tmp_path / "absent")


def test_as_recorded_the_photos_are_offline_until_relocate_says_where_they_are(kept: Kept, tmp_path: Path) -> None:
    there = tmp_path / "mnt" / "photos"
    picture(there / "a.jpg", 1)
    share(tmp_path / "b", there)
    shutil.move(there, kept.photos)
    done = merge(kept, tmp_path / "b")
    assert done.offline == (os.fsencode(there),)
    with kept.library as library:
        assert [hit.offline for hit in library.search("size:>0kb").hits] == [True]
        library.relocate(there, kept.photos)
    kept.index()
    assert kept.encoder.encoded == 0
    assert list(kept.found()) == [os.fsencode(kept.photos / "a.jpg")]


def test_one_root_cannot_hold_a_bundle_of_several(kept: Kept, tmp_path: Path) -> None:
    rows = [photo(b"a.jpg"), photo(b"b.jpg", root=b"/elsewhere")]
    with pytest.raises(UsageError, match="several folders"):
        merge(kept, bundle(tmp_path / "b", rows), root=tmp_path)
    with pytest.raises(UsageError, match="several folders"):
        merge(kept, tmp_path / "b", root=tmp_path, dry_run=True)
    with pytest.raises(UsageError, match="is a file"):
        merge(kept, bundle(tmp_path / "of-one", rows[:1]), root=tmp_path / "b" / MANIFEST)
    assert not catalog_path(kept.paths).exists()


def test_pictures_that_are_no_files_keep_their_uri_and_are_never_looked_for(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that cannot be listed is offline, never empty (I5); and no folder here may pass for it."""
    bucket, tar = b"s3://archive/2024", b"tar:/mnt/nas/0001.tar!"
    (tmp_path / "s3:" / "archive" / "2024").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    folder = bundle(tmp_path / "b", [photo(b"05/a.jpg", root=bucket), photo(b"000123.jpg", root=tar)])
    done = merge(kept, folder)
    assert done.offline == (bucket, tar)
    assert set(kept.found()) == {bucket + b"/05/a.jpg", tar + b"/000123.jpg"}
    summary = kept.index()
    assert set(summary.offline) == {bucket, tar} and summary.removed == 0
    assert set(kept.found()) == {bucket + b"/05/a.jpg", tar + b"/000123.jpg"}


def test_what_was_left_out_stays_left_out(kept: Kept, tmp_path: Path) -> None:
    """Or the next index would encode what nobody wanted."""
    picture(kept.photos / "a.jpg", 1)
    picture(kept.photos / "drafts" / "b.jpg", 2)
    share(tmp_path / "b", kept.photos, exclude=["drafts/"])
    merge(kept, tmp_path / "b")
    assert kept.index().indexed == 0 and len(kept.found()) == 1


# -- what is refused --------------------------------------------------------------------------------


def cut(folder: Path) -> None:
    part = next(folder.glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-5])


def flipped(folder: Path) -> None:
    part = next(folder.glob("*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 4
    part.write_bytes(content)


def lonely(folder: Path) -> None:
    part = write_part(folder, HEADER, [Copy(Place(ROOT, b"c.jpg"), b"c" * 32)])
    seal(folder, HEADER, [*read_manifest(folder).parts, part])


def two_kinds(folder: Path) -> None:
    part = write_part(folder, HEADER, [photo(b"", b"one file")])
    seal(folder, HEADER, [*read_manifest(folder).parts, part])


def newer_description(folder: Path) -> None:
    newer = replace(HEADER, description=HEADER.description + 1, program="9.9")
    seal(folder, newer, [write_part(folder, newer, [photo(b"new.jpg")])])


def newer_format(folder: Path) -> None:
    (folder / MANIFEST).write_text(rechecked((folder / MANIFEST).read_text(), format=FORMAT + 1, program="9.9"))


BAD: list[tuple[Callable[[Path], object], str]] = [
    (cut, "bytes long"),
    (flipped, "is damaged"),
    (lambda folder: next(folder.glob("*.parquet")).unlink(), "is missing"),
    (lambda folder: (folder / MANIFEST).unlink(), "not finished"),
    (lambda folder: (folder / MANIFEST).write_text("{}"), "no header"),
    (lambda folder: (folder / MANIFEST).write_bytes(os.urandom(300)), "no header"),
    (lambda folder: shutil.rmtree(folder), "There is no"),
    (lonely, "copy of a photo that is not in it"),
    (two_kinds, "a file and a folder"),
    (newer_description, "newer clipsearch"),
    (newer_format, "newer clipsearch"),
]


@pytest.mark.parametrize(("damage", "said"), BAD)
def test_a_bad_bundle_is_one_sentence_and_changes_nothing(
    kept: Kept, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    """Half of a bundle in a library is photos that are missed by nobody and found by nobody."""
    good = bundle(tmp_path / "good", [photo(b"good.jpg")])
    bad = bundle(tmp_path / "bad", [photo(b"%d.jpg" % number) for number in range(9)], [photo(b"last.jpg")])
    damage(bad)
    with pytest.raises(ClipsearchError, match=said) as refused:
        merge(kept, bad)
    assert refused.value.exit_code == 5 and refused.value.hint and str(bad) in refused.value.message
    assert not catalog_path(kept.paths).exists(), "what was made for nothing is no library"
    with pytest.raises(ClipsearchError, match=said):
        merge(kept, bad, dry_run=True)
    merge(kept, good)
    before = content(kept)
    with pytest.raises(ClipsearchError, match=said):
        merge(kept, bad)
    assert content(kept) == before


def test_a_bundle_that_goes_wrong_in_the_middle_takes_only_itself_back(kept: Kept, tmp_path: Path) -> None:
    """And what came before it stays, whole."""
    good = bundle(tmp_path / "good", [photo(b"good.jpg")])
    bad = bundle(tmp_path / "bad", [photo(b"bad.jpg")])
    lonely(bad)
    with pytest.raises(SystemFault, match=r"bad cannot be merged.*; the bundle before it is merged\."):
        merge(kept, good, bad)
    assert [row[2] for row in files(kept)] == [b"good.jpg"]


def test_who_names_what_is_near_a_bundle_is_told_which_folder_it_is(kept: Kept, tmp_path: Path) -> None:
    """The folder of all bundles, or a file of one: a hint to copy it again would send people on a long way."""
    one = bundle(tmp_path / "all" / "1", [photo(b"a.jpg")])
    with pytest.raises(SystemFault, match="no bundle") as refused:
        merge(kept, tmp_path / "all")
    assert refused.value.hint.endswith(f"clipsearch merge {tmp_path / 'all'}/*")
    with pytest.raises(SystemFault, match="a folder") as refused:
        merge(kept, one / MANIFEST)
    assert refused.value.hint.endswith(f"clipsearch merge {one}")


def test_another_model_than_the_librarys_is_refused(kept: Kept, tmp_path: Path) -> None:
    """Vectors of two models mean nothing to each other (I4)."""
    kept.add(1)
    kept.index(kept.photos)
    before = content(kept)
    with pytest.raises(ModelError, match="holds vectors of the model starter, and the library those of hash-0"):
        merge(kept, bundle(tmp_path / "b", [photo(b"a.jpg")]))
    assert content(kept) == before


def test_one_model_at_a_time(kept: Kept, tmp_path: Path) -> None:
    first = bundle(tmp_path / "first", [photo(b"a.jpg")])
    other = replace(HEADER, model=replace(HEADER.model, fingerprint="another", model="other"))
    second = bundle(tmp_path / "second", [photo(b"b.jpg")], header=other)
    with pytest.raises(ModelError, match="other"):
        merge(kept, first, second)
    assert not catalog_path(kept.paths).exists()


def test_a_library_that_is_being_written_is_left_alone(kept: Kept, tmp_path: Path) -> None:
    kept.paths.library.mkdir()
    with writer_lock(kept.paths.library / "writer.lock", "a test"), pytest.raises(LibraryBusy, match="a test"):
        merge(kept, bundle(tmp_path / "b", [photo(b"a.jpg")]))


def test_a_dry_run_reads_all_and_changes_nothing(kept: Kept, tmp_path: Path) -> None:
    one = photo(b"a.jpg")
    rows: list[Row] = [one, Copy(Place(ROOT, b"b.jpg"), one.digest), Unread(Place(ROOT, b"c.jpg"), "why", "d")]
    folder = bundle(tmp_path / "b", rows)
    done = merge(kept, folder, folder, dry_run=True)
    assert (done.bundles, done.photos, done.files, done.unread, done.offline) == (2, 1, 6, 2, (ROOT,))
    assert not kept.paths.library.exists()


# -- crashes ----------------------------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from pathlib import Path
from clipsearch.index import joining
from clipsearch.config import Paths
from clipsearch.library import Library
left = [int(sys.argv[2])]
opened = joining.JoiningCatalog.open_writer.__func__
def traced(kind, path):
    catalog = opened(kind, path)
    def kill_at_some_statement(statement):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    catalog._connection.set_trace_callback(kill_at_some_statement)
    return catalog
joining.JoiningCatalog.open_writer = classmethod(traced)
base = Path(sys.argv[1])
Library(Paths(base / "library", base / "cache", base / "models")).merge(sys.argv[3:])
print(left[0])
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_at_any_statement_a_merge_leaves_whole_bundles_and_merging_again_completes(tmp_path: Path) -> None:
    """A power cut must cost time: each bundle is in the library with all of its photos, or not at all."""
    parts = range(20), range(20, 40)
    bundles = [
        bundle(tmp_path / f"bundle-{number}", *([photo(b"%d-%d.jpg" % (number, n)) for n in part] for part in parts))
        for number in range(3)
    ]

    def child(base: Path, moment: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _KILLED, base, str(moment), *bundles]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    whole = child(tmp_path / "whole", 10**9)
    statements = 10**9 - int(whole.stdout)
    truth = content(Kept(tmp_path / "whole"))
    assert len(truth["files"]) == 120
    seen = set()
    for moment in random.Random(1).sample(range(1, statements), 4):
        kept = Kept(tmp_path / f"killed-{moment}")
        assert child(kept.base, moment).returncode == -signal.SIGKILL
        if catalog_path(kept.paths).exists():
            with kept.writer() as catalog:  # which ends what the death has left
                assert catalog._all("PRAGMA integrity_check") == [("ok",)]
                assert catalog._all("PRAGMA foreign_key_check") == []
                counted = catalog._all("SELECT (SELECT count FROM tally), (SELECT count(*) FROM photo WHERE files > 0)")
                assert counted[0][0] == counted[0][1]
            assert len(files(kept)) % 40 == 0
            seen.add(len(files(kept)))
        merge(kept, *bundles)
        assert content(kept) == truth
    assert len(seen) > 1, "these moments are all the same one"


def test_rows_of_many_batches_and_a_known_photo_among_new_ones(kept: Kept, tmp_path: Path) -> None:
    """New photos get their ids before their rows: one that is known among them must not shift them."""
    some = [photo(b"%d.jpg" % number) for number in range(30)]
    merge(kept, bundle(tmp_path / "known", some[10:13]))
    merge(kept, bundle(tmp_path / "all", some[:20], some[20:]))
    with kept.reader() as catalog:
        shown = catalog._all("SELECT name, digest FROM file JOIN photo ON photo.id = photo_id")
        stored = catalog._all("SELECT digest, vector FROM embedding JOIN photo ON photo.id = photo_id")
        assert catalog.photo_count() == 30
    assert dict(shown) == {one.place.path: one.digest for one in some}
    assert dict(stored) == {one.digest: one.vector for one in some}
