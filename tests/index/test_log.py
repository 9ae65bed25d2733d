"""SQLite's write-ahead log stays short, and whoever reads does not stop the writer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsearch.index import database
from clipsearch.index.catalog import Catalog
from tests.index.filled import fill, identity, new_root


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(database, "LOG_BYTES", 200_000)
    monkeypatch.setattr(database, "_LOG_WAIT_MS", 1)
    return tmp_path / "catalog.db"


@pytest.fixture
def writer(path: Path) -> Iterator[Catalog]:
    with Catalog.open_writer(path) as catalog:
        yield catalog


def commits(catalog: Catalog, count: int, log: Path) -> int:
    """The largest that the log was after each of so many commits of 50 kB."""
    largest = 0
    for _ in range(count):
        with catalog.transaction():
            catalog.record_event("padding", {"text": "x" * 50_000})
        largest = max(largest, log.stat().st_size)
    return largest


def test_a_log_is_emptied_before_it_is_long(path: Path, writer: Catalog) -> None:
    """One that only grows fills the disk, and slows each reader."""
    assert commits(writer, 40, path.with_name("catalog.db-wal")) < 400_000


def test_a_reader_that_takes_its_time_stops_no_commit_and_loses_nothing(path: Path, writer: Catalog) -> None:
    """A backup of an hour, and a watcher that waits for it."""
    log = path.with_name("catalog.db-wal")
    space = writer.space_for(identity())
    fill(writer, space, new_root(writer, b"/photos"), 3)
    with Catalog.open_reader(path) as reader:
        with reader.transaction():
            assert reader.counts()[0] == 3
            fill(writer, space, writer.roots()[0], 3, first=3)
            assert commits(writer, 20, log) > 800_000, "the reader was in nobody's way"
            assert reader.counts()[0] == 3
        assert commits(writer, 10, log) > 0 and log.stat().st_size < 400_000
        assert reader.counts()[0] == 6


def test_a_cursor_of_the_writer_itself_is_no_error(path: Path, writer: Catalog) -> None:
    """SQLite calls that locked, too."""
    space = writer.space_for(identity())
    fill(writer, space, new_root(writer, b"/photos"), 3)
    walk = writer.known_files(1, space.id)
    next(walk)
    commits(writer, 10, path.with_name("catalog.db-wal"))
    assert len(list(walk)) == 2
