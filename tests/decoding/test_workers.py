"""Decode workers: one bad file costs that file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from clipsearch.decoding import workers as workers_module
from clipsearch.decoding.decode import decode
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.types import Decoded, Failure
from tests.decoding.prepares import Flood, Hang, KillItself, Leak, Print, ProcessFacts
from tests.index.filled import photo
from tests.support.encoder import HashEncoder

PREPARE = HashEncoder().prepare
BAD = 3  # the place of the photo, 40 px wide, that the prepares below choke on


@pytest.fixture
def photos(tmp_path: Path) -> list[bytes]:
    return [os.fsencode(photo(tmp_path / f"{n}.jpg", n, width=40 if n == BAD else 32)) for n in range(12)]


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_outcomes_come_in_the_order_of_paths(photos: list[bytes], tmp_path: Path) -> None:
    """Out of order, each photo would get its neighbour's vector."""
    (tmp_path / "text.jpg").write_text("no picture")
    paths = [*photos[:5], os.fsencode(tmp_path / "text.jpg"), os.fsencode(tmp_path / "absent.jpg"), *photos[5:]]
    with DecodeWorkers(PREPARE, 2) as workers:
        outcomes = list(workers.decode_all(paths))
    with DecodeWorkers(PREPARE, 1) as alone:
        assert outcomes == [next(alone.decode_all([path])) for path in paths]
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [n in (5, 6) for n in range(len(paths))]
    assert len({outcome.pixels for outcome in outcomes if isinstance(outcome, Decoded)}) == 12
    assert outcomes[6] == Failure("no such file or directory", lasting=False)


def test_paths_are_pulled_only_a_little_ahead(photos: list[bytes]) -> None:
    """A million paths must not wait decoded in memory."""
    pulled: list[bytes] = []

    def paths() -> object:
        for path in photos * 10:
            pulled.append(path)
            yield path

    with DecodeWorkers(PREPARE, 1) as workers:
        outcomes = workers.decode_all(paths())  # type: ignore[arg-type]
        next(outcomes)
        assert len(pulled) <= 8
        outcomes.close()  # type: ignore[attr-defined]


def test_closing_the_outcomes_drops_what_no_worker_has_begun(photos: list[bytes]) -> None:
    """Who scrolls on would wait for the photos of the screen before."""
    with DecodeWorkers(Hang(PREPARE, 40), 1, time_limit_s=2) as decoder:
        outcomes = decoder.decode_all([photos[0], *[photos[BAD]] * 10])
        assert isinstance(next(outcomes), Decoded)
        outcomes.close()
        started = time.monotonic()
        assert all(isinstance(outcome, Decoded) for outcome in decoder.decode_all(photos[:BAD]))
        assert time.monotonic() - started < 5  # one that hangs may have begun; three were handed over


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_costs_its_file_only(photos: list[bytes], workers: int) -> None:
    """The kernel kills what eats too much memory; the other 99,999 photos must be indexed."""
    with DecodeWorkers(KillItself(PREPARE, 40), workers) as decoder:
        outcomes = list(decoder.decode_all(photos))
    with DecodeWorkers(PREPARE, 1) as decoder:
        expected = list(decoder.decode_all(photos))
    expected[BAD] = Failure("it crashed the decoder", fatal=True)
    assert outcomes == expected


def test_a_worker_that_hangs_is_killed_and_costs_its_file_only(photos: list[bytes]) -> None:
    """A picture with 5,000 scans takes for ever, inside C where no signal helps."""
    started = time.monotonic()
    with DecodeWorkers(Hang(PREPARE, 40), 2, time_limit_s=0.5) as decoder:
        outcomes = list(decoder.decode_all(photos))
    assert time.monotonic() - started < 20
    assert [isinstance(outcome, Decoded) for outcome in outcomes] == [n != BAD for n in range(12)]
    assert outcomes[BAD] == Failure("it took longer than 0.5 s to read", fatal=True)


def test_a_library_that_prints_does_not_garble_the_answers(photos: list[bytes]) -> None:
    """Codecs in C write warnings to stdout, which is the pipe of the answers."""
    with DecodeWorkers(Print(PREPARE), 1) as decoder:
        assert all(isinstance(outcome, Decoded) for outcome in decoder.decode_all(photos))


@pytest.mark.skipif(os.name == "nt", reason="sessions")
def test_a_worker_lives_in_a_session_of_its_own_with_limited_memory(photos: list[bytes]) -> None:
    """Ctrl-C goes to the whole group of the terminal; it must reach us alone, who finish the batch."""
    with DecodeWorkers(ProcessFacts(PREPARE), 1) as decoder:
        (outcome,) = decoder.decode_all(photos[:1])
    assert isinstance(outcome, Decoded)
    pid, group, session, memory, core_seconds = ProcessFacts.read(outcome.pixels)
    assert pid == group == session
    assert group != os.getpgid(0)
    assert memory < 1 << 30
    assert 60 < core_seconds < 600  # for one whose parent was killed while it hung


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux")
def test_a_worker_that_grows_is_replaced(photos: list[bytes]) -> None:
    """What a codec leaks a megabyte at a time would fill the machine after 10,000 photos."""
    with DecodeWorkers(Leak(PREPARE), 1) as decoder:
        outcomes = list(decoder.decode_all(photos))
    pids = [outcome.pixels for outcome in outcomes if isinstance(outcome, Decoded)]
    assert len(pids) == 12
    assert max(map(pids.count, pids)) <= 4
    assert not [pid for pid in pids if exists(int(pid))]


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux")
def test_a_file_gets_no_more_memory_than_its_header_asks_for(photos: list[bytes]) -> None:
    """One that lies takes gigabytes before its time runs out, and the machine swaps."""
    with DecodeWorkers(Flood(PREPARE, 40), 1) as decoder:
        outcomes = list(decoder.decode_all(photos))
    assert outcomes[BAD] == Failure("it needs more memory than one picture may take")
    assert [isinstance(outcome, Decoded) for outcome in outcomes] == [n != BAD for n in range(12)]


def test_a_file_that_needs_more_than_the_machine_has_to_give_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a NAS with 1 GB a scan of 200 megapixels would have the kernel end something."""
    monkeypatch.setattr(workers_module, "file_bytes", lambda: 50_000_000)
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.new("RGB", (4000, 3000)).save(large, compress_level=1)
    Image.new("RGB", (400, 300)).save(small)
    with DecodeWorkers(PREPARE, 1) as decoder:
        refused, taken = decoder.decode_all([os.fsencode(large), os.fsencode(small)])
    reason = "it needs 0.1 GB of memory to be read and 0.1 GB is the limit; a baseline JPEG of it needs little"
    assert refused == Failure(reason)
    assert isinstance(taken, Decoded)


def test_large_files_wait_for_each_other_and_all_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one at a time would go over the budget; a wait that is never woken hangs the run."""
    monkeypatch.setattr(workers_module, "total_bytes", lambda count: 1)
    for number in range(6):
        Image.new("RGB", (2400, 2000), (number, 0, 0)).save(tmp_path / f"{number}.png", compress_level=1)
    paths = [os.fsencode(path) for path in sorted(tmp_path.iterdir())]
    with DecodeWorkers(PREPARE, 3) as decoder:
        assert all(isinstance(outcome, Decoded) for outcome in decoder.decode_all(paths))


def test_the_budget_is_asked_for_the_buffers_of_a_progressive_jpeg(tmp_path: Path) -> None:
    """draft() makes the picture small, but libjpeg keeps all coefficients of the large one (Telegram-Archive #449)."""
    asked: dict[str, int] = {}
    for name, options in {"baseline": {}, "4:2:0": {"progressive": True}, "4:4:4": {"progressive": True}}.items():
        path = tmp_path / "photo.jpg"
        Image.new("RGB", (3000, 2000)).save(path, subsampling=0 if name == "4:4:4" else 2, **options)
        decode(os.fsencode(path), PREPARE, lambda needed, name=name: asked.update({name: needed}))  # type: ignore[misc]
    assert asked["4:2:0"] - asked["baseline"] == 3000 * 2000 * 3
    assert asked["4:4:4"] - asked["baseline"] == 3000 * 2000 * 6
    assert asked["baseline"] < 3000 * 2000


@pytest.mark.skipif(os.name == "nt", reason="sessions")
def test_no_worker_outlives_its_pool(photos: list[bytes]) -> None:
    """Each index run would leave processes behind."""
    with DecodeWorkers(ProcessFacts(PREPARE), 2) as decoder:
        outcomes = list(decoder.decode_all(photos))
    pids = {ProcessFacts.read(outcome.pixels)[0] for outcome in outcomes if isinstance(outcome, Decoded)}
    assert pids and not [pid for pid in pids if exists(pid)]


@pytest.mark.skipif(os.name == "nt", reason="sessions")
def test_leaving_in_the_middle_starts_no_new_worker_and_waits_for_no_file(photos: list[bytes]) -> None:
    """An interrupted run must end at once: neither the queue nor a hanging file may hold it."""
    children = _children()
    started = time.monotonic()
    for _ in range(5):
        with DecodeWorkers(Hang(PREPARE, 40), 2, time_limit_s=60) as decoder:
            outcomes = decoder.decode_all(photos * 3)
            next(outcomes)
            outcomes.close()  # type: ignore[attr-defined]
        assert _children() == children
    assert time.monotonic() - started < 40


def _children() -> set[str]:
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    tasks = path.parents[1].glob("*/children") if path.exists() else []
    return {pid for task in tasks for pid in task.read_text().split()}


_PARENT = """
import os, sys
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.types import Decoded
from tests.support.encoder import HashEncoder
from tests.decoding.prepares import ProcessFacts
with DecodeWorkers(ProcessFacts(HashEncoder().prepare), 1) as decoder:
    (outcome,) = decoder.decode_all([os.fsencode(sys.argv[1])])
    print(ProcessFacts.read(outcome.pixels)[0], flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_workers_end_when_their_parent_is_killed(photos: list[bytes]) -> None:
    """A killed run must not leave processes that hold memory for ever."""
    command = [sys.executable, "-c", _PARENT, os.fsdecode(photos[0])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert exists(worker)
        parent.send_signal(signal.SIGKILL)
        parent.wait(timeout=30)
    deadline = time.monotonic() + 30
    while _runs(worker) and time.monotonic() < deadline:
        os.sched_yield()
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    """False for a zombie too: here nobody may be there to bury it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
