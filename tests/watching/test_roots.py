"""Disks that come and go under a watcher: nothing is taken for deleted, nothing is encoded twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.events import Summary, Unlisted
from clipsearch.index.catalog import Catalog
from clipsearch.library import Library
from clipsearch.opened import catalog_path
from clipsearch.types import Decoded, Failure, Watching
from clipsearch.watching import loop
from tests.index.filled import photo
from tests.support.encoder import HashEncoder, InlineDecoder
from tests.watching.watched import QUICK, state, watching


def encoded(fast: list[HashEncoder]) -> int:
    return sum(one.encoded for one in fast)


def offline(paths: Paths) -> list[bool]:
    with Catalog.open_reader(catalog_path(paths)) as catalog:
        return [not root.online and root.offline_since is not None for root in catalog.root_statuses()]


def marks(paths: Paths) -> dict[str, bool]:
    """Whether each photo is marked as offline, by the name of its file."""
    with Catalog.open_reader(catalog_path(paths)) as catalog, catalog.transaction():
        rows = catalog.photo_rows(catalog.photos_matching((), date.today()).tolist())
    return {os.path.basename(os.fsdecode(row.paths[0])): row.offline for row in rows.values()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photos"
    for number in range(5):
        photo(made / f"{number % 2}" / f"{number}.jpg", number)
    return made


def gone(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def empty_in_its_place(folder: Path) -> None:
    gone(folder)
    folder.mkdir()


def another_in_its_place(folder: Path) -> None:
    gone(folder)
    photo(folder / "stranger.jpg", 999)


@pytest.mark.parametrize("unplugged", [gone, empty_in_its_place, another_in_its_place], ids=lambda one: one.__name__)
def test_a_root_that_is_away_keeps_its_photos_and_its_return_costs_nothing(
    fast: list[HashEncoder], paths: Paths, folder: Path, unplugged: Callable[[Path], None]
) -> None:
    """An unplugged disk that counts as emptied costs its owner a night of encoding, or trust in the whole thing."""
    with watching(paths, folder) as watch:
        before = state(paths)
        watch.until(lambda: any(isinstance(event, Watching) for event in watch.events))
        unplugged(folder)
        watch.until(lambda: offline(paths) == [True])
        assert state(paths) == before
        assert set(marks(paths).values()) == {True}
        told = [event for event in watch.events if isinstance(event, Unlisted)]
        assert [event.path for event in told] == [os.fsencode(folder)], "once"
        if folder.exists():
            shutil.rmtree(folder)
        cost = encoded(fast)
        folder.with_name("away").rename(folder)
        watch.until(lambda: offline(paths) == [False])
        assert state(paths) == before and encoded(fast) == cost
        assert set(marks(paths).values()) == {False}
        photo(folder / "0" / "afterwards.jpg", 50)
        watch.agrees()


def test_a_root_that_was_emptied_is_empty(fast: list[HashEncoder], paths: Paths, folder: Path) -> None:
    """Somebody who deletes all photos must not find them for ever after."""
    with watching(paths, folder) as watch:
        for child in folder.iterdir():
            shutil.rmtree(child)
        watch.agrees()
        assert state(paths) == {}


def test_a_copy_of_the_disk_in_its_place_is_the_disk(fast: list[HashEncoder], paths: Paths, folder: Path) -> None:
    """A new disk with the old photos, or a reboot that numbers devices anew, is no loss."""
    with watching(paths, folder) as watch:
        cost = encoded(fast)
        shutil.copytree(folder, folder.with_name("copy"))
        gone(folder)
        folder.with_name("copy").rename(folder)
        (folder / "0" / "0.jpg").unlink()
        watch.until(lambda: len(state(paths)) == 4)
        assert encoded(fast) == cost
        assert offline(paths) == [False]


def test_a_root_that_is_away_when_the_watcher_starts_is_found_when_it_comes(
    fast: list[HashEncoder], paths: Paths, folder: Path, tmp_path: Path
) -> None:
    """A service starts before the disk is mounted."""
    with watching(paths, folder):
        pass
    gone(folder)
    with watching(paths, folder) as watch:
        assert offline(paths) == [True]
        folder.with_name("away").rename(folder)
        watch.until(lambda: offline(paths) == [False])
        photo(folder / "new.jpg", 60)
        watch.agrees()


def test_a_link_into_another_disk_is_offline_while_it_leads_nowhere(
    fast: list[HashEncoder], paths: Paths, folder: Path
) -> None:
    """~/Photos/NAS is a link for many; pulling the cable is not deleting."""
    other = Path("/dev/shm") / f"clipsearch-test-{os.getpid()}"
    if not Path("/dev/shm").is_dir() or os.stat("/dev/shm").st_dev == os.stat(folder).st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    try:
        photo(other / "disk" / "far.jpg", 70)
        (folder / "nas").symlink_to(other / "disk")
        with watching(paths, folder) as watch:
            before = state(paths)
            assert len(before) == 6
            (other / "disk").rename(other / "unplugged")
            photo(folder / "meanwhile.jpg", 71)
            watch.until(lambda: len(state(paths)) == 7)
            with Library(paths) as library:
                assert isinstance(list(library.index())[-1], Summary)
            assert before.items() <= state(paths).items()
            assert marks(paths) == {name: name == "far.jpg" for name in marks(paths)}
            (other / "unplugged").rename(other / "disk")
            with Library(paths) as library:
                list(library.index())
            assert not any(marks(paths).values())
            (folder / "nas").unlink()  # this is a deletion
            watch.agrees()
            assert len(state(paths)) == 6
    finally:
        shutil.rmtree(other)


class Disk:
    """A tmpfs at a mount point; unmounting keeps its content aside."""

    def __init__(self, point: Path, store: Path) -> None:
        self.point = point
        self.store = store
        self.store.mkdir(parents=True)
        point.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", self.store], check=True, capture_output=True)
        self.plug()

    def plug(self) -> None:
        subprocess.run(["mount", "--bind", self.store, self.point], check=True, capture_output=True)

    def unplug(self) -> None:
        subprocess.run(["umount", "--lazy", self.point], check=True, capture_output=True)

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", self.point], check=False, capture_output=True)
        subprocess.run(["umount", "--lazy", self.store], check=False, capture_output=True)


def disk_or_skip(point: Path, store: Path, request: pytest.FixtureRequest) -> Disk:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting takes root on Linux; the tests that rename roots stand in for it")
    try:
        disk = Disk(point, store)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"mounting is not permitted here: {error.stderr!r}")
    request.addfinalizer(disk.remove)
    return disk


def test_a_real_disk_is_unmounted_and_mounted_again(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A mount covers a folder without any event."""
    disk = disk_or_skip(tmp_path / "media" / "usb", tmp_path / "store", request)
    photo(disk.point / "a" / "1.jpg", 1)
    photo(disk.point / "2.jpg", 2)
    with watching(paths, disk.point) as watch:
        before, cost = state(paths), encoded(fast)
        for number in range(2):
            disk.unplug()
            watch.until(lambda: offline(paths) == [True])
            assert state(paths) == before
            photo(disk.store / f"elsewhere-{number}.jpg", 10 + number)
            disk.plug()
            watch.agrees()
            before = state(paths)
        assert encoded(fast) >= cost and len(before) == 4
        photo(disk.point / "a" / "live.jpg", 12)
        watch.agrees()


def test_a_disk_inside_a_root_is_offline_by_itself(
    fast: list[HashEncoder], paths: Paths, folder: Path, request: pytest.FixtureRequest
) -> None:
    """One of five disks below ~/Photos is unplugged: its photos are offline, those of the others follow the disk."""
    disk = disk_or_skip(folder / "usb", folder.with_name("store"), request)
    photo(disk.point / "deep" / "far.jpg", 80)
    with watching(paths, folder) as watch:
        before = state(paths)
        assert len(before) == 6
        disk.unplug()
        watch.until(lambda: marks(paths).get("far.jpg"))
        assert state(paths) == before
        (folder / "0" / "0.jpg").unlink()
        watch.until(lambda: len(state(paths)) == 5)
        assert sum(marks(paths).values()) == 1
        disk.plug()
        watch.until(lambda: not any(marks(paths).values()))
        photo(disk.point / "deep" / "live.jpg", 81)
        watch.agrees()


def test_a_share_that_is_looked_at_again_and_again_is_told_once(
    fast: list[HashEncoder], paths: Paths, folder: Path
) -> None:
    """A log that grows by a line every half minute fills the disk in a year."""
    with watching(paths, folder, poll_s=0.1) as watch:
        gone(folder)
        watch.until(lambda: offline(paths) == [True])
        looks = len([event for event in watch.events if isinstance(event, Summary)])
        watch.until(lambda: len([event for event in list(watch.events) if isinstance(event, Summary)]) > looks + 5)
        assert len([event for event in watch.events if isinstance(event, Unlisted)]) == 1


def test_a_root_without_events_is_looked_at_beside_a_busy_one(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new photo on a share needs two looks. Each look at another root put off the second, as long as work went on."""
    share, busy = photo(tmp_path / "share" / "1.jpg", 1).parent, photo(tmp_path / "busy" / "2.jpg", 2).parent
    monkeypatch.setattr(loop, "network_filesystem", lambda path: "nfs4" if path.is_relative_to(share) else None)
    pace = replace(QUICK, again_s=0.5, poll_s=1.0)
    with watching(paths, share, busy, pace=pace) as watch:
        photo(share / "new.jpg", 3)
        looks = 0

        def is_there() -> bool:
            nonlocal looks
            now = len([event for event in list(watch.events) if isinstance(event, Summary)])
            if now > looks:  # the busy root never rests: each look at it is followed by the next change
                looks = now
                os.utime(busy / "2.jpg")
            return os.fsencode(share / "new.jpg") in state(paths)

        watch.until(is_there)


def test_a_file_that_the_disk_will_not_give_is_not_read_at_every_poll(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that polls would write an entry of the library's history every half minute, and never sleep."""
    bad = photo(tmp_path / "photos" / "bad.jpg", 1)
    folder = photo(tmp_path / "photos" / "good.jpg", 2).parent
    tried: list[bytes] = []
    broken = True
    real = InlineDecoder.submit

    def submit(self: InlineDecoder, path: bytes) -> Future[Decoded | Failure]:
        if path != os.fsencode(bad) or not broken:
            return real(self, path)
        tried.append(path)
        done: Future[Decoded | Failure] = Future()
        done.set_result(Failure("input/output error", lasting=False))
        return done

    monkeypatch.setattr(InlineDecoder, "submit", submit)
    with watching(paths, folder, poll_s=0.1) as watch:

        def looks() -> int:
            return len([event for event in list(watch.events) if isinstance(event, Summary)])

        watch.until(lambda: looks() > 15)
        assert 2 <= len(tried) <= 6, "less and less often"
        with Catalog.open_reader(catalog_path(paths)) as catalog:
            assert catalog._all("SELECT count(*) FROM event")[0][0] <= len(tried) + 1
        broken = False
        watch.agrees()


def test_the_library_remembers_what_a_watcher_has_moved_and_removed(
    fast: list[HashEncoder], paths: Paths, folder: Path
) -> None:
    """And no look that has found nothing."""

    def entries() -> int:
        with Catalog.open_reader(catalog_path(paths)) as catalog:
            return int(catalog._all("SELECT count(*) FROM event")[0][0])

    with watching(paths, folder, poll_s=0.1) as watch:
        assert entries() == 1
        (folder / "0" / "0.jpg").unlink()
        watch.agrees()
        watch.until(lambda: entries() == 2)
        looks = len(watch.events)
        watch.until(lambda: len(watch.events) > looks + 9)
        assert entries() == 2
