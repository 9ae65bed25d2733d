"""Events from macOS and Windows, where one watch sees a whole tree; what is left out there is only not listened to.

Where an event ends a file's writing is not told, so a folder is looked at once it is quiet.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Set

from watchdog.events import FileClosedNoWriteEvent, FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from clipsearch.decoding.names import is_skipped
from clipsearch.index.catalog import SEPARATOR, Root
from clipsearch.index.crawl import IGNORE_FILE, identity_of
from clipsearch.watching.settling import Notes


class Recursive:
    """A source of events; `notes` hears of them."""

    name = {"darwin": "fsevents", "win32": "windows"}.get(sys.platform, "watchdog")

    def __init__(self, notes: Notes, observer: BaseObserver | None = None) -> None:
        self._notes = notes
        self._observer = Observer() if observer is None else observer
        self._observer.start()
        self._watches: dict[int, tuple[str | None, ObservedWatch]] = {}  # by root id; of the folder of this identity

    @property
    def is_alive(self) -> bool:
        return self._observer.is_alive() and all(emitter.is_alive() for emitter in self._observer.emitters)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()

    def count(self, root_id: int) -> int:
        return int(root_id in self._watches)

    def enter(self, root: Root, folder: bytes, is_link: bool) -> None:
        """Watches the root before its first folder is listed; anew where another has its place. Raises OSError."""
        if folder and root.id in self._watches:
            return
        identity = identity_of(root)
        if root.id in self._watches:
            if self._watches[root.id][0] == identity:
                return
            self.leave(root.id)
        real = os.path.realpath(root.base)  # as events name it
        handler = _Handler(self._notes, root, real)
        self._watches[root.id] = identity, self._observer.schedule(handler, os.fsdecode(real), recursive=True)

    def leave(self, root_id: int, folder: bytes = b"", *, but: Set[bytes] = frozenset()) -> None:
        if not folder and not but and root_id in self._watches:
            self._observer.unschedule(self._watches.pop(root_id)[1])


class _Handler(FileSystemEventHandler):
    def __init__(self, notes: Notes, root: Root, real: bytes) -> None:
        self._notes = notes
        self._root = root
        self._real = real

    def on_any_event(self, event: FileSystemEvent) -> None:
        if isinstance(event, (FileOpenedEvent, FileClosedNoWriteEvent)):
            return
        for path in (event.src_path, event.dest_path):
            if path:
                self._hear(os.fsencode(path), is_folder=event.is_directory and event.event_type != "modified")

    def _hear(self, path: bytes, *, is_folder: bool) -> None:
        if path == self._real:
            self._notes.changed(self._root.id, b"", deep=is_folder)
            return
        if not path.startswith(os.path.join(self._real, b"")):
            return
        below = os.path.relpath(path, self._real)
        folder, _, name = below.rpartition(SEPARATOR)
        if name == IGNORE_FILE:
            self._notes.changed(self._root.id, folder, deep=True)
        elif not any(map(is_skipped, below.split(SEPARATOR))):
            self._notes.changed(self._root.id, below if is_folder else folder, deep=is_folder)
