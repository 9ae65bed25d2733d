"""Fresh files on their way: nothing waits for a file that hangs, and what kills its reader is convicted, or cleared."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from clipsearch.decoding import journal, workers
from clipsearch.decoding.journal import Journal
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.errors import SystemFault
from clipsearch.events import Advanced, Summary, Timings, Unlisted
from clipsearch.index import catalog as catalog_module
from clipsearch.index import digests, ingest, update, vectors
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.update import Scope
from clipsearch.types import Decoded, FailedFile, Failure, Stamp
from tests.decoding.prepares import Hang, KillItself, KillItselfOnce, Wait, Work, work
from tests.index.filled import photo
from tests.index.test_update import Run, check
from tests.support.encoder import InlineDecoder

ODD = 40  # px wide is the photo that the prepares choke on, where all others have 32


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    for number in range(10):
        photo(made.photos / f"{number}.jpg", number, width=ODD if number == 1 else 32)
    yield made
    made.catalog.close()


def advances(run: Run) -> list[Advanced]:
    return [event for event in run.events if isinstance(event, Advanced)]


def test_all_others_go_ahead_of_a_file_that_hangs(run: Run) -> None:
    """One bad file in a hundred, ten seconds each, would make a night out of an hour."""
    for number in range(10, 80):
        photo(run.photos / f"{number}.jpg", number)
    with DecodeWorkers(Hang(run.encoder.prepare, ODD), 2, time_limit_s=1.5) as decoder:
        summary = run.again(decoder=decoder)
    assert (summary.indexed, summary.failed) == (79, 1)
    one_left = next(event for event in advances(run) if event.done >= 76)  # but for those in the batch
    assert one_left.failed == 0
    assert one_left.waiting_for == os.fsencode(run.photos / "1.jpg")
    run.check()


def test_progress_goes_on_while_known_contents_are_linked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of a whole disk is minutes of hashing in which the line on the screen stood still."""
    run.again()
    monkeypatch.setattr(ingest, "_LINKS", 3)
    shutil.copytree(run.photos, run.photos / "copy")
    summary = run.again()
    assert (summary.duplicates, summary.indexed) == (10, 0)
    assert [event.done for event in advances(run)] == [0, 3, 6, 9, 10]


def test_what_a_neighbour_has_killed_is_read_again_and_indexed(run: Run, tmp_path: Path) -> None:
    """The kernel ends whom it likes when memory runs out; a good photo must not pay for it for ever."""
    prepare = KillItselfOnce(run.encoder.prepare, ODD, str(tmp_path / "marker"))
    with DecodeWorkers(prepare, 2) as decoder:
        summary = run.again(decoder=decoder)
    assert (summary.indexed, summary.failed) == (10, 0)
    assert (tmp_path / "marker").exists()
    run.check()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (KillItself, "it crashed the decoder, twice; it is quarantined"),
        (Hang, "it took longer than 0.5 s to read, twice; it is quarantined"),
    ],
)
def test_two_strikes_and_a_file_is_quarantined_until_it_changes(
    run: Run, bad: type[KillItself | Hang], reason: str
) -> None:
    """It would cost its ten seconds in every run, and a watcher runs all day."""
    shutil.copyfile(run.photos / "1.jpg", run.photos / "copy of 1.jpg")
    with DecodeWorkers(bad(run.encoder.prepare, ODD), 2, time_limit_s=0.5) as decoder:
        assert run.again(decoder=decoder).failed == 2
        assert run.catalog.failures() == [
            FailedFile(os.fsencode(run.photos / name), reason, 1) for name in ("1.jpg", "copy of 1.jpg")
        ]
        assert (run.again(decoder=decoder).unchanged, advances(run)) == (11, [])
        photo(run.photos / "1.jpg", 1, width=32)
        assert run.again(decoder=decoder).indexed == 1
    run.check()


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="Linux")
def test_a_disk_that_does_not_answer_convicts_no_photo(run: Run) -> None:
    """A share that sleeps for a minute would take its photos out of the results for good."""
    with DecodeWorkers(Wait(run.encoder.prepare, ODD), 2, time_limit_s=0.5) as decoder:
        assert (run.again(decoder=decoder).failed, len(run.shown())) == (1, 9)
    assert [failed.reason for failed in run.catalog.failures()] == ["the disk did not answer for 0.5 s"]
    assert run.again().indexed == 1
    run.check()


def test_a_photo_that_is_away_when_it_is_decoded_is_read_when_it_is_back(run: Run) -> None:
    """A disk that is unplugged in the middle of a run comes back with the same photos, unchanged."""
    summary = run.again(decoder=Unplugged(run, 1))
    assert (summary.failed, summary.unsettled, summary.offline) == (0, 10, (os.fsencode(run.photos),))
    assert run.catalog.failures() == []  # a thousand lines about one cable
    assert [event.path for event in run.events if isinstance(event, Unlisted)] == [os.fsencode(run.photos)]
    assert (advances(run)[-1].done, advances(run)[-1].total) == (10, 10)
    run.photos.with_name("away").rename(run.photos)
    assert run.again().indexed == 10 and run.catalog.root_statuses()[0].online
    run.check()


def put_fifo(run: Run, *names: str) -> Scope:
    """Stands for a disk that does not answer: FIFOs take the place of photos after these were listed."""

    def held(root: Root, stamp: Stamp) -> bool:
        if (name := os.fsdecode(stamp.name)) in names:
            (run.photos / name).unlink()
            os.mkfifo(run.photos / name)
        return False

    return Scope(held=held)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this platform")
def test_a_file_that_brings_no_byte_is_given_up_and_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sleeping share would stop a run of a night at its first file."""
    monkeypatch.setattr(digests, "SILENCE_S", 0.3)
    monkeypatch.setattr(digests, "THREADS", 1)  # which is left behind, so that another one must take over
    summary = run.again(scope=put_fifo(run, "0.jpg"))
    assert (summary.indexed, summary.failed, summary.unsettled) == (9, 1, 1)
    assert [failed.reason for failed in run.catalog.failures()] == ["the disk did not answer for 0.3 s"]
    (run.photos / "0.jpg").unlink()
    photo(run.photos / "0.jpg", 0)
    assert run.again().indexed == 1
    run.check()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this platform")
def test_a_disk_that_does_not_answer_at_all_is_left_for_this_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead share of 10,000 photos would take a week, a minute and a thread for each."""
    monkeypatch.setattr(digests, "SILENCE_S", 0.2)
    monkeypatch.setattr(ingest, "_TICK_S", 0.1)
    monkeypatch.setattr(ingest, "_SILENT", 2)
    monkeypatch.setattr(InlineDecoder, "ahead", 8)  # some are asked for when the second one is given up
    summary = run.again(scope=put_fifo(run, *(f"{number}.jpg" for number in range(10))))
    assert (summary.failed, summary.unsettled, summary.offline) == (2, 10, (os.fsencode(run.photos),))
    assert [event.reason for event in run.events if isinstance(event, Unlisted)] == ["its disk does not answer"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this platform")
def test_a_run_whose_disk_does_not_answer_can_be_stopped(run: Run) -> None:
    """Ctrl-C that is not heard is followed by kill -9."""
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 3

    finished: list[Summary] = []
    catalog_path = run.library / "catalog.db"
    run.catalog.close()

    def work() -> None:
        run.catalog = Catalog.open_writer(catalog_path)
        finished.append(run.again(stop=stop, scope=put_fifo(run, "0.jpg")))
        run.catalog.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert finished and finished[0].interrupted
    run.catalog = Catalog.open_writer(catalog_path)


def test_a_file_that_is_no_photo_by_its_size_is_not_read(run: Run) -> None:
    """A disk image of 500 GB called .tif would be hashed for an hour, in each run that is stopped meanwhile."""
    with (run.photos / "image.tif").open("wb") as handle:
        handle.truncate(20_000_000_000)
    assert (run.again().failed, len(run.shown())) == (1, 10)
    assert [failed.reason for failed in run.catalog.failures()] == ["it has 20.0 GB; 4 are the limit"]
    assert run.again().unchanged == 11


class Unplugged(InlineDecoder):
    """The disk goes just before the file of this number is decoded."""

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(run.encoder.prepare)
        self._run = run
        self._left = number

    def submit(self, path: bytes) -> Future[Decoded | Failure]:
        self._left -= 1
        if not self._left:
            self._run.photos.rename(self._run.photos.with_name("away"))
        return super().submit(path)


def test_a_disk_that_goes_while_known_photos_are_read_again_takes_none_out_of_the_results(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(I5) After an upgrade all photos are read again; the cable that is pulled then must not empty the library."""
    run.again()
    monkeypatch.setattr(catalog_module, "DESCRIPTION", catalog_module.DESCRIPTION + 1)
    run.again(decoder=Unplugged(run, 4))
    assert (len(run.shown()), run.catalog.photo_count()) == (10, 10)
    assert not run.catalog.root_statuses()[0].online


def test_what_cannot_be_read_for_a_moment_stays_as_it_is_known(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A permission that is wrong for an hour must not take photos out of the results that have not changed."""

    class Denied(InlineDecoder):
        def submit(self, path: bytes) -> Future[Decoded | Failure]:
            denied: Future[Decoded | Failure] = Future()
            denied.set_result(Failure("input/output error", lasting=False))
            return denied

    run.again()
    monkeypatch.setattr(catalog_module, "DESCRIPTION", catalog_module.DESCRIPTION + 1)
    photo(run.photos / "0.jpg", 100)  # what it showed is not there any more
    summary = run.again(decoder=Denied(run.encoder.prepare))
    assert (summary.failed, summary.unsettled) == (10, 10)
    assert sorted(run.shown()) == [f"{number}.jpg" for number in range(1, 10)]
    assert (run.again().failed, len(run.shown())) == (0, 10)
    run.check()


def test_photos_that_are_described_anew_keep_their_vectors(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade that reads more of a photo must not cost hours of encoding, nor a checkpoint of old vectors."""
    run.again()
    before = run.catalog.last_seq(run.space)
    monkeypatch.setattr(catalog_module, "DESCRIPTION", catalog_module.DESCRIPTION + 1)
    photo(run.photos / "new.jpg", 100)
    assert run.again().indexed == 11
    assert (run.encoder.encoded, run.catalog.last_seq(run.space)) == (1, before + 1)
    assert run.again().unchanged == 11
    run.check()


@pytest.mark.parametrize(("lost", "indexed", "failed"), [("copy.jpg", 1, 1), ("1.jpg", 0, 2)])
def test_a_copy_that_vanishes_fails_alone_unless_it_is_the_one_that_was_read(
    tmp_path: Path, lost: str, indexed: int, failed: int
) -> None:
    """Of a hundred copies one is always on its way to the trash."""
    run = Run(tmp_path)
    photo(run.photos / "1.jpg", 1)
    shutil.copyfile(run.photos / "1.jpg", run.photos / "copy.jpg")
    begun: list[Future[Decoded | Failure]] = []

    class Slow(InlineDecoder):
        ahead = 2

        def submit(self, path: bytes) -> Future[Decoded | Failure]:
            begun.append(super().submit(path))
            return Future()

    real = ingest.Ingest._begin

    def begin(self: ingest.Ingest, file: ingest.Fresh, digest: bytes | Failure) -> None:
        real(self, file, digest)
        if file.path.endswith(b"copy.jpg"):
            (run.photos / lost).unlink()
            next(iter(self._decoding)).set_result(begun[0].result())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest.Ingest, "_begin", begin)
        summary = run.again(decoder=Slow(run.encoder.prepare))
    assert (summary.indexed, summary.failed) == (indexed, failed)
    assert len(run.shown()) == indexed
    run.check()
    run.catalog.close()


def test_a_run_that_is_stopped_before_the_second_chance_leaves_it_to_the_next_one(run: Run) -> None:
    """Ctrl-C must neither wait for it nor convict it."""
    with DecodeWorkers(KillItself(run.encoder.prepare, ODD), 1) as decoder:
        summary = run.again(decoder=decoder, stop=lambda: bool(decoder._children) and run.encoder.encoded >= 8)
    assert summary.interrupted
    assert [failed.reason for failed in run.catalog.failures()] == ["it crashed the decoder"]
    assert run.again().indexed == 10 - summary.indexed
    assert run.catalog.failures() == []
    run.check()


def test_a_checkpoint_that_cannot_be_written_does_not_hide_what_was_done(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of photos are committed then; a bare "the disk is full" reads as if they were lost."""

    def full(*_: object) -> None:
        raise SystemFault("The checkpoint cannot be written (no space left on device).", "Free some space.")

    monkeypatch.setattr(vectors, "make_checkpoint", full)
    events = update.update(
        run.catalog,
        run.space,
        run.library / "vectors",
        run.catalog.roots(),
        run.encoder,
        InlineDecoder(run.encoder.prepare),
    )
    told = []
    with pytest.raises(SystemFault, match="checkpoint"):
        told += events
        for event in events:
            told.append(event)
    assert isinstance(told[-1], Summary) and told[-1].indexed == 10


def test_the_timings_are_those_of_the_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that counts nothing, or another's time, sends people to buy a faster disk in vain."""
    real = run.encoder.encode_pixels
    monkeypatch.setattr(run.encoder, "encode_pixels", lambda pixels: (work(), real(pixels))[1])
    with DecodeWorkers(Work(run.encoder.prepare), 2) as decoder:
        spent = run.again(decoder=decoder).timings
    assert 0.1 <= spent.prepare < 1
    assert 0.03 <= spent.encode < 0.5  # three batches
    assert spent.decode < spent.prepare and spent.hash < spent.prepare and spent.store > 0
    assert replace(run.again().timings, store=0.0) == Timings()


def test_a_worker_that_cannot_start_ends_the_run_with_its_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all photos would be called broken, for good."""
    monkeypatch.setattr(workers.sys, "executable", shutil.which("true"))
    with DecodeWorkers(run.encoder.prepare, 2) as decoder, pytest.raises(SystemFault, match="did not start"):
        run.again(decoder=decoder)
    monkeypatch.undo()
    assert run.catalog.failures() == []
    assert run.again().indexed == 10


# -- a file that takes the whole run down -----------------------------------------------------------

_RUN = """
import os, sys
from pathlib import Path
from clipsearch.decoding import journal
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.update import Scope
from clipsearch.decoding.journal import Journal
from clipsearch.index.update import update
from clipsearch.decoding.workers import DecodeWorkers
from tests.decoding.prepares import KillTheRun
from tests.support.encoder import HashEncoder
library, witness = Path(sys.argv[1]), sys.argv[2]
journal._witness = lambda: witness.encode()
encoder = HashEncoder()
with (
    Catalog.open_writer(library / "catalog.db") as catalog,
    Journal(library / "in-flight") as journal,
    DecodeWorkers(KillTheRun(encoder.prepare, 40), 2) as decoder,
    decoder.journaled(journal),
):
    space = catalog.space_for(encoder.space)
    for event in update(catalog, space, library / "vectors", catalog.roots(), encoder, decoder):
        pass
    print(event.indexed, event.failed)
"""


def run_elsewhere(run: Run, witness: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _RUN, str(run.library), witness]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def indexed_by(run: Run) -> int:
    with Catalog.open_reader(run.library / "catalog.db") as catalog:
        return catalog.counts()[0]


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_file_that_ends_the_run_keeps_no_other_out_and_is_quarantined(run: Run) -> None:
    """One photo that has the kernel end us would end each run at the same place, and none behind it ever came in."""
    for number in range(10, 60):
        photo(run.photos / f"{number}.jpg", number)
    assert run_elsewhere(run, "boot 0").returncode == -signal.SIGKILL
    assert indexed_by(run) < 59
    assert run_elsewhere(run, "boot 1").returncode == -signal.SIGKILL
    assert indexed_by(run) >= 58, "a suspect was not among the last"
    assert run_elsewhere(run, "boot 2").returncode == -signal.SIGKILL
    assert indexed_by(run) == 59, "its neighbour, a suspect too, must not wait behind it"
    last = run_elsewhere(run, "boot 3")
    assert (last.returncode, last.stdout) == (0, "0 1\n"), last.stderr
    (failed,) = run.catalog.failures()
    assert failed.path.endswith(b"/1.jpg") and failed.reason.endswith("quarantined")
    assert run_elsewhere(run, "boot 4").stdout == "0 0\n"
    with Journal(run.library / "in-flight") as left:
        assert dict(left.suspects) == {}
    run.check()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_whoever_kills_runs_convicts_no_photo(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill -9, three times at the very same photo: nothing tells it from a file's fault but what the kernel counts."""
    for _ in range(3):
        assert run_elsewhere(run, "boot 0").returncode == -signal.SIGKILL
    monkeypatch.setattr(journal, "_witness", lambda: b"boot 0")
    assert run.catalog.failures() == []
    with Journal(run.library / "in-flight") as left:
        assert dict(left.suspects) == {}
    assert run.again().failed == 0
    check(run.catalog, run.space, run.encoder)
    assert indexed_by(run) == 10
