"""When to look: folders in which something happened are looked at once they are quiet, files once they are whole.

Knows no source of events and reads no disk. Notes are made by the thread that hears events and taken by the one that
looks, so everything is done under one lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clipsearch.index.catalog import ALL, Part, Root
from clipsearch.types import Stamp

Parts = dict[int, tuple[Part, ...]]  # by root id
SELF_TEST = 0  # no root has this id


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds."""

    quiet_s: float = 0.4  # without an event a folder is looked at
    drip_s: float = 5.0  # after the first event it is looked at although more keep coming
    stalled_s: float = 10.0  # an open file that nobody writes to is taken as it is
    open_s: float = 60.0  # as is one that is written to all the time
    again_s: float = 1.0  # between two looks at a file of which there are no events
    check_s: float = 1.0  # between looks at whether roots and disks are there
    poll_s: float = 30.0  # between looks at a root without events
    full_s: float = 1800.0  # between looks at everything, whatever the events say
    idle_s: float = 60.0  # after which the model and the decode workers are given back


@dataclass(slots=True)
class _Note:
    deep: bool
    first: float
    last: float


@dataclass(slots=True)
class _Open:
    first: float
    last: float
    settled: bool = False


class Notes:
    """What happened where, until it is looked at."""

    def __init__(self, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace = pace
        self._clock = clock
        self._stirred = threading.Condition()
        self._folders: dict[tuple[int, bytes], _Note] = {}
        self._open: dict[tuple[int, bytes, bytes], _Open] = {}
        self._lost: dict[int, str] = {}

    # -- made by whoever hears events -------------------------------------------------------------

    def changed(self, root_id: int, folder: bytes, *, deep: bool = False) -> None:
        """Something happened to files of the folder; `deep`: to the folder itself, or to what it leaves out."""
        with self._stirred:
            self._note(root_id, folder, deep)

    def written(self, root_id: int, folder: bytes, name: bytes) -> None:
        """Somebody writes to a file, and will close it."""
        with self._stirred:
            now = self._clock()
            file = self._open.setdefault((root_id, folder, name), _Open(now, now))
            file.last = now
            if file.settled:  # it was too long in the writing to wait for its end
                self._note(root_id, folder, deep=False)

    def closed(self, root_id: int, folder: bytes, name: bytes) -> None:
        """Nobody writes to it any more, or it is not there any more."""
        with self._stirred:
            self._open.pop((root_id, folder, name), None)

    def lost(self, root_id: int, why: str) -> None:
        """Events were lost: all of the root must be looked at."""
        with self._stirred:
            self._lost[root_id] = why
            self._note(root_id, b"", deep=True)

    # -- taken by whoever looks -------------------------------------------------------------------

    def take(self) -> Parts:
        """What is to be looked at now."""
        with self._stirred:
            now = self._clock()
            self._settle_files(now)
            due = [
                key
                for key, note in self._folders.items()
                if key[0] != SELF_TEST
                and (now - note.last >= self._pace.quiet_s or now - note.first >= self._pace.drip_s)
            ]
            parts: dict[int, list[Part]] = {}
            for root_id, folder in due:
                note = self._folders.pop((root_id, folder))
                parts.setdefault(root_id, []).append(Part(folder, note.deep))
        return {root_id: tuple(some) for root_id, some in parts.items()}

    def take_lost(self) -> dict[int, str]:
        """By root id, why events were lost since this was last asked."""
        with self._stirred:
            lost, self._lost = self._lost, {}
            return lost

    def held(self, root: Root, stamp: Stamp) -> bool:
        """Whether the file is still being written."""
        with self._stirred:
            file = self._open.get((root.id, stamp.folder, stamp.name))
            return file is not None and not file.settled

    def hears(self, timeout_s: float) -> bool:
        """Whether anything is noted of the self-test by then; it is forgotten again."""

        def mine() -> list[tuple[int, bytes]]:
            return [key for key in self._folders if key[0] == SELF_TEST]

        with self._stirred:
            self._stirred.wait_for(mine, timeout_s)
            heard = mine()
            for key in heard:
                del self._folders[key]
            return bool(heard)

    def forget(self, root_id: int) -> None:
        with self._stirred:
            for places in (self._folders, self._open):
                for key in [key for key in places if key[0] == root_id]:
                    del places[key]  # type: ignore[arg-type]  # each holds keys of its own kind

    def wait(self, timeout_s: float) -> None:
        """Returns when something has happened after a time of quiet, or a little later while something settles."""
        with self._stirred:
            self._stirred.wait(min(timeout_s, self._pace.quiet_s / 4) if self._folders or self._open else timeout_s)

    def _note(self, root_id: int, folder: bytes, deep: bool) -> None:
        now = self._clock()
        if not self._folders or root_id == SELF_TEST:  # or whoever waits would wake for each of ten thousand
            self._stirred.notify()
        note = self._folders.setdefault((root_id, folder), _Note(deep, now, now))
        note.last = now
        note.deep = note.deep or deep

    def _settle_files(self, now: float) -> None:
        for key, file in list(self._open.items()):
            if now - file.last >= self._pace.stalled_s:
                del self._open[key]
            elif now - file.first >= self._pace.open_s and not file.settled:
                file.settled = True
            else:
                continue
            note = self._folders.setdefault(key[:2], _Note(False, now, now))
            note.first = now - self._pace.drip_s  # it has waited enough


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: Stamp
    first_ns: int  # when it was first held
    same_ns: int  # since when it looks as it does


class Looks:
    """The same for the files of a root without events: one is whole when it has looked the same for `again_s`."""

    def __init__(self, pace: Pace, wall_clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._pace = pace
        self._clock_ns = wall_clock_ns
        self._before: Mapping[tuple[bytes, bytes], _Seen] = {}
        self._now: dict[tuple[bytes, bytes], _Seen] = {}

    def held(self, stamp: Stamp, *, first: bool) -> bool:
        """Whether a file that is new or changed should be looked at again. `first`: the root may be old."""
        now_ns = self._clock_ns()
        if first and abs(now_ns - stamp.mtime_ns) > _YOUNG_NS:
            return False
        key = stamp.folder, stamp.name
        seen = self._before.get(key) or _Seen(stamp, now_ns, now_ns)
        if (seen.stamp.size, seen.stamp.mtime_ns) != (stamp.size, stamp.mtime_ns):
            seen = _Seen(stamp, seen.first_ns, now_ns)
        if now_ns - seen.same_ns >= self._pace.again_s * 1e9 or now_ns - seen.first_ns > self._pace.open_s * 1e9:
            return False
        self._now[key] = seen
        return True

    def take(self) -> tuple[Part, ...]:
        """The folders of the files that were held in this round; the next round begins."""
        self._before, self._now = self._now, {}
        return tuple(Part(folder, deep=False) for folder in dict.fromkeys(folder for folder, _ in self._before))


def merged(*several: Mapping[int, tuple[Part, ...]]) -> Parts:
    """All of them; crawl.walking leaves out what is covered twice."""
    parts: Parts = {}
    for one in several:
        for root_id, some in one.items():
            parts[root_id] = (ALL,) if ALL in some else (*parts.get(root_id, ()), *some)
    return parts


_YOUNG_NS = 2 * 10**9
