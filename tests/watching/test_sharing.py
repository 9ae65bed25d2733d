"""A watcher beside others: a run by hand, a second watcher, roots that are named or forgotten meanwhile."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipsearch import indexing
from clipsearch.config import Paths
from clipsearch.decoding.journal import Journal
from clipsearch.errors import LibraryBusy, LibraryError, UsageError
from clipsearch.events import Summary, Troubled, Waiting
from clipsearch.files import lock_holder, writer_lock
from clipsearch.index import database
from clipsearch.library import Library
from clipsearch.opened import catalog_path
from clipsearch.watching import loop
from clipsearch.watching.record import lock_path, read_record, record_path
from tests.index.filled import photo
from tests.support.encoder import HashEncoder
from tests.watching.watched import QUICK, Watch, state, wait_until, watching


def roots_of(paths: Paths) -> list[bytes]:
    with Library(paths) as library:
        return [root.path for root in library.status().roots]


def test_a_run_by_hand_and_a_watcher_wait_for_each_other(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """`clipsearch index` that fails because a service runs is one more thing to know."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    with watching(paths, folder) as watch:
        with Library(paths) as library:
            events = library.index([folder])
            next(events)  # it holds the lock now
            photo(folder / "2.jpg", 2)
            watch.until(lambda: any(isinstance(event, Waiting) for event in watch.events))
            *_, done = events
            assert isinstance(done, Summary)
        watch.agrees()
        assert not any(isinstance(event, Troubled) for event in watch.events)


def test_a_run_by_hand_waits_for_a_watcher_and_not_for_another_run(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path
) -> None:
    """A watcher is done in a moment, a first run in a night."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    with Library(paths) as library:
        list(library.index([folder]))
        with writer_lock(paths.library / "writer.lock", "clipsearch index"), pytest.raises(LibraryBusy):
            list(library.index())
        asked = iter(range(20))
        with writer_lock(paths.library / "writer.lock", "clipsearch watch"):
            *waiting, last = library.index(stop=lambda: next(asked) > 8)
        assert [type(event) for event in waiting] == [Waiting]
        assert isinstance(last, Summary) and last.interrupted


def test_a_second_watcher_is_told_of_the_first(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """Two would do everything twice."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    with watching(paths, folder):
        second = Watch(paths, [folder])
        wait_until(lambda: second.error)
        assert isinstance(second.error, LibraryError) and str(os.getpid()) in second.error.message
        assert read_record(paths.library) is not None, "the first one's record stands"


def test_the_record_of_a_watcher_that_was_killed_is_not_believed(paths: Paths, tmp_path: Path) -> None:
    """`status` would say for ever that all is watched."""
    paths.library.mkdir()
    record_path(paths.library).write_text('{"pid": 1, "since": "", "self_test": null, "looked_at": null, "roots": []}')
    lock_path(paths.library).write_text("process 1 (clipsearch watch)\n")
    assert read_record(paths.library) is None


def test_a_root_that_is_named_or_forgotten_meanwhile_is_watched_or_left(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path
) -> None:
    """Nobody restarts a service after each `clipsearch index NEW`."""
    first = photo(tmp_path / "first" / "1.jpg", 1).parent
    second = photo(tmp_path / "second" / "2.jpg", 2).parent
    with Library(paths) as library:
        list(library.index([first]))
        with watching(paths) as watch:
            list(library.index([second]))
            watch.until(
                lambda: len(roots_of(paths)) == 2 and len(getattr(read_record(paths.library), "roots", ())) == 2
            )
            photo(second / "3.jpg", 3)
            watch.until(lambda: os.fsencode(second / "3.jpg") in state(paths))
            forgotten = library.forget(first)
            assert forgotten.files == 1
            photo(first / "4.jpg", 4)
            photo(second / "5.jpg", 5)
            watch.until(lambda: os.fsencode(second / "5.jpg") in state(paths))
            assert set(state(paths)) == {os.fsencode(second / f"{number}.jpg") for number in (2, 3, 5)}


def test_a_forgotten_root_comes_back_without_encoding(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """A slip of the hand must not cost a night."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    with Library(paths) as library:
        list(library.index([folder]))
        before = state(paths)
        with pytest.raises(UsageError):
            library.forget(folder / "1.jpg")
        library.forget(folder)
        assert state(paths) == {} and library.status().photos == 0
        *_, again = library.index([folder])
        assert isinstance(again, Summary) and (again.indexed, again.duplicates) == (0, 1)
        assert state(paths) == before


def test_a_watcher_of_nothing_says_so(fast: list[HashEncoder], paths: Paths) -> None:
    """It would wait for ever for folders that nobody named."""
    watch = Watch(paths, [])
    wait_until(lambda: watch.error)
    assert isinstance(watch.error, UsageError)


def test_what_fails_is_told_once_and_tried_again(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at night must not end the watcher, nor fill the disk further with its complaints."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    monkeypatch.setattr(loop, "_RETRY_S", 0.2)
    with watching(paths, folder) as watch:
        broken = True
        real = HashEncoder.encode_pixels

        def failing(self: HashEncoder, pixels: object) -> object:
            if broken:
                raise OSError(28, "No space left on device")
            return real(self, pixels)  # type: ignore[arg-type]

        monkeypatch.setattr(HashEncoder, "encode_pixels", failing)
        photo(folder / "2.jpg", 2)
        watch.until(lambda: any(isinstance(event, Troubled) for event in watch.events))
        looks = len(watch.events)
        watch.until(lambda: len(watch.events) > looks + 4)
        assert len([event for event in watch.events if isinstance(event, Troubled)]) == 1
        broken = False
        watch.agrees()


def test_a_library_that_another_program_locks_is_tried_again(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup program that copies the library for a minute must not end the watcher for good."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    monkeypatch.setattr(loop, "_RETRY_S", 0.2)
    monkeypatch.setattr(database, "_WAIT_MS", 50)
    with watching(paths, folder) as watch, closing(sqlite3.connect(catalog_path(paths), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        photo(folder / "2.jpg", 2)
        watch.until(lambda: any(isinstance(event, Troubled) for event in watch.events))
        (told,) = [event for event in watch.events if isinstance(event, Troubled)]
        assert "locked by another program" in told.message
        other.execute("ROLLBACK")
        watch.agrees()


def test_a_library_that_is_away_for_a_moment_is_tried_again(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`doctor --repair` and a backup that is restored put another file in its place."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    monkeypatch.setattr(loop, "_RETRY_S", 0.2)
    catalog = catalog_path(paths)
    with watching(paths, folder) as watch:
        watch.until(lambda: read_record(paths.library))
        with writer_lock(paths.library / "writer.lock", "clipsearch doctor"):
            catalog.rename(catalog.with_name("aside"))
            watch.until(lambda: any(isinstance(event, Troubled) for event in watch.events))
            catalog.with_name("aside").rename(catalog)
        photo(folder / "2.jpg", 2)
        watch.agrees()


def test_a_library_of_a_newer_program_ends_the_watcher(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """The update has come and the old service still runs: its owner learns it from the end of it, not from a log."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    watch = Watch(paths, [folder])
    watch.ready()
    with closing(sqlite3.connect(catalog_path(paths), isolation_level=None)) as newer:
        newer.execute("PRAGMA user_version = 1000")
    wait_until(lambda: watch.error)
    assert isinstance(watch.error, LibraryError) and "newer" in watch.error.message


def test_the_record_of_files_being_read_is_open_only_while_the_lock_is_held(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or an idle watcher writes over the photo that ended another run for want of memory, which reads it once more."""
    holders: list[str | None] = []

    class Noted(Journal):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            holders.append(lock_holder(paths.library / "writer.lock"))

        def __exit__(self, *error: object) -> None:
            holders.append(lock_holder(paths.library / "writer.lock"))
            super().__exit__(*error)

    monkeypatch.setattr(indexing, "Journal", Noted)
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    with watching(paths, folder) as watch:
        watch.until(lambda: read_record(paths.library))
        assert len(holders) % 2 == 0, "a watcher that waits has none open"
        with Library(paths) as library:
            events = library.index([folder])
            next(events)
            events.close()  # type: ignore[attr-defined]  # it is a generator
    assert all(holders)


def test_the_model_and_the_workers_are_given_back_when_nothing_happens(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher that keeps half a gigabyte for the next photo is stopped by its owner."""
    folder = photo(tmp_path / "photos" / "1.jpg", 1).parent
    cleared: list[indexing.Bench] = []
    real = indexing.Bench.clear

    def clear(self: indexing.Bench) -> None:
        real(self)
        cleared.append(self)

    made: list[object] = []
    workers: Any = indexing.DecodeWorkers
    monkeypatch.setattr(indexing, "DecodeWorkers", lambda *a, **k: (made.append(a), workers(*a, **k))[1])
    monkeypatch.setattr(indexing.Bench, "clear", clear)
    with watching(paths, folder, pace=replace(QUICK, idle_s=0.1)) as watch:
        before, opened = len(cleared), len(made)
        watch.until(lambda: len(cleared) > before)
        photo(folder / "2.jpg", 2)
        watch.until(lambda: len(state(paths)) == 2)
        assert len(made) == opened + 1
