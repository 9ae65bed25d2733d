"""Files that lie, hang, crash and flood, all in one run: it survives, each has a reason, and good ones are found."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipsearch.decoding.budget import file_bytes
from clipsearch.decoding.journal import Journal
from clipsearch.decoding.workers import TIME_LIMIT_S, DecodeWorkers, _Child
from tests.decoding.hostile import good_files, write_mutations
from tests.decoding.test_decode import table
from tests.index.filled import own_vector
from tests.index.test_update import Run

WORKERS = 2
GRACE_S = 10  # until a process is ended, on a machine that has other things to do
A_WORKER_BYTES = 512 << 20  # with the headroom that it has beyond what headers ask for


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.catalog.close()


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="Linux")
def test_a_hundred_mutations_in_one_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory card that fails writes such files by the hundred, among the last photos of somebody."""
    write_mutations(run.photos, 120)
    check_one_run(run, 120, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="Linux")
def test_every_hostile_file_and_20_000_mutations_in_one_run(
    run: Run, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for all that was found in the field, and for what chance makes of good files of every format."""
    hostile = shared / "data" / "hostile"
    write_mutations(run.photos, 20_000)
    listed = [row for row in table(hostile) if (run.photos / row["file"]).suffix != ".svg"]
    for row in listed:
        (run.photos / row["file"]).symlink_to(hostile / row["file"])
    check_one_run(run, 20_000, monkeypatch)
    shown = run.shown()
    wrong = [
        row["file"]
        for row in listed
        if (row["outcome"] == "opens" and row["file"] not in shown)
        or (row["outcome"] == "error" and row["file"] in shown)
    ]
    assert wrong == []


def check_one_run(run: Run, mutations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes the folder of the run with good files among the others, and holds it to what was promised."""
    good = good_files()
    for name, data in good.items():
        (run.photos / f"good-{name}").write_bytes(data)
    longest = clocked(monkeypatch)
    with Peak() as peak, Journal(run.library / "in-flight") as journal:
        with DecodeWorkers(run.encoder.prepare, WORKERS) as decoder, decoder.journaled(journal):
            summary = run.again(decoder=decoder)
        assert not journal.suspects
    failures, shown = run.catalog.failures(), run.shown()
    listed = run.events[1].files  # type: ignore[attr-defined]  # of Planned
    assert listed >= mutations + len(good)
    assert summary.indexed + summary.duplicates + summary.failed == listed
    assert len(shown) + len(failures) == listed, "a file has neither a photo nor a reason"
    assert len(failures) == summary.failed > mutations // 10
    assert all(failed.reason.strip() for failed in failures)
    stored = {
        int(i): row for ids, rows in run.catalog.vector_chunks(run.space) for i, row in zip(ids, rows, strict=True)
    }
    for name in good:
        own = own_vector(run.photos / f"good-{name}", run.encoder).astype(np.float16)
        assert np.array_equal(stored[shown[f"good-{name}"]], own), name
    assert max(longest) < TIME_LIMIT_S + GRACE_S
    assert peak.bytes < file_bytes() + WORKERS * A_WORKER_BYTES, f"{peak.bytes / 1e6:.0f} MB"
    again = run.again(decoder=decoder)
    assert (again.unchanged, again.failed) == (listed, 0), "what failed for good is tried again"


def clocked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that each message to a worker has taken until its answer, as they come."""
    seconds: list[float] = []
    real = _Child._exchange

    def timed(child: _Child, message: object, limit_s: float) -> object:
        started = time.monotonic()
        try:
            return real(child, message, limit_s)
        finally:
            if isinstance(message, bytes | str):  # not the first one, which waits for Python to start
                seconds.append(time.monotonic() - started)

    monkeypatch.setattr(_Child, "_exchange", timed)
    return seconds


class Peak:
    """The most that this process and its children had beyond what they have at the beginning, in PSS."""

    def __init__(self) -> None:
        self._before = self._most = tree_bytes(os.getpid())
        self._ended = threading.Event()
        self._watching = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watching.join()

    @property
    def bytes(self) -> int:
        return self._most - self._before

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self._most = max(self._most, tree_bytes(os.getpid()))


def tree_bytes(pid: int) -> int:
    """PSS of a process and its descendants; one that ends meanwhile counts as nothing."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        listed = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return 0
    own = next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return own + sum(tree_bytes(int(child)) for line in listed for child in line.split())
