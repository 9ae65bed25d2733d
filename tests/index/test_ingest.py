"""Fresh files on their way: nothing waits for a file that hangs, and what kills its reader is convicted, or cleared."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from clipsearch.decoding import journal, workers
from clipsearch.decoding.journal import Journal
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.errors import SystemFault
from clipsearch.index import ingest, update, vectors
from clipsearch.index.catalog import Catalog
from clipsearch.types import Advanced, Decoded, FailedFile, Failure, Summary, Timings
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
    away = run.photos.with_name("away")

    class Unplugged(InlineDecoder):
        def submit(self, path: bytes) -> Future[Decoded | Failure]:
            if run.photos.exists():
                run.photos.rename(away)
            return super().submit(path)

    assert run.again(decoder=Unplugged(run.encoder.prepare)).failed > 0
    away.rename(run.photos)
    run.again()
    assert len(run.shown()) == 10
    run.check()


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
from clipsearch.index.catalog import Catalog
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
