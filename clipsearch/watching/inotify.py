"""Events from Linux: one inotify instance, one watch a folder, and only for folders that a walk has entered.

watchdog's own recursive watch would add one for every folder below the root, excluded ones too, and schedules a
thread for each; its InotifyFD is the descriptor and the thread that reads it. Decides only what an event is about;
when and how to look is others'.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence, Set
from pathlib import Path

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from clipsearch.decoding.names import is_listed, is_skipped
from clipsearch.index.catalog import SEPARATOR, Root
from clipsearch.index.crawl import IGNORE_FILE
from clipsearch.watching.settling import Notes
from clipsearch.watching.source import OutOfWatches

# It warns of lost events, which are noted here; without a handler of the program's the warning would go to stderr.
logging.getLogger("watchdog").addHandler(logging.NullHandler())

HEAD_ROOM = 0.1  # of the watches that are free are left to other programs
_MASK = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
)
_TOO_FEW = (
    "it has more folders than inotify has watches left; for more: sudo sysctl fs.inotify.max_user_watches=1048576"
)
_APPEARS = InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO
_VANISHES = InotifyConstants.IN_DELETE | InotifyConstants.IN_MOVED_FROM
_ENDS = InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_UNMOUNT


class Inotify:
    """A source of events; `notes` hears of them. Raises OSError when the system gives no instance."""

    name = "inotify"

    def __init__(self, notes: Notes, free: int | None = None) -> None:
        """`free` watches may be used, less the head-room; the system is asked if it is not said."""
        free = free_watches() if free is None else free
        self._budget = int(free * (1 - HEAD_ROOM))
        self._notes = notes
        self._lock = threading.Lock()
        self._places: dict[tuple[int, bytes], _Place] = {}
        self._used: Counter[WatchDescriptor] = Counter()  # by how many places: a folder that moves has two for a while
        self._linked: set[int] = set()  # roots in which a folder is a link
        self._descriptor = InotifyFD()
        self._descriptor.name = "clipsearch inotify"
        self._descriptor.start()

    @property
    def is_alive(self) -> bool:
        return self._descriptor.is_alive()

    def close(self) -> None:
        self._descriptor.stop()
        self._descriptor.join()

    def count(self, root_id: int) -> int:
        with self._lock:
            return sum(1 for place in self._places if place[0] == root_id)

    def enter(self, root: Root, folder: bytes, is_link: bool) -> None:
        """Watches a folder that is about to be listed. Raises OutOfWatches; a folder that is gone is no matter.

        One that is watched already is watched anew, for another may have taken its place; where it is the same one
        the kernel keeps its watch, and no event tells of it.
        """
        if is_link:
            self._linked.add(root.id)
        place = _Place(self, root, folder, is_link)
        with self._lock:
            before = self._places.get((root.id, folder))
            try:
                place.descriptor = self._descriptor.add_callback(place.path, _MASK, place, place.id)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise OutOfWatches(_TOO_FEW) from error
                return  # it vanished; its parent has told so
            self._used[place.descriptor] += 1
            if before is not None:
                place.children = before.children
                self._unuse([before])
            if len(self._used) > self._budget:
                self._places.pop((root.id, folder), None)
                self._unuse([place])
                raise OutOfWatches(_TOO_FEW)
            self._places[root.id, folder] = place
            if folder and (above := self._above(place)):
                above.children.add(folder)

    def leave(self, root_id: int, folder: bytes = b"", *, but: Set[bytes] = frozenset()) -> None:
        """Watches a folder and all below it no more, except for those of `but`."""
        with self._lock:
            pending, left, is_linked = [folder], [], False
            while pending:
                place = self._places.get((root_id, pending.pop()))
                if place is None:
                    continue
                pending += place.children
                if place.folder in but:
                    is_linked = is_linked or place.is_link
                else:
                    left.append(place)
            for place in left:
                self._drop(place)
            self._unuse(left)
        if not folder and not is_linked:
            self._linked.discard(root_id)

    def _unuse(self, places: Sequence[_Place]) -> None:
        """Gives back the watches that no other place uses. For each the kernel puts an event on its short queue."""
        for place in places:
            self._used[place.descriptor] -= 1
            if not self._used[place.descriptor]:
                del self._used[place.descriptor]
        self._descriptor.remove_callbacks([(place.descriptor, place.id) for place in places])

    def _above(self, place: _Place) -> _Place | None:
        return self._places.get((place.root.id, place.folder.rpartition(SEPARATOR)[0]))

    def _drop(self, place: _Place) -> None:
        del self._places[place.root.id, place.folder]
        if above := self._above(place):
            above.children.discard(place.folder)

    def _hear(self, place: _Place, event: InotifyEvent) -> None:
        root, folder, name = place.root, place.folder, event.name
        if event.mask & _ENDS:
            if event.mask & InotifyConstants.IN_UNMOUNT or not folder:
                self._notes.changed(root.id, folder, deep=True)
        elif name == IGNORE_FILE:
            self._change_folder(root, folder)
        elif root.is_file:
            if name == os.path.basename(root.path):
                self._hear_file(place, event)
        elif not name:
            if not folder and event.is_attrib:  # permissions of the root itself
                self._notes.changed(root.id, folder, deep=True)
        elif is_skipped(name):
            pass
        elif event.mask & InotifyConstants.IN_ISDIR:
            below = folder + SEPARATOR + name if folder else name
            self._change_folder(root, below)  # whoever looks there leaves its old place
        elif is_listed(name):
            self._hear_file(place, event)
        elif event.mask & (_APPEARS | _VANISHES):
            self._hear_link(place, event)

    def _hear_file(self, place: _Place, event: InotifyEvent) -> None:
        root_id, folder = place.root.id, place.folder
        if event.is_modify:
            self._notes.written(root_id, folder, event.name)
            return
        if event.is_close_write or event.mask & _VANISHES:
            self._notes.closed(root_id, folder, event.name)
        self._notes.changed(root_id, folder)

    def _hear_link(self, place: _Place, event: InotifyEvent) -> None:
        """A link to a folder is no folder to the kernel."""
        below = place.folder + SEPARATOR + event.name if place.folder else event.name
        if event.mask & _VANISHES and (place.root.id, below) in self._places:
            self._notes.changed(place.root.id, b"", deep=True)
        elif event.mask & _APPEARS and os.path.isdir(os.path.join(place.path, event.name)):
            self._notes.changed(place.root.id, below, deep=True)

    def _change_folder(self, root: Root, folder: bytes) -> None:
        """Where folders are links, which of two places is the first shows in the whole root only."""
        self._notes.changed(root.id, b"" if root.id in self._linked else folder, deep=True)

    def _ended(self, place: _Place) -> None:
        """The kernel has taken the watch away: the folder is gone, or its disk."""
        with self._lock:
            if self._places.get((place.root.id, place.folder)) is place:
                self._drop(place)
                self._unuse([place])

    def _overflown(self, place: _Place) -> None:
        self._notes.lost(place.root.id, "more happened at once than the system keeps events of")


class _Place:
    """A watched folder; satisfies watchdog's WatchCallback."""

    __slots__ = ("_source", "children", "descriptor", "folder", "is_link", "root")

    def __init__(self, source: Inotify, root: Root, folder: bytes, is_link: bool) -> None:
        self._source = source
        self.root = root
        self.folder = folder
        self.is_link = is_link
        self.children: set[bytes] = set()
        self.descriptor = WatchDescriptor(-1)

    @property
    def id(self) -> CallbackId:
        return CallbackId(id(self))

    @property
    def path(self) -> bytes:
        return os.path.join(self.root.base, self.folder) if self.folder else self.root.base

    def on_event(self, event: InotifyEvent) -> None:
        self._source._hear(self, event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        self._source._ended(self)

    def on_queue_overflow(self) -> None:
        self._source._overflown(self)


def free_watches(proc: Path = Path("/proc"), user: Callable[[], int] = os.getuid) -> int:
    """How many this user may still add: the limit less what its processes use, as far as they can be seen."""
    limit = int((proc / "sys/fs/inotify/max_user_watches").read_text())
    return max(0, limit - sum(_watches_of(process, user()) for process in proc.glob("[0-9]*")))


def _watches_of(process: Path, user: int) -> int:
    try:
        if process.stat().st_uid != user:
            return 0
        instances = [one.name for one in (process / "fd").iterdir() if os.readlink(one) == "anon_inode:inotify"]
        return sum((process / "fdinfo" / name).read_text().count("inotify wd:") for name in instances)
    except OSError:  # it has ended, or hides what it does
        return 0
