"""The watcher: waits until something has settled, then reconciles that part of the library against the disk.

One loop, one thread of its own beside the one that hears events. The writer's lock is held while it looks and given
back when it is done; the model and the decode workers stay open while there is work.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from clipsearch.config import Paths
from clipsearch.errors import LibraryError, SystemFault, UsageError
from clipsearch.events import Planned, Scanning, Summary, Troubled, Unlisted, WatchEvent
from clipsearch.files import exclusive_lock, network_filesystem
from clipsearch.index.catalog import ALL, Catalog, Part, Root
from clipsearch.index.crawl import identity_of
from clipsearch.index.database import NewerCatalog
from clipsearch.index.roots import covering, exclude_in, root_for
from clipsearch.index.update import Scope
from clipsearch.indexing import WATCHER, Bench, create_folder, locked
from clipsearch.opened import catalog_path
from clipsearch.photos import existing
from clipsearch.types import AnyPath, Stamp, WatcherStatus, Watching
from clipsearch.watching.kept import Kept
from clipsearch.watching.mounts import changed_inside, mounted
from clipsearch.watching.native import begun
from clipsearch.watching.record import lock_path, remove_record, write_record
from clipsearch.watching.settling import Looks, Notes, Pace, Parts, merged
from clipsearch.watching.source import OutOfWatches, Source

_TICK_S = 0.3  # how soon it notices that it is to stop
_RETRY_S = 30.0  # after the disk or the library could not be used


def watched(
    paths: Paths,
    backend: str,
    folders: Sequence[AnyPath],
    *,
    exclude: Sequence[str] = (),
    workers: int | None = None,
    threads: int = 0,
    poll_s: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    pace: Pace | None = None,
) -> Iterator[WatchEvent]:
    """What Library.watch documents: it yields events until `stop()` is true. `poll_s` forces polling."""
    pace = pace or Pace()
    catalog_path(paths)  # a shared library is refused before its folder is made
    create_folder(paths.library)
    with (
        exclusive_lock(lock_path(paths.library), WATCHER, _watched_already(paths)),
        Bench(paths, backend, workers, threads) as bench,
        contextlib.ExitStack() as closing,
    ):
        closing.callback(remove_record, paths.library)
        notes = Notes(pace)
        if poll_s is None:
            source, why_not = begun(notes, paths.library)
            closing.callback(lambda: source.close() if source else None)
        else:
            source, why_not = None, "it was asked for"
            pace = replace(pace, poll_s=poll_s)
        watcher = _Watcher(
            paths, folders, bench, notes, source, why_not, pace, stop, is_asked_to_poll=poll_s is not None
        )
        yield from watcher.run(exclude)


class _Watcher:
    def __init__(
        self,
        paths: Paths,
        folders: Sequence[AnyPath],
        bench: Bench,
        notes: Notes,
        source: Source | None,
        why_not: str | None,
        pace: Pace,
        stop: Callable[[], bool],
        *,
        is_asked_to_poll: bool,
    ) -> None:
        self._is_asked_to_poll = is_asked_to_poll
        self._paths = paths
        self._folders = folders
        self._targets: list[bytes] = []
        self._bench = bench
        self._notes = notes
        self._source = source
        self._why_not = why_not
        self._pace = pace
        self._stop = stop
        self._kept: dict[int, Kept] = {}
        self._unlisted: dict[bytes, str] = {}  # told already
        self._troubles: dict[str, float] = {}  # told, and when
        self._check_at = self._busy_at = time.monotonic()
        self._mounts = mounted()
        self._reader: Catalog | None = None
        self._since = _now()
        self._looked_at: str | None = None

    def run(self, exclude: Sequence[str]) -> Iterator[WatchEvent]:
        with contextlib.ExitStack() as writing:
            catalog = yield from locked(writing, self._paths, WATCHER, self._stop, is_patient=lambda holder: True)
            if catalog is None:
                return
            for root in self._named(catalog, exclude):
                self._take_on(root)
        yield from self._look(dict.fromkeys(self._kept, (ALL,)))
        while not self._stop():
            yield from self._turn()
        if self._reader is not None:
            self._reader.close()

    # -- a turn -----------------------------------------------------------------------------------

    def _turn(self) -> Iterator[WatchEvent]:
        now = time.monotonic()
        try:
            is_busy = yield from self._looked()
        except NewerCatalog:
            raise
        except (LibraryError, SystemFault, OSError) as error:  # another program has the library, or the disk is full
            message, hint = (
                (f"{error.strerror or error}.", "Check the disk and its permissions.")
                if isinstance(error, OSError)
                else (error.message, error.hint)
            )
            yield from self._trouble(message, f"{hint} It is tried again in {_RETRY_S:.0f} s.")
            for kept in self._kept.values():
                kept.look_at = now + _RETRY_S
            is_busy = True
        if is_busy:
            self._busy_at = time.monotonic()
            return
        if now - self._busy_at > self._pace.idle_s:
            self._bench.clear()
        self._notes.wait(_TICK_S)

    def _looked(self) -> Generator[WatchEvent, None, bool]:
        """Looks at what is due; whether anything was."""
        now = time.monotonic()
        for root_id, why in self._notes.take_lost().items():
            if root_id in self._kept:
                where = os.fsdecode(self._kept[root_id].root.path)
                yield from self._trouble(f"{where}: {why}.", "Nothing is lost: all of it is compared with the library.")
        parts = merged(self._notes.take(), self._due_again(now), self._due_roots(now), self._checks(now))
        parts = {root_id: some for root_id, some in parts.items() if root_id in self._kept}
        if parts:
            yield from self._look(parts)
        return bool(parts)

    def _look(self, parts: Parts) -> Iterator[WatchEvent]:
        """Reconciles these parts, and watches the folders that it enters."""
        with contextlib.ExitStack() as writing:
            catalog = yield from locked(writing, self._paths, WATCHER, self._stop, is_patient=lambda holder: True)
            if catalog is None:
                return
            roots = [root for root in catalog.roots() if root.id in parts and root.id in self._kept]
            for root in roots:
                self._kept[root.id].root = root
                self._kept[root.id].identity = identity_of(root)
            entered: dict[int, set[bytes]] = {root.id: set() for root in roots}

            def entering(root: Root, folder: bytes, is_link: bool) -> None:
                entered.setdefault(root.id, set()).add(folder)
                self._enter(root, folder, is_link)

            unlisted: dict[bytes, str] = {}
            listing_s: dict[bytes, float] = {}  # when it began, then how long it took
            retrying = {root.id for root in roots if self._kept[root.id].is_retrying(parts[root.id])}
            failed = 0
            scope = Scope(parts, entering, self._held, lambda root: root.id in retrying)
            with contextlib.closing(self._bench.run(catalog, roots, stop=self._stop, scope=scope)) as events:
                for event in events:
                    match event:
                        case Scanning(root=path, files=0):
                            listing_s[path] = time.monotonic()
                        case Planned(root=path):
                            listing_s[path] = time.monotonic() - listing_s[path]
                        case Summary():
                            failed = event.failed
                        case Unlisted():
                            unlisted[event.path] = event.reason
                            if self._unlisted.get(event.path) == event.reason:
                                continue
                    yield event
            # Not before: a hundred thousand watches that are given back, to be taken again, flood the kernel's queue.
            for root in roots:
                for part in parts[root.id]:
                    if part.deep and self._source is not None:
                        self._source.leave(root.id, part.folder, but=entered[root.id])
        self._looked_at = _now()
        for root in roots:
            kept = self._kept[root.id]
            self._reckon(kept, parts[root.id], root.path in unlisted, listing_s.get(root.path, 0.0))
            if root.id in retrying:
                kept.back_off(parts[root.id], failed, self._pace.full_s)
        self._unlisted |= unlisted
        yield from self._announced()

    def _reckon(self, kept: Kept, parts: Sequence[Part], is_offline: bool, listing_s: float) -> None:
        """When the root is looked at next, after a look at these parts."""
        kept.is_offline = is_offline
        if held := kept.looks.take():
            kept.again = tuple({*kept.again, *held})
            kept.again_at = min(kept.again_at, time.monotonic() + self._pace.again_s)
        if ALL not in parts:
            return
        kept.is_new = False
        kept.every_s = self._every_s(kept)
        if not self._is_asked_to_poll:  # a root that takes long to list is not listed all the time
            kept.every_s = max(kept.every_s, 10 * listing_s) if not is_offline else kept.every_s
        kept.look_at = time.monotonic() + kept.every_s
        inside = os.path.join(kept.root.path, b"")
        self._unlisted = {
            path: why for path, why in self._unlisted.items() if path != kept.root.path and not path.startswith(inside)
        }

    def _enter(self, root: Root, folder: bytes, is_link: bool) -> None:
        kept = self._kept.get(root.id)
        if kept is None or kept.why_polled is not None or self._source is None:
            return
        try:
            self._source.enter(root, folder, is_link)
        except OutOfWatches as error:
            self._source.leave(root.id)
            kept.why_polled = str(error)
            kept.every_s = self._pace.poll_s

    def _held(self, root: Root, stamp: Stamp) -> bool:
        kept = self._kept.get(root.id)
        if kept is None or not (kept.is_new or kept.why_polled is not None):
            return self._notes.held(root, stamp)
        return self._notes.held(root, stamp) or kept.looks.held(stamp, first=kept.is_new)

    # -- what is due ------------------------------------------------------------------------------

    def _due_again(self, now: float) -> Parts:
        due = [kept for kept in self._kept.values() if now >= kept.again_at]
        parts = {kept.root.id: kept.again for kept in due}
        for kept in due:
            kept.again, kept.again_at = (), float("inf")
        return parts

    def _due_roots(self, now: float) -> Parts:
        return {root_id: (ALL,) for root_id, kept in self._kept.items() if now >= kept.look_at}

    def _checks(self, now: float) -> Parts:
        """What brings no events: roots and disks that come and go, roots that others name or forget."""
        if now < self._check_at:
            return {}
        self._check_at = now + self._pace.check_s
        due = self._check_source() | self._check_roots()
        before, self._mounts = self._mounts, mounted()
        for root_id, kept in self._kept.items():
            if identity_of(kept.root) != kept.identity or changed_inside(kept.root.path, before, self._mounts):
                due.add(root_id)
                kept.retry_at = kept.retry_s = 0.0  # another disk, another mood
        return dict.fromkeys(due, (ALL,))

    def _check_source(self) -> set[int]:
        if self._source is None or self._source.is_alive:
            return set()
        self._source, self._why_not = None, "the thread that hears events has died"
        polled = {root_id for root_id, kept in self._kept.items() if kept.why_polled is None}
        for root_id in polled:
            self._kept[root_id].why_polled = self._why_not
        return polled

    def _check_roots(self) -> set[int]:
        if self._reader is not None and self._reader.is_current():
            return set()
        if self._reader is not None:
            self._reader.close()
            self._reader = None  # if the next one cannot be opened
        self._reader = Catalog.open_reader(catalog_path(self._paths))
        roots = {root.id: root for root in self._known(self._reader)}
        for root_id in [root_id for root_id in self._kept if root_id not in roots]:
            if self._source is not None:
                self._source.leave(root_id)
            self._notes.forget(root_id)
            del self._kept[root_id]
        due = set()
        for root in roots.values():
            kept = self._kept.get(root.id)
            if kept is None:
                self._take_on(root)
            if kept is None or kept.root.exclude != root.exclude:
                due.add(root.id)
        return due

    # -- roots ------------------------------------------------------------------------------------

    def _named(self, catalog: Catalog, exclude: Sequence[str]) -> list[Root]:
        known = {root.path for root in catalog.roots()}
        for folder in self._folders:
            path = os.path.abspath(os.fsencode(folder))
            self._targets.append(path if path in known else existing(folder))  # one that is offline may be named
        for target in self._targets:
            root = self._covering(catalog, target) or root_for(catalog, target)
            if exclude:
                exclude_in(catalog, root, target, exclude)
        roots = self._known(catalog)
        if not roots:
            raise UsageError("The library has no folders yet.", "Name one: clipsearch watch ~/Photos")
        return roots

    @staticmethod
    def _covering(catalog: Catalog, target: bytes) -> Root | None:
        return covering(catalog.roots(), target, is_file=not os.path.isdir(target))

    def _known(self, catalog: Catalog) -> list[Root]:
        if not self._folders:
            return catalog.roots()
        found = {root.id: root for target in self._targets if (root := self._covering(catalog, target)) is not None}
        return list(found.values())

    def _take_on(self, root: Root) -> None:
        why = self._why_not
        if why is None and (kind := network_filesystem(Path(os.fsdecode(root.base)))):
            why = f"{kind} brings no events of other machines"
        kept = Kept(root, why, look_at=float("inf"), every_s=0.0, looks=Looks(self._pace))
        kept.every_s = self._every_s(kept)
        self._kept[root.id] = kept

    def _every_s(self, kept: Kept) -> float:
        return self._pace.full_s if kept.why_polled is None and not kept.is_offline else self._pace.poll_s

    # -- telling ----------------------------------------------------------------------------------

    def _announced(self) -> Iterator[WatchEvent]:
        """The record, then how each root is watched, where that has changed or the root is back."""
        now = {root_id: self._watching(root_id, kept) for root_id, kept in self._kept.items()}
        status = WatcherStatus(os.getpid(), self._since, self._why_not, self._looked_at, tuple(now.values()))
        write_record(self._paths.library, status)
        for root_id, kept in self._kept.items():
            how = now[root_id].backend, now[root_id].reason
            if kept.is_offline:
                kept.told = None
            elif kept.told != how:
                kept.told = how
                yield now[root_id]

    def _watching(self, root_id: int, kept: Kept) -> Watching:
        every_s = round(kept.every_s, 1)
        if self._source is None or kept.why_polled is not None:
            return Watching(kept.root.path, "polling", 0, every_s, kept.why_polled)
        return Watching(kept.root.path, self._source.name, self._source.count(root_id), every_s)

    def _trouble(self, message: str, hint: str) -> Iterator[WatchEvent]:
        """The same one at most once in ten minutes."""
        now = time.monotonic()
        if now - self._troubles.get(message, -600.0) >= 600.0:
            self._troubles = {text: at for text, at in self._troubles.items() if now - at < 600.0} | {message: now}
            yield Troubled(message, hint)


def _watched_already(paths: Paths) -> Callable[[str], LibraryError]:
    def error(holder: str) -> LibraryError:
        return LibraryError(
            f"The library {paths.library} is watched already by {holder}.",
            "End that one first, or index by hand: both may run at once.",
        )

    return error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
