"""What gc removes and what it must not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from clipsearch.errors import LibraryError
from clipsearch.files import writer_lock
from clipsearch.index import nearest, vectors
from clipsearch.index.catalog import Catalog
from clipsearch.index.garbage import CollectableCatalog
from clipsearch.index.spaces import CHUNK_ROWS
from clipsearch.library import Library
from clipsearch.opened import catalog_path, vectors_folder
from tests.upkeep.kept import Kept


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path)
    made.add(*range(6))
    made.index(made.photos)
    return made


def counts(kept: Kept) -> tuple[int, int]:
    """(photos, vectors) in the tables."""
    with kept.reader() as catalog:
        row = catalog._one("SELECT (SELECT count(*) FROM photo), (SELECT count(*) FROM embedding)")
        assert row is not None
        return row[0], row[1]


def test_photos_without_a_file_go_with_all_that_hangs_on_them(kept: Kept) -> None:
    """A library that only grows is as large as everything that was ever in it."""
    with kept.library as library:
        library.set_labels([(kept.photos / "000.jpg", "cat", 0.9), (kept.photos / "001.jpg", "dog", 0.9)])
        list(library.thumbnails([kept.photos / "000.jpg", kept.photos / "001.jpg"]))
    (kept.photos / "000.jpg").unlink()
    (kept.photos / "002.jpg").rename(kept.photos / "renamed.jpg")
    kept.index()
    with kept.library as library:
        found = library.gc(dry_run=True)
        assert (found.photos, found.vectors, found.labels, found.thumbnails) == (1, 1, 1, 1)
        assert counts(kept) == (6, 6)
        assert library.gc() == found
        again = library.gc()
        assert (again.photos, again.vectors, again.labels, again.thumbnails) == (0, 0, 0, 0)
    assert counts(kept) == (5, 5)
    assert len(list((kept.paths.library / "thumbs").iterdir())) == 1
    assert set(kept.found()) == {os.fsencode(path) for path in kept.photos.iterdir()}
    assert kept.index().unchanged == 5 and kept.encoder.encoded == 0


def test_a_photo_whose_disk_is_away_is_kept(kept: Kept) -> None:
    """Who cleans up while a disk is in the drawer would encode it all again."""
    kept.photos.rename(kept.base / "away")
    assert kept.index().offline
    with kept.library as library:
        assert library.gc().photos == 0
    assert counts(kept) == (6, 6) and len(kept.found()) == 6
    (kept.base / "away").rename(kept.photos)
    assert kept.index().unchanged == 6 and kept.encoder.encoded == 0


def test_a_photo_that_comes_back_afterwards_gets_an_id_of_its_own(kept: Kept) -> None:
    """The key of a removed photo, given to another one, is a wrong picture under a right path (I6)."""
    with kept.reader() as catalog:
        last = max(catalog.photo_rows(range(100)))
    shutil.move(kept.photos / "005.jpg", kept.base / "005.jpg")
    kept.index()
    with kept.library as library:
        assert library.gc().photos == 1
    shutil.move(kept.base / "005.jpg", kept.photos / "005.jpg")
    assert kept.index().indexed == 1
    with kept.reader() as catalog:
        assert max(catalog.photo_rows(range(100))) == last + 1


def test_removed_photos_do_not_crowd_out_the_others(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A checkpoint that answers with ids nobody knows gives fewer photos than there are."""
    monkeypatch.setattr(nearest, "SCAN_ROWS", 0)  # the checkpoint answers
    monkeypatch.setattr(nearest, "_MARGIN", 0)
    query = kept.photos / "005.jpg"
    shutil.copy(query, kept.base / "query.jpg")
    truth = [path for path, _ in kept.nearest(query, 6)]
    for path in truth[:3]:
        os.unlink(path)
    kept.index()
    query = kept.base / "query.jpg"
    assert [path for path, _ in kept.nearest(query, 3)] == truth[3:]
    with kept.library as library:
        library.gc()
    assert [path for path, _ in kept.nearest(query, 3)] == truth[3:]
    assert len(list(vectors_folder(kept.paths).glob("*.vectors"))) == 1
    with kept.reader() as catalog:
        space = catalog.active_space()
        checkpoint = catalog.checkpoint(space)  # type: ignore[arg-type]
        assert checkpoint is not None and checkpoint.rows == 3


def test_stopped_between_rows_and_checkpoint_the_answers_are_right(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut in the middle of cleaning up must cost time, not hits."""
    monkeypatch.setattr(nearest, "SCAN_ROWS", 0)
    monkeypatch.setattr(nearest, "_MARGIN", 0)
    query = kept.photos / "005.jpg"
    truth = [path for path, _ in kept.nearest(query, 6)]
    for path in truth[1:4]:
        os.unlink(path)
    kept.index()

    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as broken:
        broken.setattr(vectors, "make_checkpoint", stop)
        with pytest.raises(Stopped), kept.library as library:
            library.gc()
    assert counts(kept) == (3, 3)
    assert [path for path, _ in kept.nearest(query, 3)] == [truth[0], *truth[4:]]
    with kept.library as library:
        library.gc()
    assert [path for path, _ in kept.nearest(query, 3)] == [truth[0], *truth[4:]]


def test_vectors_of_former_models_go_only_when_asked(kept: Kept) -> None:
    """Back to the model before must not cost a night, unless one has said that it will not happen."""
    kept.encoder = type(kept.encoder)(seed=7)
    kept.index(activate=True)
    assert counts(kept) == (6, 12)
    with kept.library as library:
        assert [(one.model, one.vectors) for one in library.gc().former] == [("hash-0", 6)]
        assert counts(kept) == (6, 12)
        library.gc(former_models=True)
        assert library.gc(dry_run=True).former == ()
    assert counts(kept) == (6, 6) and len(list(vectors_folder(kept.paths).glob("*.vectors"))) == 1
    assert kept.nearest(kept.photos / "003.jpg", 1) == [(os.fsencode(kept.photos / "003.jpg"), 1.0)]


def test_room_is_given_back_where_there_is_enough_to_do_it(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of a tenth of the photos that is as large as before."""
    from clipsearch.upkeep import collect

    with Catalog.open_writer(catalog_path(kept.paths)) as catalog, catalog.transaction():
        for number in range(CHUNK_ROWS):  # contents that no file shows
            digest = number.to_bytes(32, "big")
            catalog._run(
                "INSERT INTO photo (digest, width, height, format, lens) VALUES (?, 1, 1, 'JPEG', ?)",
                (digest, "x" * 900),
            )
    before = catalog_path(kept.paths).stat().st_size
    with monkeypatch.context() as full:
        full.setattr(collect.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))
        with kept.library as library:
            done = library.gc()
        assert done.photos == CHUNK_ROWS and done.freed_bytes == 0
        assert done.remark is not None and "needs" in done.remark
    with kept.library as library:
        done = library.gc()
        assert done.freed_bytes > 3_000_000 and done.remark is None
    assert catalog_path(kept.paths).stat().st_size < before // 4
    assert len(kept.found()) == 6


def test_while_another_process_writes_nothing_is_removed(kept: Kept) -> None:
    """Two writers, one of which removes what the other one is about to link."""
    with (
        writer_lock(kept.paths.library / "writer.lock", "clipsearch index"),
        kept.library as library,
        pytest.raises(LibraryError, match="is being written by process"),
    ):
        library.gc()
    with Library(type(kept.paths)(kept.base / "none", kept.base, kept.base)) as nothing, pytest.raises(LibraryError):
        nothing.gc()
    assert not (kept.base / "none").exists()


def test_foreign_keys_hold_again_afterwards(kept: Kept) -> None:
    """What was switched off for speed and stayed off would let broken rows in."""
    with CollectableCatalog.open_writer(catalog_path(kept.paths)) as catalog:
        catalog.remove_unused()
        assert catalog._one("PRAGMA foreign_keys") == (1,)
        assert catalog._all("PRAGMA foreign_key_check") == []
