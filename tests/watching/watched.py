"""A watcher in a thread of this test, with a fast encoder, and the truth that its library is compared with."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipsearch import indexing
from clipsearch.config import Paths
from clipsearch.events import Planned, Summary, WatchEvent
from clipsearch.index.catalog import Catalog
from clipsearch.opened import catalog_path
from clipsearch.types import Watching
from clipsearch.watching.loop import watched
from clipsearch.watching.settling import Pace
from tests.support.encoder import HashEncoder, InlineDecoder

DEADLINE_S = 20.0  # the promise is 3; the machine is shared
QUICK = Pace(quiet_s=0.1, drip_s=1.0, stalled_s=1.0, open_s=3.0, check_s=0.1, poll_s=0.3, again_s=0.2)

State = dict[bytes, tuple[bytes | None, str | None]]  # path -> (digest, why there is no photo)


class _Workers(InlineDecoder):
    def __init__(self, prepare: Any, workers: int) -> None:
        super().__init__(prepare)

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @contextmanager
    def journaled(self, journal: object) -> Iterator[None]:
        yield


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> list[HashEncoder]:
    """No model and no processes: what is watched is the subject. Holds the encoders that were opened."""
    opened: list[HashEncoder] = []

    def tower(card: object, choose: object) -> HashEncoder:
        opened.append(HashEncoder())
        return opened[-1]

    monkeypatch.setattr(indexing, "PendingImageTower", tower)
    monkeypatch.setattr(indexing, "DecodeWorkers", _Workers)
    return opened


class Watch:
    """A running watcher. `events` are those so far."""

    def __init__(self, paths: Paths, folders: list[Path], **options: Any) -> None:
        self.paths = paths
        self.folders = folders
        self.events: list[WatchEvent] = []
        self.error: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(options,))
        self._thread.start()

    def _run(self, options: Any) -> None:
        try:
            pace = options.pop("pace", QUICK)
            for event in watched(self.paths, "auto", self.folders, stop=self._stopping.is_set, pace=pace, **options):
                self.events.append(event)
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "it does not stop"
        if self.error:
            raise self.error

    def until(self, holds: Callable[[], object], what: str = "it") -> None:
        wait_until(lambda: self.error or holds(), what)
        if self.error:
            raise self.error

    def ready(self) -> None:
        """Waits for the end of a look in which no file was held back for being young."""

        def looked() -> bool:
            events = list(self.events)
            if not events or not isinstance(events[-1], (Summary, Watching)):
                return False
            held = [event.held for event in events if isinstance(event, Planned)]
            return not held or held[-1] == 0

        self.until(looked, "the first look")

    def agrees(self) -> None:
        """Waits until the library is what a fresh index of the same folders is."""
        truth = fresh(self.paths, self.folders)
        try:
            self.until(lambda: state(self.paths) == truth)
        except AssertionError:
            found = state(self.paths)
            missing = {path: one for path, one in truth.items() if found.get(path) != one}
            extra = {path: one for path, one in found.items() if truth.get(path) != one}
            raise AssertionError(f"missing {missing}\nextra {extra}\nevents {self.events[-20:]}") from None


@contextmanager
def watching(paths: Paths, *folders: Path, **options: Any) -> Iterator[Watch]:
    watch = Watch(paths, list(folders), **options)
    try:
        watch.ready()
        yield watch
    finally:
        watch.stop()


def wait_until(holds: Callable[[], object], what: str = "it", timeout_s: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} has not come in {timeout_s:g} s"
        time.sleep(0.02)


def state(paths: Paths) -> State:
    """Every file row: which content, or why none; and that a photo is shown exactly if a file shows it."""
    with Catalog.open_reader(catalog_path(paths)) as catalog, catalog.transaction():
        rows = catalog._all(
            """
            SELECT base, folder, name, digest, reason FROM file JOIN root ON root.id = root_id
            LEFT JOIN photo ON photo.id = photo_id
            """
        )
        shown = {digest for *_, digest, _ in rows if digest is not None}
        searchable = {row[0] for row in catalog._all("SELECT digest FROM photo WHERE files > 0")}
        assert shown == searchable
    return {os.path.join(base or b"/", folder, name): (digest, reason) for base, folder, name, digest, reason in rows}


def fresh(paths: Paths, folders: list[Path]) -> State:
    """What a library that has never seen these folders holds after one run."""
    count = len(list(paths.library.parent.glob("fresh-*")))
    other = replace(paths, library=paths.library.parent / f"fresh-{count}")
    for event in indexing.indexed(other, "auto", folders, model=None, exclude=(), workers=None, stop=lambda: False):
        del event
    return state(other)
