"""The driver without Ray: what comes back is in the bundle, what does not is handed out again, nothing is uncounted."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.bundles.folder import is_sealed, parts_in, read_manifest, read_part
from clipsearch.bundles.rows import Photo, Row, Unread
from clipsearch.config import Paths
from clipsearch.errors import LibraryBusy, ModelError, SystemFault
from clipsearch.events import Advanced, Summary, Troubled, WatchEvent
from clipsearch.files import exclusive_lock
from clipsearch.types import Metadata
from tests.cli.program import make_photos

pytest.importorskip("ray", reason="the extra [cluster] is not installed")
import pyarrow as pa
import pyarrow.parquet as pq

from clipsearch.cluster import driving, rays
from clipsearch.cluster.actor import Orders
from clipsearch.cluster.driving import Job, encoded
from clipsearch.cluster.layout import Layout, Machine
from clipsearch.cluster.parcels import Chunk, Fault, Outcome, Parcel
from clipsearch.cluster.reading import chunks

Carry = Callable[[Chunk], Outcome | Fault | None]  # None: it was lost


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Carry]]:
    """In place of Ray, what the last of the list makes of each chunk."""
    carry: list[Carry] = [read]

    def outcomes(
        parcels: Sequence[Parcel], elsewhere: frozenset[bytes], orders: Orders, places: Layout
    ) -> Iterator[Outcome | Fault | None]:
        return (carry[-1](chunk) for parcel in parcels for chunk in chunks(parcel, elsewhere))

    monkeypatch.setattr(rays, "encoded", outcomes)
    monkeypatch.setattr(rays, "cluster", lambda address, cores: contextlib.nullcontext())
    monkeypatch.setattr(rays, "machines", lambda: [Machine(1, 0)])
    yield carry


def read(chunk: Chunk) -> Outcome:
    """Empty files cannot be read; all others are photos."""
    vector = b"\x00\x3c" + bytes(2 * 511)  # 1, 0, 0, …
    rows: list[Row] = [
        Photo(item.place, os.fsencode(item.place.path).rjust(32), Metadata(1, 1, "PNG"), vector, "fp32/none")
        if item.place.size
        else Unread(item.place, "the file is empty", driving.decoder_identity())
        for item in chunk.items
    ]
    return Outcome(chunk.parcel, tuple(rows), chunk.end)


def run(folder: Path, out: Path, stop: Callable[[], bool] = lambda: False) -> tuple[Summary, list[WatchEvent]]:
    paths = Paths(out / "library", out / "cache", out / "models")
    *events, summary = encoded(Job((str(folder),), out, "starter"), paths, stop)
    assert isinstance(summary, Summary)
    return summary, events


def rows_in(out: Path) -> dict[bytes, Row]:
    """Of all parts, sealed or not."""
    return {row.place.path: row for _, part in parts_in(out) for some in read_part(out, part) for row in some}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_photos(tmp_path / "photos", 50)
    (tmp_path / "photos" / "empty.jpg").touch()
    return tmp_path / "photos"


def test_every_file_is_a_row_and_a_second_run_finds_nothing_to_do(
    photos: Path, tmp_path: Path, carried: list[Carry]
) -> None:
    """(K1), and what is done once must not cost again."""
    first, _ = run(photos, tmp_path / "out")
    assert (first.indexed, first.failed, first.unchanged) == (50, 1, 0)
    assert len(rows_in(tmp_path / "out")) == 51
    carried.append(lambda chunk: pytest.fail("it was encoded again"))
    again, _ = run(photos, tmp_path / "out")
    assert (again.indexed, again.failed, again.unchanged) == (0, 0, 51)
    assert len(rows_in(tmp_path / "out")) == 51


def test_only_what_is_missing_or_has_changed_is_encoded(photos: Path, tmp_path: Path, carried: list[Carry]) -> None:
    run(photos, tmp_path / "out")
    make_photos(photos, 3, start=50)
    os.utime(photos / "photo-0007.png", ns=(5, 5))
    second, _ = run(photos, tmp_path / "out")
    assert (second.indexed, second.unchanged) == (4, 50)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(losses=st.lists(st.booleans(), max_size=12))
def test_what_is_lost_is_handed_out_again(
    photos: Path, tmp_path_factory: pytest.TempPathFactory, carried: list[Carry], losses: list[bool]
) -> None:
    """(K2) Whichever chunks die with their actors, as long as they do not die each time."""
    left, dead = list(losses), list[Chunk]()

    def carry(chunk: Chunk) -> Outcome | None:
        if not (left and left.pop()):
            return read(chunk)
        dead.append(chunk)
        return None

    carried.append(carry)
    out = tmp_path_factory.mktemp("out")
    summary, events = run(photos, out)
    carried.pop()
    rows = rows_in(out)
    assert len(rows) == 51 == summary.indexed + summary.failed
    lost = [row for row in rows.values() if isinstance(row, Unread) and row.reason == driving._LOST]
    assert not lost or len(dead) > 2  # three rounds, each with a loss
    assert any(isinstance(event, Troubled) for event in events) == bool(dead)


def test_what_takes_down_every_actor_is_a_row_and_costs_nothing_else(
    photos: Path, tmp_path: Path, carried: list[Carry]
) -> None:
    """(K1) The reason must stand somewhere, and the next run tries again: the machines may have grown."""
    deadly = b"photo-0033.png"
    carried.append(lambda chunk: None if deadly in [item.place.path for item in chunk.items] else read(chunk))
    summary, _ = run(photos, tmp_path / "out")
    rows = rows_in(tmp_path / "out")
    died = {name for name, row in rows.items() if isinstance(row, Unread) and row.reason == driving._LOST}
    assert died == {deadly}
    assert (summary.indexed, summary.failed, summary.unsettled) == (49, 2, 1)
    carried.append(read)
    again, _ = run(photos, tmp_path / "out")
    assert (again.indexed, again.unchanged) == (1, 50)


def test_what_comes_twice_is_one_row(photos: Path, tmp_path: Path, carried: list[Carry]) -> None:
    """A reader that is started again hands out what it has handed out before."""

    def twice(chunk: Chunk) -> Outcome:
        outcome = read(chunk)
        return Outcome(outcome.parcel, outcome.rows * 2, outcome.end)

    carried.append(twice)
    summary, _ = run(photos, tmp_path / "out")
    assert summary.indexed == 50 and sum(part.rows for part in read_manifest(tmp_path / "out").parts) == 51


def test_a_stopped_run_is_no_whole_bundle_and_the_next_one_goes_on(
    photos: Path, tmp_path: Path, carried: list[Carry]
) -> None:
    """What was paid for is kept, and does not pass for all of the archive."""
    seen: list[Chunk] = []
    carried.append(lambda chunk: seen.append(chunk) or read(chunk))  # type: ignore[func-returns-value]
    summary, _ = run(photos, tmp_path / "out", stop=lambda: len(seen) >= 2)
    assert summary.interrupted and 0 < summary.indexed + summary.failed == len(rows_in(tmp_path / "out")) < 51
    assert not is_sealed(tmp_path / "out")
    second, _ = run(photos, tmp_path / "out")
    assert not second.interrupted and second.indexed + second.failed + second.unchanged == 51
    assert len(rows_in(tmp_path / "out")) == 51 and is_sealed(tmp_path / "out")


@pytest.mark.parametrize("looks", range(4))
def test_a_stop_before_anything_is_encoded_is_one_too(
    photos: Path, tmp_path: Path, carried: list[Carry], looks: int
) -> None:
    """While folders are listed, and in the moment before a cluster is joined."""
    asked = iter([False] * looks)
    summary, _ = run(photos, tmp_path / "out", stop=lambda: next(asked, True))
    assert summary.interrupted and not is_sealed(tmp_path / "out")


def test_a_fault_of_an_actor_is_told_as_if_it_were_here(photos: Path, tmp_path: Path, carried: list[Carry]) -> None:
    """And ends the run at once: it would be the same for every photo."""
    fault = Fault("ModelError", "The model is not there.", "Fetch it.")
    seen: list[Chunk] = []
    carried.append(lambda chunk: fault if seen else seen.append(chunk) or read(chunk))  # type: ignore[func-returns-value]
    with pytest.raises(ModelError, match="The model is not there"):
        run(photos, tmp_path / "out")
    assert len(rows_in(tmp_path / "out")) == len(seen[0].items) and not is_sealed(tmp_path / "out")


def test_two_runs_into_one_folder_do_not_meet(photos: Path, tmp_path: Path, carried: list[Carry]) -> None:
    """Each would seal the bundle without what the other has written."""
    out = tmp_path / "out"
    out.mkdir()
    with exclusive_lock(out / ".lock", "another", lambda holder: SystemFault("", "")), pytest.raises(LibraryBusy):
        run(photos, out)


def test_a_damaged_part_is_told_by_its_name(photos: Path, tmp_path: Path, carried: list[Carry]) -> None:
    """Going on around it would seal a bundle that cannot be merged."""
    run(photos, tmp_path / "out")
    (part,) = (tmp_path / "out").glob("part-*")
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(SystemFault, match=part.name):
        run(photos, tmp_path / "out")


def _tar(path: Path, names: Sequence[str]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    return path


@pytest.mark.parametrize("lost", range(3))
def test_what_came_before_a_loss_is_counted_once(tmp_path: Path, carried: list[Carry], lost: int) -> None:
    """(K1) A tar that lost a chunk is read again from its start, past what has its row of this run or another."""
    names = [f"{number:03d}.jpg" for number in range(300)]
    out = tmp_path / "out"
    assert run(_tar(tmp_path / "a.tar", names[:10]), out)[0].indexed == 10
    seen: list[Chunk] = []
    carried.append(lambda chunk: seen.append(chunk) or (None if len(seen) == lost + 1 else read(chunk)))  # type: ignore[func-returns-value]
    summary, _ = run(_tar(tmp_path / "a.tar", names), out)
    assert (summary.indexed, summary.unchanged, summary.failed) == (290, 10, 0)
    assert len(rows_in(out)) == 300


def test_a_row_that_names_a_file_again_is_counted(photos: Path, tmp_path: Path, carried: list[Carry]) -> None:
    """(K1) Lists of captions name a picture once for each; the numbers must add up to theirs."""
    table = pa.table({"path": [str(photos / "photo-0001.png"), str(photos / "photo-0002.png")] * 3})
    pq.write_table(table, tmp_path / "list.parquet")
    summary, events = run(tmp_path / "list.parquet", tmp_path / "out")
    assert (summary.indexed, summary.duplicates) == (2, 4)
    assert [(event.done, event.total) for event in events if isinstance(event, Advanced)][-1] == (2, 2)


def test_what_is_given_up_is_not_read_by_the_machine_that_asks(
    tmp_path: Path, carried: list[Carry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """(K1) Its bytes may be what took the machines down."""
    source = _tar(tmp_path / "a.tar", ["a.jpg", "b.jpg"])
    monkeypatch.setattr(rays, "encoded", lambda *_: (one for one in ()))  # nothing comes back
    monkeypatch.setattr(tarfile.TarFile, "extractfile", lambda *_: pytest.fail("it was read"))
    summary, _ = run(source, tmp_path / "out")
    assert (summary.failed, summary.unsettled) == (2, 2)
