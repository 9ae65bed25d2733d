"""The way of a photo: what a run reads, encodes and commits, and what it leaves alone."""

from __future__ import annotations

import builtins
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.decoding import decode as decoding
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.errors import SystemFault
from clipsearch.events import Advanced, Event, Planned, Summary, Unlisted
from clipsearch.index import crawl, digests, vectors
from clipsearch.index import update as updating
from clipsearch.index.catalog import ALL, Catalog, Root
from clipsearch.index.spaces import Space
from clipsearch.index.update import EVERYTHING, Scope, update
from clipsearch.types import Decoder
from tests.index.filled import files_under, new_root, own_vector, photo
from tests.support.dng import dng
from tests.support.encoder import HashEncoder, InlineDecoder


class Run:
    """One library over one folder of photos, and what an index run of it cost."""

    def __init__(self, base: Path) -> None:
        self.photos = base / "photos"
        self.photos.mkdir()
        self.library = base / "library"
        self.library.mkdir()
        self.encoder = HashEncoder()
        self.catalog = Catalog.open_writer(self.library / "catalog.db")
        new_root(self.catalog, os.fsencode(self.photos))
        self.events: list[Event] = []

    @property
    def space(self) -> Space:
        return self.catalog.space_for(self.encoder.space)

    def again(
        self, *, stop: Callable[[], bool] = lambda: False, decoder: Decoder | None = None, scope: Scope = EVERYTHING
    ) -> Summary:
        self.encoder.encoded = 0
        decoder = decoder or InlineDecoder(self.encoder.prepare)
        self.events = list(
            update(
                self.catalog,
                self.space,
                self.library / "vectors",
                self.catalog.roots(),
                self.encoder,
                decoder,
                stop=stop,
                scope=scope,
            )
        )
        summary = self.events[-1]
        assert isinstance(summary, Summary)
        return summary

    def shown(self) -> dict[str, int]:
        """Photo ids by name, of what a search would show."""
        files = files_under(self.catalog, os.fsencode(self.photos))
        return {os.path.relpath(os.fsdecode(path), self.photos): photo_id for path, photo_id in files}

    def check(self) -> None:
        check(self.catalog, self.space, self.encoder)


def check(catalog: Catalog, space: Space, encoder: HashEncoder) -> None:
    """Each photo's vector is that of its own pixels, at each of its paths that is there."""
    stored = {int(i): row for ids, rows in catalog.vector_chunks(space) for i, row in zip(ids, rows, strict=True)}
    files = files_under(catalog, b"/")
    for path, photo_id in files:
        if os.path.exists(path):
            own = own_vector(Path(os.fsdecode(path)), encoder)
            assert np.array_equal(stored[photo_id], own.astype(np.float16)), path
    shown = {photo_id for _, photo_id in files}
    assert shown | set(catalog.hidden_photos().tolist()) == set(stored)
    assert catalog.counts()[0] == len(shown)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    for number in range(10):
        photo(made.photos / f"{number}.jpg", number)
    yield made
    made.catalog.close()


def test_a_first_run_encodes_every_photo_with_its_own_vector(run: Run) -> None:
    """A wrong picture under a right path is the worst that a search can show."""
    summary = run.again()
    assert (summary.indexed, summary.failed, summary.interrupted) == (10, 0, False)
    assert run.encoder.encoded == 10
    assert len(run.shown()) == 10
    run.check()
    advances = [event for event in run.events if isinstance(event, Advanced)]
    assert (advances[-1].done, advances[-1].total, advances[-1].waiting_for) == (10, 10, None)


def test_unchanged_photos_are_not_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run over 100,000 unchanged photos on a NAS must take seconds."""
    run.again()
    opened: list[object] = []
    real = builtins.open

    def counting(file: object, *arguments: object, **options: object) -> object:
        if os.fsencode(run.photos) in os.fsencode(str(file) if isinstance(file, Path) else file):  # type: ignore[arg-type]
            opened.append(file)
        return real(file, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", counting)
    summary = run.again()
    assert (summary.unchanged, summary.indexed, run.encoder.encoded) == (10, 0, 0)
    assert opened == []
    (run.photos / "0.jpg").touch()
    run.again()
    assert opened, "the counter counts nothing"


def test_copies_and_moves_cost_no_encoding(run: Run) -> None:
    """Tidying up must not cost a night of encoding."""
    run.again()
    before = run.shown()
    shutil.copyfile(run.photos / "0.jpg", run.photos / "copy.jpg")
    (run.photos / "new folder").mkdir()
    (run.photos / "1.jpg").rename(run.photos / "new folder" / "renamed.jpg")
    summary = run.again()
    assert (summary.indexed, summary.duplicates, summary.moved, summary.removed) == (0, 1, 1, 0)
    assert run.encoder.encoded == 0
    after = run.shown()
    assert after["copy.jpg"] == before["0.jpg"]
    assert after["new folder/renamed.jpg"] == before["1.jpg"]
    run.check()


def test_a_photo_that_is_moved_to_another_disk_is_moved(run: Run) -> None:
    """There it has another inode and time; only its bytes tell that it is the same."""
    run.again()
    shutil.copyfile(run.photos / "0.jpg", run.photos / "moved.jpg")
    (run.photos / "0.jpg").unlink()
    summary = run.again()
    assert (summary.moved, summary.removed, summary.duplicates, run.encoder.encoded) == (1, 0, 0, 0)
    run.check()


def test_a_photo_moved_over_another_one_replaces_it(run: Run) -> None:
    """The overwritten photo must not answer any more, the other only at its new place."""
    run.again()
    before = run.shown()
    (run.photos / "1.jpg").rename(run.photos / "0.jpg")
    run.again()
    after = run.shown()
    assert after["0.jpg"] == before["1.jpg"] and "1.jpg" not in after
    assert run.catalog.hidden_photos().tolist() == [before["0.jpg"]]
    run.check()


def test_a_deleted_photo_is_hidden_and_its_return_costs_no_encoding(run: Run, tmp_path: Path) -> None:
    """A folder taken away and brought back must not be encoded twice."""
    run.again()
    before = run.shown()
    (run.photos / "0.jpg").rename(tmp_path / "away.jpg")
    summary = run.again()
    assert (summary.removed, run.catalog.counts()[0]) == (1, 9)
    assert run.catalog.hidden_photos().tolist() == [before["0.jpg"]]
    (tmp_path / "away.jpg").rename(run.photos / "back.jpg")
    run.again()
    assert run.encoder.encoded == 0
    assert run.shown()["back.jpg"] == before["0.jpg"]
    run.check()


def test_a_changed_photo_is_encoded_again(run: Run) -> None:
    """The old vector would show the picture as it was."""
    run.again()
    before = run.shown()
    photo(run.photos / "3.jpg", 333)
    summary = run.again()
    assert (summary.indexed, run.encoder.encoded) == (1, 1)
    assert run.shown()["3.jpg"] != before["3.jpg"]
    run.check()


def test_a_root_that_is_offline_keeps_its_photos(run: Run, tmp_path: Path) -> None:
    """(I5) An unplugged disk is not an empty disk."""
    run.again()
    run.photos.rename(tmp_path / "unplugged")
    summary = run.again()
    assert summary.offline == (os.fsencode(run.photos),)
    assert summary.removed == 0
    assert len(run.shown()) == 10
    assert [status.online for status in run.catalog.root_statuses()] == [False]
    (tmp_path / "unplugged").rename(run.photos)
    assert run.again().unchanged == 10
    assert [status.online for status in run.catalog.root_statuses()] == [True]


def test_an_empty_folder_on_another_device_is_a_disk_that_is_not_mounted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(I5) Unmounting leaves the empty mount point behind, and an emptied folder leaves the same device."""
    run.again()
    for path in run.photos.iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(crawl, "_device_of", lambda path, status: "another device")
        summary = run.again()
    assert (summary.removed, summary.offline) == (0, (os.fsencode(run.photos),))
    assert any(isinstance(event, Unlisted) and "an empty folder" in event.reason for event in run.events)
    assert run.again().removed == 10


def test_a_photo_named_by_itself_whose_disk_is_not_mounted_is_offline(run: Run, tmp_path: Path) -> None:
    """(I5) The mount point stays behind, and is listed without the photo as if somebody had deleted it."""
    disk = tmp_path / "disk"
    new_root(run.catalog, os.fsencode(photo(disk / "one.jpg", 100)), is_file=True)
    run.again()
    disk.rename(tmp_path / "unplugged")
    disk.mkdir()
    summary = run.again()
    assert (summary.removed, summary.offline) == (0, (os.fsencode(disk / "one.jpg"),))
    assert run.catalog.photo_count() == 11
    disk.rmdir()
    (tmp_path / "unplugged").rename(disk)
    assert run.again().offline == ()
    (disk / "one.jpg").unlink()
    assert run.again().removed == 1


def test_a_disk_inside_a_root_that_goes_while_it_is_listed_loses_nothing(run: Run) -> None:
    """(I5) What was not seen any more would be deleted, and the disk not known as one when it is back."""
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(run.photos).st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        disk, away = Path(place, "disk"), Path(place, "away")
        for number, name in enumerate(("a/1.jpg", "b/2.jpg")):
            photo(disk / name, 100 + number)
        (run.photos / "link").symlink_to(disk)
        assert run.again().indexed == 12

        def entering(root: Root, folder: bytes, is_link: bool) -> None:
            if folder == b"link/b":
                disk.rename(away)

        summary = run.again(scope=Scope(entering=entering))
        assert (summary.removed, len(run.shown())) == (0, 12)
        where = os.fsencode(run.photos / "link")
        assert [event.path for event in run.events if isinstance(event, Unlisted)] == [where]
        assert (run.again().removed, len(run.shown())) == (0, 12)  # the next one knows that it was a disk
        away.rename(disk)
        assert run.again().unchanged == 12


def test_a_file_that_fails_never_shifts_the_vector_of_another(run: Run) -> None:
    """One missing row in a batch would give all photos after it their neighbour's vector."""
    for number in (0, 3, 4, 9):
        (run.photos / f"{number}.jpg").write_bytes(b"broken %d" % number)
    (run.photos / "5x.jpg").write_bytes((run.photos / "5.jpg").read_bytes()[:200])
    summary = run.again()
    assert (summary.indexed, summary.failed) == (6, 5)
    assert len(run.shown()) == 6
    run.check()
    assert {os.path.basename(failed.path) for failed in run.catalog.failures()} == {
        b"0.jpg", b"3.jpg", b"4.jpg", b"5x.jpg", b"9.jpg",
    }  # fmt: skip
    again = run.again()
    assert (again.unchanged, again.failed, run.encoder.encoded) == (11, 0, 0)


def test_the_same_holds_with_real_workers_of_which_one_is_slow_or_dead(run: Run) -> None:
    """Answers that overtake each other must not swap vectors."""
    photo(run.photos / "2.jpg", 2, width=1500)
    (run.photos / "6.jpg").write_bytes(b"broken")
    with DecodeWorkers(run.encoder.prepare, 2) as decoder:
        summary = run.again(decoder=decoder)
    assert (summary.indexed, summary.failed) == (9, 1)
    run.check()


def test_identical_new_files_in_one_batch_are_encoded_once(run: Run) -> None:
    """Backups of backups would double the work, and one content would answer twice."""
    for name in ("0 copy.jpg", "1 copy.jpg", "z/0 again.jpg"):
        (run.photos / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(run.photos / f"{Path(name).name[0]}.jpg", run.photos / name)
    summary = run.again()
    assert (summary.indexed, summary.duplicates, run.encoder.encoded) == (10, 3, 10)
    shown = run.shown()
    assert shown["0.jpg"] == shown["0 copy.jpg"] == shown["z/0 again.jpg"]
    run.check()


def test_identical_broken_files_each_have_their_reason(run: Run) -> None:
    """(I1) A copy without a row would be tried in every run."""
    for name in ("a.jpg", "b.jpg"):
        (run.photos / name).write_bytes(b"the same rubbish")
    assert run.again().failed == 2
    assert len(run.catalog.failures()) == 2
    assert run.again().unchanged == 12


def test_a_stopped_run_keeps_what_it_did_and_the_next_one_finishes(run: Run) -> None:
    """Ctrl-C in the third hour must not cost three hours."""
    for number in range(10, 60):
        photo(run.photos / f"{number}.jpg", number)
    asked = iter(range(10**6))
    summary = run.again(stop=lambda: next(asked) > 30)
    assert summary.interrupted
    done = len(run.shown())
    assert 0 < done < 60 and done == summary.indexed
    run.check()
    rest = run.again()
    assert (rest.interrupted, rest.unchanged, rest.indexed) == (False, done, 60 - done)
    assert len(run.shown()) == 60
    run.check()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many vectors each checkpoint was made from."""
    rows: list[int] = []
    real = vectors.make_checkpoint

    def counted(catalog: Catalog, space: Space, folder: Path) -> None:
        rows.append(catalog.vector_count(space))
        real(catalog, space, folder)

    monkeypatch.setattr(vectors, "make_checkpoint", counted)
    return rows


def test_a_long_run_makes_checkpoints_on_its_way(run: Run, made: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """For all the hours of a first run each search would read every vector; one a batch would take longer than it."""
    monkeypatch.setattr(updating, "GROWN_ROWS", 8)
    monkeypatch.setattr(updating, "GROWN_SHARE", 1.0)
    monkeypatch.setattr(vectors, "TAIL_ROWS", 3)
    for number in range(10, 76):
        photo(run.photos / f"{number}.jpg", number)
    assert run.again().indexed == 76
    assert made == [8, 16, 32, 64, 76]
    run.check()


def test_a_run_with_much_to_read_first_makes_the_checkpoint_that_is_missing(run: Run, made: list[int]) -> None:
    """A library that was copied without it would be searched slowly until the last new photo is read."""
    run.again()
    shutil.rmtree(run.library / "vectors")
    photo(run.photos / "new.jpg", 100)
    made.clear()
    assert run.again().indexed == 1
    assert made == [10]


def test_whoever_says_stop_does_not_wait_for_a_checkpoint(run: Run, made: list[int]) -> None:
    """Ctrl-C that takes two minutes is pressed again, and then it kills."""
    assert run.again(stop=lambda: run.encoder.encoded >= 4).interrupted
    assert run.shown() and made == []
    left = len(run.shown())
    run.again()
    assert made == [left]
    assert vectors.needs_checkpoint(run.catalog, run.space, run.library / "vectors") is False


def test_a_checkpoint_that_cannot_be_written_stops_no_run_and_is_told_at_its_end(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the first hour must not cost the photos of the others."""
    monkeypatch.setattr(updating, "GROWN_ROWS", 4)
    real, full = vectors.make_checkpoint, True

    def make(catalog: Catalog, space: Space, folder: Path) -> None:
        if full:
            raise SystemFault("The disk is full.", "Free some space.")
        real(catalog, space, folder)

    monkeypatch.setattr(vectors, "make_checkpoint", make)
    with pytest.raises(SystemFault, match="The disk is full"):
        run.again()
    assert len(run.shown()) == 10
    full = False
    assert run.again().unchanged == 10


def test_a_look_at_a_part_renews_what_is_missing_and_nothing_else(run: Run, made: list[int]) -> None:
    """A watcher is the only one that writes for months; but a checkpoint a photo would wear out the disk."""
    run.again()
    (root,) = run.catalog.roots()

    def look() -> None:
        decoder, scope = InlineDecoder(run.encoder.prepare), Scope(parts={root.id: (ALL,)})
        folder = run.library / "vectors"
        list(update(run.catalog, run.space, folder, [root], run.encoder, decoder, scope=scope))

    made.clear()
    photo(run.photos / "new.jpg", 100)
    look()
    assert made == []
    for path in (run.library / "vectors").iterdir():
        path.unlink()
    look()
    assert made == [11]


def test_a_file_that_changes_while_it_is_read_is_not_believed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo that is still being copied would be stored half, under the digest of another state."""
    real = digests._digest

    def slow(hashing: digests.Hashing) -> object:
        digest, path = real(hashing), hashing.path
        if path.endswith(b"/4.jpg"):
            photo(run.photos / "4.jpg", 444)
            os.utime(path, ns=(1, 1))
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(digests, "_digest", slow)
        assert run.again().failed == 1
    assert "4.jpg" not in run.shown()
    run.check()
    assert run.again().indexed == 1
    run.check()


def test_a_file_that_vanishes_or_cannot_be_read_is_a_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file without permission must not end the run."""
    real = digests._digest

    def vanishing(hashing: digests.Hashing) -> object:
        if hashing.path.endswith(b"/4.jpg"):
            os.unlink(hashing.path)
        return real(hashing)

    monkeypatch.setattr(digests, "_digest", vanishing)
    assert (run.again().failed, len(run.shown())) == (1, 9)
    assert [failed.reason for failed in run.catalog.failures()] == ["no such file or directory"]
    assert run.again().removed == 1
    assert run.catalog.failures() == []


def test_another_decoder_tries_the_failures_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade that reads HEIC must read the HEIC files that failed before."""
    (run.photos / "broken.jpg").write_bytes(b"broken")
    run.again()
    monkeypatch.setattr(decoding, "_DECODER", 99)
    assert run.again().failed == 1
    assert [failed.attempts for failed in run.catalog.failures()] == [2]


def test_a_new_model_builds_a_space_of_its_own_beside_the_old_one(run: Run) -> None:
    """(I4) Until the last photo is encoded the old model must answer, from its own vectors."""
    run.again()
    old, before = run.space, run.shown()
    run.encoder = HashEncoder(dim=16, seed=1)
    summary = run.again()
    assert (summary.indexed, run.encoder.encoded) == (10, 10)
    assert run.shown() == before, "a model must not change photo ids"
    assert run.catalog.active_space() == old
    run.check()
    check(run.catalog, old, HashEncoder())
    assert run.again().unchanged == 10


def test_a_folder_that_cannot_be_listed_is_told_and_keeps_its_photos(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """(I5) The run goes on with the others."""
    photo(run.photos / "locked" / "a.jpg", 100)
    run.again()
    real = os.scandir

    def scandir(path: bytes) -> object:
        if path.endswith(b"locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (run.photos / "0.jpg").unlink()
    assert run.again().removed == 1
    assert "locked/a.jpg" in run.shown()
    assert Unlisted(os.fsencode(run.photos / "locked"), "Permission denied") in run.events
    assert [event.gone for event in run.events if isinstance(event, Planned)] == [1]


# -- crashes ----------------------------------------------------------------------------------------

# Ends itself in the middle of whatever Python does at the given moment: no clock, and no step is spared.
_KILLED = """
import os, signal, sys
from pathlib import Path
from clipsearch.index.catalog import Catalog
from clipsearch.index.update import Scope, update
from tests.support.encoder import HashEncoder, InlineDecoder
library, left = Path(sys.argv[1]), [int(sys.argv[2])]
with Catalog.open_writer(library / "catalog.db") as catalog:
    encoder = HashEncoder()
    space = catalog.space_for(encoder.space)
    def kill_at_some_statement(statement):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    catalog._connection.set_trace_callback(kill_at_some_statement)
    decoder = InlineDecoder(encoder.prepare)
    for event in update(catalog, space, library / "vectors", catalog.roots(), encoder, decoder):
        pass
    print("finished", left[0])
"""


def state(catalog: Catalog, space: Space) -> dict[bytes, bytes]:
    stored = {
        int(i): row.tobytes() for ids, rows in catalog.vector_chunks(space) for i, row in zip(ids, rows, strict=True)
    }
    return {path: stored[photo_id] for path, photo_id in files_under(catalog, b"/")}


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_at_any_statement_a_run_leaves_whole_photos_and_the_next_one_finishes(tmp_path: Path) -> None:
    """A power cut or the kernel's own kill must cost time, never a photo or a right answer."""
    photos = tmp_path / "photos"
    for number in range(60):
        photo(photos / f"{number % 3}" / f"{number}.jpg", number)
    (photos / "broken.jpg").write_bytes(b"broken")
    shutil.copyfile(photos / "0" / "0.jpg", photos / "copy.jpg")
    encoder = HashEncoder()

    def fresh(name: str) -> Path:
        library = tmp_path / name
        library.mkdir()
        with Catalog.open_writer(library / "catalog.db") as catalog:
            catalog.space_for(encoder.space)
            new_root(catalog, os.fsencode(photos))
        return library

    def child(library: Path, moment: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _KILLED, str(library), str(moment)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    whole = child(fresh("whole"), 10**9)
    statements = 10**9 - int(whole.stdout.split()[1])
    with Catalog.open_reader(tmp_path / "whole" / "catalog.db") as catalog:
        truth = state(catalog, catalog.active_space())  # type: ignore[arg-type]
    assert len(truth) == 61
    committed = set()
    moments = random.Random(0).sample(range(1, statements), 12)
    for moment in moments:
        library = fresh(f"killed at {moment}")
        assert child(library, moment).returncode == -signal.SIGKILL
        with Catalog.open_writer(library / "catalog.db") as catalog:
            space = catalog.active_space()
            assert space is not None
            check(catalog, space, encoder)
            kept = state(catalog, space)
            assert kept.items() <= truth.items()
            committed.add(len(kept))
            decoder = InlineDecoder(encoder.prepare)
            events = list(update(catalog, space, library / "vectors", catalog.roots(), encoder, decoder))
            assert isinstance(events[-1], Summary)
            assert events[-1].indexed <= 60 - max(0, len(kept) - 1), "committed photos were encoded again"
            assert state(catalog, space) == truth
            assert catalog.counts() == (60, 62, 1)
            assert {path.name for path in (library / "vectors").iterdir()} == catalog.checkpoint_files()
    assert len(committed) > 3, "the moments were all alike"


def test_a_raw_is_read_once_its_jpeg_is_gone(run: Run) -> None:
    """Whoever deletes the JPEGs of a shooting keeps the RAWs, and must find them."""
    picture = Image.open(photo(run.photos / "shot.JPG", 99)).resize((64, 48))
    (run.photos / "shot.dng").write_bytes(dng(picture))
    assert run.again().indexed == 11
    assert "shot.JPG" in run.shown() and "shot.dng" not in run.shown()
    (run.photos / "shot.JPG").unlink()
    summary = run.again()
    assert (summary.indexed, summary.removed) == (1, 1)
    assert "shot.dng" in run.shown()
    run.check()


def test_an_extra_that_is_installed_later_reads_what_was_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of errors says which command helps; after it, an ordinary run must be enough."""
    (run.photos / "shot.dng").write_bytes(dng(Image.new("RGB", (64, 48), "green")))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "rawpy", None)
        without.setattr(decoding, "_installed", lambda package: None)
        assert run.again().failed == 1
        assert "pip install" in run.catalog.failures()[0].reason
        assert run.again().unchanged == 11, "nothing new is there, so it is not read again"
    summary = run.again()
    assert (summary.indexed, summary.failed) == (1, 0)
    assert run.catalog.failures() == []
