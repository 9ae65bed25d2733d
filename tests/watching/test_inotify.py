"""What is watched and what is not, and what happens where events are lost or cannot be had."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.events import Summary, Troubled
from clipsearch.index import crawl
from clipsearch.index.catalog import ALL, Part, Root
from clipsearch.types import Watching
from clipsearch.watching import loop
from clipsearch.watching import native as of_this_system
from clipsearch.watching.record import read_record
from clipsearch.watching.settling import Notes
from clipsearch.watching.source import Source
from tests.index.filled import photo
from tests.support.encoder import HashEncoder
from tests.watching.watched import QUICK, Watch, wait_until, watching

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify")

if sys.platform == "linux":
    from watchdog.observers.inotify_c import InotifyEvent, InotifyFD

    from clipsearch.watching.inotify import Inotify, free_watches


def watches() -> int:
    """Those of this process, as the kernel counts them."""
    count = 0
    for one in Path("/proc/self/fdinfo").iterdir():
        try:
            count += one.read_text().count("inotify wd:")
        except OSError:  # the descriptor that listed them
            continue
    return count


def told(watch: Watch) -> list[tuple[str, str | None]]:
    return [(event.backend, event.reason) for event in list(watch.events) if isinstance(event, Watching)]


def folders(top: Path, count: int) -> Path:
    for number in range(count):
        photo(top / f"{number:03d}" / "1.jpg", number)
    return top


def test_a_folder_that_is_left_out_is_never_watched(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """Thumbnails of a NAS alone have more folders than the system has watches."""
    top = folders(tmp_path / "photos", 2)
    for left_out in (".hidden/a", "@eaDir/a/b", "Trash/a", "drafts/a", "secret/deep"):
        photo(top / left_out / "1.jpg", 9)
    (top / ".clipsearchignore").write_text("secret/\n")
    before = watches()
    with watching(paths, top, exclude=["drafts/"]) as watch:
        assert watches() - before == 3  # the root and its two folders
        photo(top / "drafts" / "new" / "2.jpg", 10)
        photo(top / "002" / "1.jpg", 11)
        watch.until(lambda: watches() - before == 4)
        (top / ".clipsearchignore").unlink()
        watch.until(lambda: watches() - before == 6)
        (top / ".clipsearchignore").write_text("00*/\n")
        watch.until(lambda: watches() - before == 3)
    assert watches() == before, "they are given back"


def test_no_watch_is_left_behind_by_folders_that_come_and_go(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path
) -> None:
    """In a month they would be all that the system has."""
    top = folders(tmp_path / "photos", 1)
    before = watches()
    with watching(paths, top) as watch:
        for number in range(5):
            folders(top / "a" / f"{number}", 3)
            watch.agrees()
            (top / "a").rename(top / "b")
            watch.agrees()
            (top / "b").rename(tmp_path / f"out-{number}")
            watch.agrees()
        watch.until(lambda: watches() - before == 2)


def test_too_few_watches_are_one_message_and_visible_polling(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To use them all up breaks other programs; to go on without a word loses photos."""
    small, large = folders(tmp_path / "small", 2), folders(tmp_path / "large", 30)
    monkeypatch.setattr("clipsearch.watching.inotify.free_watches", lambda: 20)
    before = watches()
    with watching(paths, small, large) as watch:
        watch.until(lambda: len(told(watch)) == 2)
        (inotify, polling) = told(watch)
        assert inotify == ("inotify", None)
        assert polling[0] == "polling" and "sysctl fs.inotify.max_user_watches" in str(polling[1])
        assert watches() - before == 3, "a tenth is left to others, and a root is watched whole or not at all"
        photo(large / "007" / "2.jpg", 100)
        photo(small / "001" / "2.jpg", 101)
        watch.agrees()
        assert len(told(watch)) == 2
        record = read_record(paths.library)
        assert record is not None and [one.backend for one in record.roots] == ["inotify", "polling"]
    assert read_record(paths.library) is None


def test_the_watches_of_others_are_counted(tmp_path: Path) -> None:
    """The limit is that of the user, not of the program."""
    proc = tmp_path / "proc"
    (proc / "sys/fs/inotify").mkdir(parents=True)
    (proc / "sys/fs/inotify/max_user_watches").write_text("100\n")
    for pid, lines in ((1, 3), (22, 4)):
        (proc / f"{pid}/fd").mkdir(parents=True)
        (proc / f"{pid}/fdinfo").mkdir()
        (proc / f"{pid}/fd/5").symlink_to("anon_inode:inotify")
        (proc / f"{pid}/fdinfo/5").write_text("pos:\t0\n" + "inotify wd:1 ino:2\n" * lines)
    assert free_watches(proc) == 93
    assert free_watches(proc, lambda: 12345) == 100


def test_events_that_the_kernel_lost_cost_a_look_at_everything(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst longer than the kernel's queue is where other watchers lose photos for good."""
    top = folders(tmp_path / "photos", 2)
    opened: list[Inotify] = []
    real = of_this_system._native

    def native(notes: Notes) -> Source | None:
        source = real(notes)
        assert isinstance(source, Inotify)
        opened.append(source)
        return source

    monkeypatch.setattr(of_this_system, "_native", native)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with watching(paths, top) as watch:
        with opened[0]._notes._stirred:  # the thread that hears them stands still, as on a machine that swaps
            for number in range(limit + 6000):  # equal events one after the other would be one
                os.utime(top / f"{number % 2:03d}" / "1.jpg", ns=(number, number))
            photo(top / "lost" / "1.jpg", 50)
        watch.agrees()
        assert [event for event in watch.events if isinstance(event, Troubled)]


def test_a_look_at_everything_gives_no_watch_back_to_take_it_again(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one is an event. From 16,384 folders on they overflow the queue, which asks for the next look at everything:
    two such roots were looked at in turns without end."""
    top = folders(tmp_path / "photos", 20)
    ignored: list[InotifyEvent] = []
    real = InotifyFD.handle_event

    def handle(self: InotifyFD, event: InotifyEvent) -> None:
        if event.is_ignored:
            ignored.append(event)
        real(self, event)

    with watching(paths, top) as watch:
        watch.until(lambda: told(watch))
        monkeypatch.setattr(InotifyFD, "handle_event", handle)
        for name in ("drafts", "000"):
            before = len(watch.events)
            (top / ".clipsearchignore").write_text(name)
            watch.until(lambda: any(isinstance(event, Summary) for event in watch.events[before:]))  # noqa: B023
            photo(top / "001" / f"{name}.jpg", 50)  # its event comes after those of the look
            watch.agrees()
            assert len(ignored) == (name == "000"), "but for the folder that is left out now"


def test_a_folder_that_moves_needs_no_second_watch(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year that is renamed would use up the watches, and be polled from then on."""
    top = folders(tmp_path / "photos" / "a", 12).parent
    monkeypatch.setattr("clipsearch.watching.inotify.free_watches", lambda: 20)
    with watching(paths, top) as watch:
        (top / "a").rename(top / "b")
        watch.agrees()
        photo(top / "b" / "007" / "2.jpg", 100)
        watch.agrees()
        assert told(watch) == [("inotify", None)]


def test_a_source_that_brings_no_event_is_found_out_and_told(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watching that has stopped silently is found out when photos are missing."""
    top = folders(tmp_path / "photos", 2)
    monkeypatch.setattr(Inotify, "enter", lambda self, root, folder, is_link: None)
    monkeypatch.setattr(of_this_system, "SELF_TEST_S", 0.1)
    with watching(paths, top) as watch:
        assert told(watch)[0] == ("polling", "a test file was written and no event came")
        record = read_record(paths.library)
        assert record is not None and record.self_test == "a test file was written and no event came"
        photo(top / "new.jpg", 50)
        watch.agrees()
    assert not (paths.library / "watch-test").exists()


def test_a_source_that_dies_is_replaced_by_polling(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """As above, in the third week."""
    top = folders(tmp_path / "photos", 2)
    with watching(paths, top) as watch:
        watch.until(lambda: told(watch) == [("inotify", None)])
        (thread,) = [one for one in threading.enumerate() if one.name == "clipsearch inotify"]
        thread.stop()  # type: ignore[attr-defined]  # it is watchdog's
        watch.until(lambda: len(told(watch)) == 2)
        assert told(watch)[1][0] == "polling"
        photo(top / "new.jpg", 50)
        watch.agrees()


def test_a_network_file_system_is_polled(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another machine writes there brings no event here."""
    top = folders(tmp_path / "photos", 2)
    monkeypatch.setattr(loop, "network_filesystem", lambda path: "nfs4" if path.is_relative_to(top) else None)
    with watching(paths, top) as watch:
        watch.until(lambda: told(watch))
        assert told(watch) == [("polling", "nfs4 brings no events of other machines")]


def test_a_change_lists_its_own_folder_and_no_other(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a library of a million photos a new one must not cost the listing of all."""
    top = folders(tmp_path / "photos", 20)
    listed: list[bytes] = []
    real = os.scandir

    def scandir(path: bytes | str) -> object:
        listed.append(os.fsencode(path))
        return real(path)

    with watching(paths, top) as watch:
        watch.until(lambda: told(watch))
        monkeypatch.setattr(crawl.os, "scandir", scandir)
        photo(top / "007" / "new.jpg", 50)
        before = len(watch.events)
        watch.until(lambda: any(isinstance(event, Summary) for event in watch.events[before:]))
        assert set(listed) == {os.fsencode(top / "007")}
        monkeypatch.undo()


def test_what_is_covered_twice_is_looked_at_once() -> None:
    """Files that are planned twice would be counted twice."""
    parts = [Part(b"a/b"), Part(b"a", deep=False), Part(b"a/b/c"), Part(b"ab", deep=False), Part(b"a/b", deep=False)]
    assert crawl._disjoint(parts) == (Part(b"a", deep=False), Part(b"a/b"), Part(b"ab", deep=False))
    assert crawl._disjoint([*parts, ALL]) == (ALL,)


def test_a_watch_on_a_folder_that_vanished_is_no_matter(tmp_path: Path) -> None:
    """Between a listing and its watch anything may happen."""
    source = Inotify(Notes(QUICK), 100)
    try:
        root = Root(1, os.fsencode(tmp_path), False, (), None)
        source.enter(root, b"", False)
        source.enter(root, b"gone", False)
        assert source.count(1) == 1
        source.leave(1)
        source.leave(1)
        assert source.count(1) == 0
    finally:
        source.close()
    wait_until(lambda: not source.is_alive)
