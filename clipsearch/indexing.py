"""An index run of a whole library: its folder and lock, which model and which roots, when a new model takes over.

index/update.py brings the roots up to date; this chooses what it works on.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from clipsearch.config import Paths
from clipsearch.encoding import Engine
from clipsearch.engine.backends import AUTO, usable_cores
from clipsearch.engine.choice import BUDGET_S, known_ways
from clipsearch.engine.store import DEFAULT_MODEL, find_model, model_handle
from clipsearch.engine.towers import PendingImageTower
from clipsearch.errors import LibraryError, SystemFault, UsageError
from clipsearch.files import network_filesystem, writer_lock
from clipsearch.index.catalog import Catalog
from clipsearch.index.roots import root_for
from clipsearch.index.update import update
from clipsearch.index.workers import DecodeWorkers
from clipsearch.opened import catalog_path, vectors_folder
from clipsearch.photos import existing
from clipsearch.types import AnyPath, Event, Measuring, Planned, Summary, Unlisted

_MEASURED_FROM = 500  # new photos: with fewer, trying all ways to run the model takes longer than any of them saves


def indexed(
    paths: Paths,
    backend: str,
    folders: Sequence[AnyPath],
    *,
    model: str | None,
    exclude: Sequence[str],
    workers: int | None,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """What Library.index documents: it yields events as it works, a Summary last."""
    targets = [existing(folder) for folder in folders]
    _create(paths.library)
    with (
        writer_lock(paths.library / "writer.lock", "clipsearch index"),
        Catalog.open_writer(catalog_path(paths)) as catalog,
    ):
        active = catalog.active_space()
        card = find_model(model or (active.identity.model if active else DEFAULT_MODEL), paths.models)
        engine = Engine(card, backend=backend, cache_folder=paths.cache)
        tower = PendingImageTower(card, lambda: engine.candidate("ingest"))
        space = catalog.space_for(replace(tower.space, model=model_handle(card, paths.models)))
        roots = [root_for(catalog, target) for target in targets]
        if exclude:
            for root in roots:
                catalog.set_exclude(root.id, exclude)
        chosen = {root.id for root in roots}
        # A new model encodes all of the library, or its results would lose what was not named.
        switching = active is not None and active.id != space.id
        everything = switching or not chosen
        roots = [root for root in catalog.roots() if everything or root.id in chosen]
        if not roots:
            raise UsageError("The library has no folders yet.", "Name one: clipsearch index ~/Photos")
        unlisted = False
        with DecodeWorkers(tower.prepare, workers or usable_cores()) as decoder:
            for event in update(catalog, space, vectors_folder(paths), roots, tower, decoder, stop=stop):
                unlisted = unlisted or isinstance(event, Unlisted)
                if isinstance(event, Summary):
                    # What could not be listed has no vectors in the new space and would leave the results.
                    if switching and not event.interrupted and not unlisted:
                        catalog.activate(space)
                    catalog.record_event(
                        "index", {"indexed": event.indexed, "failed": event.failed, "seconds": event.seconds}
                    )
                yield event
                pays = isinstance(event, Planned) and event.fresh >= _MEASURED_FROM
                if pays and backend == AUTO and not known_ways(card, paths.cache):
                    yield Measuring(BUDGET_S)
                    engine.ways()


def _create(folder: Path) -> None:
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
