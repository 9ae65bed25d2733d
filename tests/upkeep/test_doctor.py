"""What doctor notices, what it puts right, and what it must leave alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import Exit, LibraryError, SystemFault
from clipsearch.files import lock_holder, writer_lock
from clipsearch.index import schema
from clipsearch.opened import catalog_path, vectors_folder
from clipsearch.upkeep import machine, repair
from clipsearch.upkeep.checks import Check, exit_code
from tests.index.test_update import check as check_vectors
from tests.upkeep.kept import Kept


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path)
    made.add(*range(12))
    made.index(made.photos)
    with made.library as library:
        library.set_labels([(made.photos / "001.jpg", "cat", 0.5)])
        library.save_search("cats", "label:cat")
    return made


def edit(kept: Kept, *statements: str) -> None:
    """As a bug or a bad disk would: past everything that keeps the tables right."""
    connection = sqlite3.connect(catalog_path(kept.paths), isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def wrong(kept: Kept) -> dict[str, Check]:
    """By name, but for the model: that of these tests has no folder."""
    with kept.library as library:
        return {check.name: check for check in library.check() if check.state == "wrong" and check.name != "model"}


def repaired(kept: Kept) -> repair.Repaired:
    with kept.library as library:
        return library.repair()


def test_a_healthy_library_has_nothing_wrong_and_a_repair_changes_nothing(kept: Kept) -> None:
    """A doctor who finds something in everybody is not asked again."""
    assert wrong(kept) == {}
    before = kept.vectors(), kept.found("label:cat")
    done = repaired(kept)
    assert done.done == () and done.lost == 0
    assert (kept.vectors(), kept.found("label:cat")) == before
    assert (done.copy / "catalog.db").stat().st_size > 10_000
    assert wrong(kept) == {}
    with Kept(kept.base / "none").library as library, pytest.raises(LibraryError, match="no library"):
        list(library.check())


ROW_FAULTS: dict[str, tuple[str, ...]] = {
    "a count that drifted": ("UPDATE photo SET files = 7 WHERE id = 3",),
    "a photo hidden by its count": ("UPDATE photo SET files = 0 WHERE id = 3",),
    "a vector of no photo": (
        "INSERT INTO embedding (space_id, photo_id, vector, variant) SELECT 1, 999, vector, 'x' FROM embedding LIMIT 1",
    ),
    "a label of no photo": ("INSERT INTO label (photo_id, name, score) VALUES (999, 'cat', 1)",),
    "a file of no root": ("INSERT INTO file (root_id, folder, name, size, mtime_ns, inode, photo_id) "
                          "VALUES (99, x'', x'61', 1, 1, 1, 2)",),
    "a photo that is gone": ("DELETE FROM photo WHERE id = 3",),
}  # fmt: skip


@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_rows_that_do_not_fit_together_are_noticed_and_mended(kept: Kept, fault: str) -> None:
    """A row that refers to nothing is an answer without a picture, or a photo that is never found."""
    truth = kept.vectors()
    edit(kept, *ROW_FAULTS[fault])
    noticed = wrong(kept)
    assert set(noticed) == {"rows"} and noticed["rows"].repairable, fault
    done = repaired(kept)
    assert done.done and wrong(kept) == {}
    with sqlite3.connect(done.copy / "catalog.db") as copy:
        damage = copy.execute("PRAGMA foreign_key_check").fetchall()
    copy.close()
    assert bool(damage) is ("count" not in fault), "the copy is not what it was before"
    kept.index()
    assert kept.vectors() == truth


@pytest.mark.parametrize(
    "vector", [b"\0" * 64, np.full(32, np.nan, "<f2").tobytes(), np.full(32, 1, "<f2").tobytes(), b"\0" * 10]
)
def test_a_vector_that_is_none_is_removed_and_made_again(kept: Kept, vector: bytes) -> None:
    """It would be near to everything or to nothing, and no index run would look at it again."""
    truth = kept.vectors()
    edit(kept, f"UPDATE embedding SET vector = x'{vector.hex()}' WHERE photo_id = 5")
    assert set(wrong(kept)) == {"vectors of hash-0"}
    assert "removed 1 broken vectors" in repaired(kept).done
    assert wrong(kept) == {}
    assert kept.index().unchanged == 11 and kept.encoder.encoded == 1
    assert kept.vectors() == truth


def test_a_checkpoint_that_is_not_what_was_recorded_is_made_again_and_strays_go(kept: Kept) -> None:
    """Searches that take ten times as long, and nobody who says why."""
    (generation,) = vectors_folder(kept.paths).glob("*.vectors")
    shutil.copy(generation, generation.with_name("generation-000099.vectors"))
    content = bytearray(generation.read_bytes())
    content[-1] ^= 1
    generation.write_bytes(content)
    assert set(wrong(kept)) == {"checkpoint"}
    with kept.library as library:
        (stray,) = [check for check in library.check() if check.name == "vectors folder"]
    assert stray.state == "note" and stray.repairable and "generation-000099" in stray.text
    assert "made a new checkpoint" in repaired(kept).done
    assert wrong(kept) == {} and len(list(vectors_folder(kept.paths).glob("*.vectors"))) == 1


def _zeroed(page: int, count: int = 1) -> Callable[[bytearray], None]:
    def damage(content: bytearray) -> None:
        content[4096 * page : 4096 * (page + count)] = bytes(4096 * count)

    return damage


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 30))])
def test_of_a_damaged_catalog_all_is_saved_that_can_be_read(tmp_path: Path, seed: int) -> None:
    """A bad sector in the middle must not cost a night of encoding, let alone a year of labels."""
    kept = Kept(tmp_path)
    kept.add(*range(60))
    kept.index(kept.photos)
    with kept.library as library:
        library.set_labels([(kept.photos / f"{n:03d}.jpg", "cat", 0.5) for n in range(60)])
    truth = kept.vectors()
    path = catalog_path(kept.paths)
    edit(kept, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    pages = len(content) // 4096
    assert pages > 30
    for page in np.random.default_rng(seed).choice(np.arange(1, pages), 2, replace=False):
        content[4096 * page : 4096 * (page + 1)] = bytes(4096)
    path.write_bytes(content)
    noticed = wrong(kept)
    assert "catalog" in noticed or not noticed  # both may have been free pages
    if not noticed:
        return
    assert noticed["catalog"].repairable and exit_code(list(noticed.values())) == Exit.LIBRARY
    try:
        done = repaired(kept)
    except LibraryError as error:  # the list of tables was on one of them
        assert "Nothing of" in error.message or "damaged" in error.message
        assert path.read_bytes() == content, "nothing was replaced"
        return
    assert (done.copy / "catalog.db").read_bytes() == content
    assert wrong(kept) == {}
    with kept.reader() as catalog:
        knows_model = catalog.active_space() is not None  # its one row may have been on that page
    saved = kept.vectors() if knows_model else {}
    assert saved.items() <= truth.items(), "a vector under another path"
    summary = kept.index(kept.photos)
    assert summary.failed == 0 and kept.vectors() == truth
    with kept.reader() as catalog:
        check_vectors(catalog, catalog.active_space(), kept.encoder)  # type: ignore[arg-type]
    assert kept.encoder.encoded <= 60


def test_ids_go_on_after_a_salvage(kept: Kept) -> None:
    """An id that is given twice is a wrong picture under a right path (I6)."""
    edit(kept, "UPDATE sqlite_sequence SET seq = 500 WHERE name = 'photo'")
    path = catalog_path(kept.paths)
    content = bytearray(path.read_bytes())
    with sqlite3.connect(path) as connection:  # any index, which integrity_check reads and nothing needs
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'label_name'").fetchone()
    connection.close()
    _zeroed(page - 1)(content)
    path.write_bytes(content)
    assert set(wrong(kept)) == {"catalog"}
    assert repaired(kept).lost == 0
    assert wrong(kept) == {} and len(kept.found()) == 12 and len(kept.found("label:cat")) == 1
    kept.add(50)
    kept.index()
    with kept.reader() as catalog:
        assert max(catalog.photo_rows(range(1000))) == 501


def test_the_log_of_a_damaged_catalog_does_not_get_into_the_new_one(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite writes a log that it finds into whatever file lies beside it."""
    path = catalog_path(kept.paths)
    log = path.with_name("catalog.db-wal")
    edit(kept, "PRAGMA wal_checkpoint(TRUNCATE)")
    writer = sqlite3.connect(path, isolation_level=None)
    (page,) = writer.execute("SELECT rootpage FROM sqlite_master WHERE name = 'label_name'").fetchone()
    writer.execute("INSERT INTO event (at, kind, details) VALUES ('', 'padding', ?)", ("x" * 100_000,))
    writer.execute("UPDATE root SET checked_at = 'by the log'")
    kept_log = log.read_bytes()
    writer.close()  # which empties the log
    truth = kept.vectors()
    content = bytearray(path.read_bytes())
    _zeroed(page - 1)(content)
    path.write_bytes(content)
    log.write_bytes(kept_log)
    assert set(wrong(kept)) == {"catalog"}
    with monkeypatch.context() as stopped:  # before the new catalog is opened, which would take in a log and end it
        stopped.setattr(repair, "locked", None)
        with pytest.raises(TypeError):
            repaired(kept)
    assert not log.exists() and path.read_bytes() != content
    (copy,) = kept.paths.library.glob("before-repair-*")
    assert (copy / log.name).read_bytes() == kept_log
    assert wrong(kept) == {} and kept.vectors() == truth
    with kept.reader() as catalog:
        assert catalog.root_statuses()[0].checked_at == "by the log"


def test_a_repair_that_is_killed_leaves_the_library_or_its_copy(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only moment at which a doctor can do harm."""
    path = catalog_path(kept.paths)
    edit(kept, "UPDATE photo SET files = 9 WHERE id = 1")
    content = bytearray(path.read_bytes())
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'label_name'").fetchone()
    connection.close()
    _zeroed(page - 1)(content)
    path.write_bytes(content)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for place in ("shutil.copy2", "SalvageTarget.fill_from", "publish"):
        with monkeypatch.context() as broken:
            broken.setattr(f"clipsearch.upkeep.repair.{place}", killed)
            with pytest.raises(KeyboardInterrupt):
                repaired(kept)
        assert path.read_bytes() == content
    assert repaired(kept).lost == 0 and wrong(kept) == {} and len(kept.found()) == 12


def test_without_room_for_the_copy_nothing_is_repaired(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a copy is none, and what is mended without one cannot be had back."""
    edit(kept, "UPDATE photo SET files = 9 WHERE id = 1")
    monkeypatch.setattr(repair.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(SystemFault, match="so nothing was repaired"):
        repaired(kept)
    assert {path.name for path in kept.paths.library.iterdir()} == {"catalog.db", "vectors", "writer.lock"}
    monkeypatch.undo()
    assert set(wrong(kept)) == {"rows"}


def test_who_writes_is_told_and_nobody_repairs_meanwhile(kept: Kept) -> None:
    """ "Locked" without a name sends people to delete the lock."""
    lock = kept.paths.library / "writer.lock"
    with kept.library as library:
        assert lock_holder(lock) is None  # its last writer is this process, which is alive
        with writer_lock(lock, "clipsearch index"):
            (said,) = [check for check in library.check() if check.name == "writer"]
            assert said.state == "note" and f"process {os.getpid()} (clipsearch index)" in said.text
            with pytest.raises(LibraryError, match="is being written"):
                library.repair()
    assert lock_holder(kept.base / "none") is None
    lock.write_text("process 4194305 (clipsearch index)\n")  # above what Linux gives
    assert lock_holder(lock) is None


def test_a_newer_library_and_a_disk_that_is_away_are_told(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is damage, and neither may be "repaired"."""
    kept.photos.rename(kept.base / "away")
    with kept.library as library:
        (root,) = [check for check in library.check() if check.name == "root"]
    assert root.state == "note" and "12 files stay searchable" in root.text
    assert wrong(kept) == {}
    monkeypatch.setattr(schema, "VERSION", schema.VERSION - 1)
    (told,) = wrong(kept).values()
    assert "newer clipsearch" in told.text and not told.repairable
    with pytest.raises(LibraryError, match="newer clipsearch"):
        repaired(kept)


def test_two_builds_of_one_runtime_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """They overwrite each other's files, and which one runs depends on which came last."""
    for installed, state in (
        ({"onnxruntime": "1.31"}, "ok"),
        ({"onnxruntime": "1.31", "onnxruntime-gpu": "1.30", "openvino": "1"}, "wrong"),
        ({}, "wrong"),
    ):
        builds = {name: installed[name] for name in installed if name != "openvino"}
        monkeypatch.setattr(machine, "_installed", lambda installed=installed: installed)
        monkeypatch.setattr(machine, "_builds", lambda builds=builds: builds)
        monkeypatch.setattr(machine, "_gpu", lambda: iter(()))
        (check,) = machine.runtimes()
        assert check.state == state and (state == "ok" or check.exit_code == Exit.MODEL)
        if len(builds) > 1:
            assert check.advice and check.advice.endswith("then pip install onnxruntime-gpu")


def test_only_what_brings_the_runtimes_own_module_is_a_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Plug-ins and tools stand beside a build; a person told to remove them would lose their GPU."""
    for name, file in (
        ("onnxruntime", "onnxruntime/__init__.py"),
        ("onnxruntime-directml", "onnxruntime/__init__.py"),
        ("onnxruntime_ep_webgpu", "onnxruntime_ep_webgpu/__init__.py"),
        ("onnxruntime-tools", "onnxruntime_tools/__init__.py"),
    ):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "RECORD").write_text(f"{file},,\n")
    everything = machine.metadata.distributions
    monkeypatch.setattr(machine.metadata, "distributions", lambda: everything(path=[str(tmp_path)]))
    assert machine._builds() == {"onnxruntime": "1.0", "onnxruntime-directml": "1.0"}
    checks = {check.name: check for check in machine.runtimes()}
    assert checks["runtimes"].state == "wrong" and "onnxruntime-directml" in (checks["runtimes"].advice or "")
    assert "onnxruntime-ep-webgpu 1.0" in checks["plug-ins"].text


def test_a_gpu_that_is_not_used_is_told_with_the_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The plain build runs on the CPU, and nothing else says so."""
    monkeypatch.setattr(machine, "_installed", lambda: {"onnxruntime": "1.31"})
    monkeypatch.setattr(machine, "_builds", lambda: {"onnxruntime": "1.31"})
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "_NVIDIA", tmp_path / "version")
    monkeypatch.setattr(machine, "_RENDERERS", tmp_path)
    assert [check.name for check in machine.runtimes()] == ["runtimes"]
    (tmp_path / "renderD128").touch()
    assert "clipsearch[webgpu]" in (list(machine.runtimes())[-1].advice or "")
    (tmp_path / "version").touch()
    advice = list(machine.runtimes())[-1].advice or ""
    assert "pip uninstall onnxruntime" in advice and "pip install 'onnxruntime-gpu" in advice


def test_the_gravest_decides_how_the_program_ends() -> None:
    """A script that only sees "5" for a damaged library would look at the disk."""
    some = [Check("a", "wrong", "", "", Exit.SYSTEM), Check("b", "wrong", "", "", Exit.LIBRARY), Check("c", "ok", "")]
    assert exit_code(some) == Exit.LIBRARY and exit_code(some[2:]) == Exit.DONE
