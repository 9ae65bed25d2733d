"""An index run of a whole library: its folder and lock, which model and which roots, when a new model takes over.

index/update.py brings the roots up to date; this chooses what it works on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Self

from clipsearch.config import Paths
from clipsearch.decoding.journal import Journal
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.encoding import Engine
from clipsearch.engine.backends import AUTO, usable_cores
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.choosing.choice import BUDGET_S, is_measured
from clipsearch.engine.store import DEFAULT_MODEL, find_model, model_handle
from clipsearch.engine.towers import ImageTower, PendingImageTower
from clipsearch.errors import LibraryBusy, LibraryError, SystemFault, UsageError
from clipsearch.events import Event, Measuring, Planned, Summary, Unlisted, Waiting
from clipsearch.files import network_filesystem, writer_lock
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.roots import exclude_in, root_for
from clipsearch.index.update import EVERYTHING, Scope, update
from clipsearch.opened import catalog_path, vectors_folder
from clipsearch.photos import existing
from clipsearch.types import AnyPath, RootStatus

_RETRY_S = 0.2
_TELL_AFTER_S = 1.0
_MEASURED_FROM = 500  # new photos: with fewer, trying all ways to run the model takes longer than any of them saves


def indexed(
    paths: Paths,
    backend: str,
    folders: Sequence[AnyPath],
    *,
    model: str | None,
    exclude: Sequence[str],
    workers: int | None,
    threads: int = 0,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """What Library.index documents: it yields events as it works, a Summary last."""
    targets = [existing(folder) for folder in folders]
    with contextlib.ExitStack() as writing, Bench(paths, backend, workers, threads) as bench:
        catalog = yield from locked(writing, paths, "clipsearch index", stop, is_patient=_is_watcher)
        if catalog is None:
            yield Summary(interrupted=True)
            return
        yield from bench.run(catalog, named_roots(catalog, targets, exclude), model=model, stop=stop)


WATCHER = "clipsearch watch"  # the purpose by which a watcher's lock is known


def locked(
    writing: contextlib.ExitStack,
    paths: Paths,
    purpose: str,
    stop: Callable[[], bool],
    *,
    is_patient: Callable[[str], bool],
) -> Generator[Event, None, Catalog | None]:
    """The catalog, open for writing until `writing` closes; None when it was stopped while it waited.

    It waits for holders of whom `is_patient` says so; for others it raises LibraryBusy at once.
    """
    path = catalog_path(paths)
    create_folder(paths.library)
    tell_at = time.monotonic() + _TELL_AFTER_S
    while True:
        try:
            writing.enter_context(writer_lock(paths.library / "writer.lock", purpose))
        except LibraryBusy as busy:
            if not is_patient(busy.holder):
                raise
            if time.monotonic() >= tell_at:
                tell_at = float("inf")
                yield Waiting(busy.holder)
            if stop():
                return None
            time.sleep(_RETRY_S)
        else:
            return writing.enter_context(Catalog.open_writer(path))


def _is_watcher(holder: str) -> bool:
    """A watcher gives the library back after each batch; an index run may take hours."""
    return holder.endswith(f"({WATCHER})")


def named_roots(catalog: Catalog, targets: Sequence[bytes], exclude: Sequence[str]) -> list[Root]:
    """The roots that cover what was named; all of them where nothing was."""
    chosen = {}
    for target in targets:
        root = root_for(catalog, target)
        chosen[root.id] = root
        catalog.try_again(root, target)  # a file named by itself is wanted, whatever was wrong with it
        if exclude:
            exclude_in(catalog, root, target, exclude)
    roots = [root for root in catalog.roots() if root.id in chosen or not targets]
    if not roots:
        raise UsageError("The library has no folders yet.", "Name one: clipsearch index ~/Photos")
    return roots


def forgotten(paths: Paths, folder: AnyPath) -> RootStatus:
    """What Library.forget documents."""
    path = os.path.abspath(os.fsencode(folder))
    library = catalog_path(paths)
    with (
        writer_lock(paths.library / "writer.lock", "clipsearch forget"),
        Catalog.open_writer(library) as catalog,
    ):
        found = next((root for root in catalog.root_statuses() if root.path == path), None)
        if found is None:
            raise UsageError(f"{os.fsdecode(path)} is no folder of this library.", "See them: clipsearch status")
        catalog.forget_root(path)
    return found


class Bench:
    """A model and decode workers for index runs; they stay open from one to the next. A context manager."""

    def __init__(self, paths: Paths, backend: str, workers: int | None, threads: int) -> None:
        self._paths = paths
        self._backend = backend
        self._threads = threads
        self._workers = workers or usable_cores()
        self._open: tuple[ModelCard, Callable[[], ImageTower], DecodeWorkers] | None = None
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Gives their memory and processes back; the next run opens them again."""
        self._closing.close()
        self._open = None

    def run(
        self,
        catalog: Catalog,
        roots: Sequence[Root],
        *,
        model: str | None = None,
        stop: Callable[[], bool],
        scope: Scope = EVERYTHING,
    ) -> Generator[Event, None, None]:
        """Brings the roots up to date, or the parts that `scope` names; all of the library when the model is new.

        The caller holds the writer's lock until this has ended or is closed.
        """
        active = catalog.active_space()
        card = find_model(model or (active.identity.model if active else DEFAULT_MODEL), self._paths.models)
        tower, decoder = self.opened(card)
        space = catalog.space_for(replace(tower.space, model=model_handle(card, self._paths.models)))
        # A new model encodes all of the library, or its results would lose what was not named.
        switching = active is not None and active.id != space.id
        if switching:
            roots, scope = catalog.roots(), replace(scope, parts=None)
        unlisted = False
        with self.journaled(decoder, self._paths.library / "in-flight"):
            folder = vectors_folder(self._paths)
            for event in update(catalog, space, folder, roots, tower, decoder, stop=stop, scope=scope):
                unlisted = unlisted or isinstance(event, Unlisted)
                if isinstance(event, Summary):
                    # What could not be listed or read has no vectors in the new space and would leave the results.
                    if switching and not event.interrupted and not unlisted and not event.unsettled:
                        catalog.activate(space)
                    if scope is EVERYTHING or event.indexed or event.moved or event.removed or event.failed:
                        catalog.record_event(
                            "index", {"indexed": event.indexed, "failed": event.failed, "seconds": event.seconds}
                        )
                yield event
                yield from self.measured(card, event)

    def measured(self, card: ModelCard, event: Event) -> Iterator[Event]:
        """Tries the ways to run the model, once a machine, where a plan has so much to read that it pays."""
        pays = isinstance(event, Planned) and event.fresh >= _MEASURED_FROM
        if pays and self._backend == AUTO and not is_measured(card, self._paths.cache):
            yield Measuring(BUDGET_S)
            self._engine(card).ways()

    @contextlib.contextmanager
    def journaled(self, decoder: DecodeWorkers, record: Path) -> Iterator[None]:
        """No longer than the lock: an idle watcher that kept it open would write over the record of another's run."""
        with Journal(record) as journal, decoder.journaled(journal):
            try:
                yield
            except BaseException:
                self.clear()  # what is in flight is ended while the journal can still say that it was us
                raise

    def opened(self, card: ModelCard) -> tuple[PendingImageTower, DecodeWorkers]:
        """The model, which loads when the first picture comes, and the workers that prepare pictures for it."""
        if self._open is None or self._open[0] != card:
            self.clear()
            open_tower = cache(self._engine(card).image_tower)
            prepare = PendingImageTower(card, open_tower).prepare
            decoder = self._closing.enter_context(DecodeWorkers(prepare, self._workers))
            self._open = card, open_tower, decoder
        return PendingImageTower(card, self._open[1]), self._open[2]

    def _engine(self, card: ModelCard) -> Engine:
        return Engine(card, backend=self._backend, threads=self._threads, cache_folder=self._paths.cache)


def create_folder(folder: Path) -> None:
    """Makes the folder of a library. Raises LibraryError on a network file system, SystemFault without permission."""
    if kind := network_filesystem(folder):
        raise LibraryError(
            f"{folder} lies on a network file system ({kind}), where SQLite's locks cannot be trusted.",
            "Keep the library on a local disk with --library DIR; the photos may stay where they are.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, "permission denied")
    except OSError as error:
        raise SystemFault(
            f"The library folder {folder} cannot be written ({error.strerror}).",
            "Choose another one with --library DIR, or change its permissions.",
        ) from error
