"""Who is suspected after a run that died, and who is not."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.decoding import journal as module
from clipsearch.decoding.journal import Journal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "in-flight"


def witness(monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    monkeypatch.setattr(module, "_witness", lambda: says)


def died(file: Path, *reading: bytes, alone: bool = False, read: bytes | None = None) -> dict[bytes, int]:
    """A run that dies while it reads these files; whom it suspected itself."""
    with contextlib.ExitStack() as run:
        journal = run.enter_context(Journal(file))
        suspected = dict(journal.suspects)
        for path in reading:
            run.enter_context(journal.reading(path, alone=alone))
        if read is not None:
            journal.clear(read)
        left = file.read_bytes()
    file.write_bytes(left)
    return suspected


def suspects(file: Path) -> dict[bytes, int]:
    return died(file)


def test_what_was_in_flight_when_memory_ran_out_is_suspected(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that ends the run would end each further one, for months (immich #25676)."""
    witness(monkeypatch, b"boot 0")
    died(file, b"/a.jpg", b"/b.jpg", b"/caf\xe9.jpg", read=b"/b.jpg")
    witness(monkeypatch, b"boot 1")
    assert suspects(file) == {b"/a.jpg": 0, b"/caf\xe9.jpg": 0}


def test_a_run_that_a_person_ends_makes_no_suspects(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever kills a run ten times a day would lose ten good photos a day."""
    witness(monkeypatch, b"boot 0")
    died(file, b"/a.jpg")
    assert suspects(file) == {}
    died(file, b"/a.jpg", alone=True)
    assert suspects(file) == {b"/a.jpg": 0}, "it was one already, and has no strike from that"


def test_only_deaths_alone_are_strikes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside others it may be the neighbour's fault."""
    witness(monkeypatch, b"")  # not known on this system: each death counts
    for _ in range(5):
        died(file, b"/a.jpg", b"/b.jpg")
    assert suspects(file) == {b"/a.jpg": 0, b"/b.jpg": 0}
    died(file, b"/a.jpg", alone=True)
    assert suspects(file) == {b"/a.jpg": 1, b"/b.jpg": 0}
    died(file, b"/a.jpg", alone=True)
    assert suspects(file) == {b"/a.jpg": 2, b"/b.jpg": 0}


def test_a_suspect_stays_one_until_it_was_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is ended before its last files would forget them, and the next one would read them among others."""
    witness(monkeypatch, b"")
    died(file, b"/a.jpg")
    for _ in range(3):
        with Journal(file) as journal:
            assert dict(journal.suspects) == {b"/a.jpg": 0}
    with Journal(file) as journal, journal.reading(b"/a.jpg", alone=True):
        pass
    assert suspects(file) == {}


def test_a_run_that_ends_by_itself_leaves_nobody(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends runs too, in the middle of whatever is in flight."""
    witness(monkeypatch, b"")
    with Journal(file) as journal:
        unfinished = journal.reading(b"/a.jpg")
        unfinished.__enter__()
    assert suspects(file) == {}


def test_the_file_stays_small(file: Path) -> None:
    """A million names in it would be read at each start."""
    with Journal(file) as journal:
        for number in range(2000):
            with journal.reading(b"/%d.jpg" % number):
                pass
    assert file.stat().st_size < 10_000


@settings(max_examples=100)
@given(
    paths=st.sets(st.binary(min_size=1, max_size=30), min_size=1, max_size=4),
    slot=st.integers(0, 4),
    offset=st.integers(-20, 60),
    garbage=st.binary(min_size=1, max_size=20),
)
def test_a_torn_file_accuses_nobody_falsely(
    tmp_path_factory: pytest.TempPathFactory, paths: set[bytes], slot: int, offset: int, garbage: bytes
) -> None:
    """After a power cut the file may hold anything; a name that was never in it would quarantine another photo."""
    at = module._WITNESS_BYTES + slot * module._SLOT_BYTES + offset
    file = tmp_path_factory.mktemp("journal") / "in-flight"
    with pytest.MonkeyPatch.context() as patch:
        witness(patch, b"")
        died(file, *paths)
        data = bytearray(file.read_bytes())
        assert set(module._suspects(bytes(data), b"")) == paths
        data[at : at + len(garbage)] = garbage
        assert set(module._suspects(bytes(data), b"")) <= paths
        assert set(module._suspects(bytes(data[:at]), b"")) <= paths


@pytest.mark.skipif(not os.path.exists("/proc/vmstat"), reason="Linux")
def test_the_witness_is_the_same_until_something_happens() -> None:
    """If it changed by itself, every kill would be held against a photo."""
    assert module._witness() == module._witness()
    assert len(module._witness()) <= module._WITNESS_BYTES
