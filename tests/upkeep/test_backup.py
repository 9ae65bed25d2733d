"""A copy of a library in one file: whole, of one moment, and checked."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from clipsearch.errors import LibraryError, SystemFault
from clipsearch.index import backup as module
from clipsearch.index.catalog import Catalog
from clipsearch.library import Library
from clipsearch.opened import catalog_path
from tests.index.filled import fill
from tests.upkeep.kept import Kept, moved


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path)
    made.add(*range(8))
    made.index(made.photos)
    return made


def restored(kept: Kept, file: Path) -> Kept:
    """As the help says: alone in a folder, as catalog.db."""
    other = Kept(kept.base)
    other.paths = moved(kept.paths, kept.base / "restored")
    other.paths.library.mkdir()
    file.rename(catalog_path(other.paths))
    return other


def test_a_library_from_a_backup_answers_the_same(kept: Kept) -> None:
    """A backup that was never restored is none."""
    with kept.library as library:
        library.set_labels([(kept.photos / "001.jpg", "cat", 0.5)])
        library.save_search("cats", "label:cat")
        library.remember("a cat")
        done = library.backup(kept.base / "copy.db")
    assert (done.photos, done.files) == (8, 8) and done.bytes == (kept.base / "copy.db").stat().st_size
    assert {path.name for path in kept.base.iterdir()} == {"library", "photos", "copy.db"}
    query = kept.photos / "003.jpg"
    wanted = kept.nearest(query), kept.vectors(), kept.found(), kept.found("label:cat")
    other = restored(kept, done.file)
    assert (other.nearest(query), other.vectors(), other.found(), other.found("label:cat")) == wanted
    with other.library as library:
        assert [one.name for one in library.saved_searches()] == ["cats"] and library.history() == ["a cat"]
    assert other.index().unchanged == 8 and other.encoder.encoded == 0


def test_a_folder_gets_a_file_named_after_the_time_and_nothing_is_overwritten(kept: Kept) -> None:
    """The second backup must not take the place of the first one, which may be the last good one."""
    folder = kept.base / "backups"
    folder.mkdir()
    with kept.library as library:
        done = library.backup(folder)
        assert done.file.parent == folder and done.file.name.startswith("clipsearch-20")
        before = done.file.read_bytes()
        with pytest.raises(SystemFault, match="is there already"):
            library.backup(done.file)
        with pytest.raises(SystemFault, match="is there already"):
            library.backup(catalog_path(kept.paths))
        with pytest.raises(SystemFault, match="cannot be written"):
            library.backup(kept.base / "no such folder" / "copy.db")
    assert done.file.read_bytes() == before
    assert list(folder.iterdir()) == [done.file]
    with pytest.raises(LibraryError, match="no library"):
        Library(moved(kept.paths, kept.base / "none")).backup(kept.base / "copy.db")


def test_commits_meanwhile_neither_get_in_nor_begin_it_anew(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy with half of a commit in it; or one that never ends, beside a watcher that writes each minute."""
    monkeypatch.setattr(module, "_PAGES", 1)
    done: list[int] = []

    def write_meanwhile(pages: int, total: int) -> None:
        done.append(pages)
        if len(done) == 5:  # another connection, as another process would have it
            thread = threading.Thread(target=commit)
            thread.start()
            thread.join(60)

    def commit() -> None:
        with Catalog.open_writer(catalog_path(kept.paths)) as catalog:
            space = catalog.active_space()
            assert space is not None
            fill(catalog, space, catalog.roots()[0], 50, first=100)

    with kept.library as library:
        made = library.backup(kept.base / "copy.db", progress=write_meanwhile)
    assert done == sorted(done) and len(done) > 10, "it began anew"
    assert (made.photos, made.files) == (8, 8)
    with kept.reader() as catalog:
        assert catalog.counts()[0] == 58, "the writer did not write meanwhile"


def test_a_copy_that_is_interrupted_or_wrong_leaves_no_file(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a copy that looks like a whole one is worse than none."""

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with kept.library as library, pytest.raises(KeyboardInterrupt):
        library.backup(kept.base / "copy.db", progress=interrupt)
    real = module._counted

    def lose_a_row(connection: sqlite3.Connection) -> module.Counted:
        if ".copy.db-" in connection.execute("PRAGMA database_list").fetchone()[2]:
            connection.execute("DELETE FROM file WHERE id = 1")
        return real(connection)

    monkeypatch.setattr(module, "_counted", lose_a_row)
    with kept.library as library, pytest.raises(SystemFault, match="is not what was copied"):
        library.backup(kept.base / "copy.db")
    assert {path.name for path in kept.base.iterdir()} == {"library", "photos"}


def test_a_disk_without_room_is_told_before_anything_is_written(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of copying that ends with a full disk."""
    from clipsearch import files

    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: files.shutil._ntuple_diskusage(1, 1, 0))
    with kept.library as library, pytest.raises(SystemFault, match="MiB free"):
        library.backup(kept.base / "copy.db")
    assert not os.path.exists(kept.base / "copy.db")
