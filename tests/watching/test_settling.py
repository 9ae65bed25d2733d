"""When something is looked at: on a clock of the test's own."""

from __future__ import annotations

from clipsearch.index.catalog import ALL, Part, Root
from clipsearch.types import Stamp
from clipsearch.watching.settling import Looks, Notes, Pace, merged

PACE = Pace(quiet_s=1, drip_s=5, stalled_s=10, open_s=60)
ROOT = Root(1, b"/photos", False, (), None)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def stamp(name: bytes, size: int = 1, mtime_ns: int = 0) -> Stamp:
    return Stamp(b"a", name, size, mtime_ns, 1)


def test_a_folder_is_looked_at_once_it_is_quiet() -> None:
    """To look in the middle of a copy would read each file twice."""
    clock = Clock()
    notes = Notes(PACE, clock)
    notes.changed(1, b"a")
    clock.now += 0.9
    notes.changed(1, b"a", deep=True)
    assert notes.take() == {}
    clock.now += 1
    assert notes.take() == {1: (Part(b"a", deep=True),)}
    assert notes.take() == {}


def test_a_folder_that_is_never_quiet_is_looked_at_all_the_same() -> None:
    """A camera that sends a photo a second would never have one in the library."""
    clock = Clock()
    notes = Notes(PACE, clock)
    looked = []
    for _ in range(12):
        notes.changed(1, b"a")
        clock.now += 0.5
        looked += notes.take()
    assert looked


def test_a_file_is_held_until_it_is_closed() -> None:
    """Half of a photo would be a failure, or half a picture."""
    notes = Notes(PACE, Clock())
    notes.written(1, b"a", b"1.jpg")
    assert notes.held(ROOT, stamp(b"1.jpg")) and not notes.held(ROOT, stamp(b"2.jpg"))
    assert notes.take() == {}
    notes.closed(1, b"a", b"1.jpg")
    assert not notes.held(ROOT, stamp(b"1.jpg"))


def test_a_writer_that_stalls_or_never_ends_holds_its_file_for_so_long_only() -> None:
    """A program that forgets to close a photo would keep it out of the library for ever."""
    clock = Clock()
    notes = Notes(PACE, clock)
    notes.written(1, b"a", b"stalled.jpg")
    clock.now += 10
    assert notes.take() == {1: (Part(b"a", deep=False),)}
    assert not notes.held(ROOT, stamp(b"stalled.jpg"))
    taken = 0
    for _ in range(65):
        notes.written(1, b"a", b"endless.jpg")
        clock.now += 1
        taken += bool(notes.take())
    assert taken and not notes.held(ROOT, stamp(b"endless.jpg"))
    clock.now += 10
    notes.take()
    notes.written(1, b"a", b"endless.jpg")
    assert notes.held(ROOT, stamp(b"endless.jpg")), "another writer, later, is another story"


def test_nothing_is_remembered_of_files_that_are_settled() -> None:
    """In a year of photos the watcher would fill the memory."""
    clock = Clock()
    notes = Notes(PACE, clock)
    for number in range(100):
        notes.written(1, b"a", b"%d.jpg" % number)
        if number % 2:
            notes.closed(1, b"a", b"%d.jpg" % number)
    clock.now += 10
    notes.take()
    clock.now += 10
    assert notes.take() == {}
    assert not notes._open and not notes._folders


def test_without_events_a_file_is_whole_when_two_looks_show_the_same() -> None:
    """On a share nobody tells when a copy is complete."""
    now_ns = 10**12
    looks = Looks(PACE, lambda: now_ns)
    assert looks.held(stamp(b"1.jpg", 1), first=False)
    assert looks.take() == (Part(b"a", deep=False),)
    now_ns += 10**9
    assert looks.held(stamp(b"1.jpg", 2), first=False)
    looks.take()
    now_ns += 10**8
    assert looks.held(stamp(b"1.jpg", 2), first=False), "two looks in one moment are one"
    looks.take()
    now_ns += 10**9
    assert not looks.held(stamp(b"1.jpg", 2), first=False)
    assert looks.take() == ()


def test_the_first_look_at_a_root_holds_only_what_is_young() -> None:
    """A million old photos need no second look; one that is being copied right now does."""
    now_ns = 10**15
    looks = Looks(PACE, lambda: now_ns)
    assert not looks.held(stamp(b"old.jpg", mtime_ns=now_ns - 10**11), first=True)
    assert looks.held(stamp(b"young.jpg", mtime_ns=now_ns - 10**8), first=True)


def test_without_events_too_a_file_that_always_grows_is_taken_in_the_end() -> None:
    """As above: it would be kept out for ever."""
    now_ns = 0
    looks = Looks(PACE, lambda: now_ns)
    held = []
    for second in range(70):
        now_ns = second * 10**9
        held.append(looks.held(stamp(b"1.jpg", second), first=False))
        looks.take()
    assert 50 < held.index(False) < 65


def test_parts_of_several_reasons_are_one_look() -> None:
    """A root that is looked at as a whole needs no second look at a part."""
    assert merged({1: (Part(b"a"),)}, {1: (ALL,), 2: (Part(b"b"),)}, {1: (Part(b"c"),)})[2] == (Part(b"b"),)
    assert ALL in merged({1: (Part(b"a"),)}, {1: (ALL,)})[1]
