"""Makes the library equal to the disk: roots -> listing -> plan -> fresh files (ingest.py) -> checkpoint.

One generator; it yields what happened and decides nothing about how that is shown. Ctrl-C is `stop`: the
files in flight are finished and committed, and the next run goes on from there. All decisions about what
changed are crawl.plan's, those about disks that are away presence's; all writing is catalog's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from clipsearch.errors import SystemFault
from clipsearch.events import Event, Planned, Scanning, Summary, Unlisted
from clipsearch.index import crawl, presence, vectors
from clipsearch.index.catalog import Catalog, KnownFile, Part, Root
from clipsearch.index.ingest import Fresh, Ingest
from clipsearch.index.spaces import Space
from clipsearch.types import Decoder, Encoder, Stamp

# A run makes a checkpoint whenever it has added so many photos, and so large a share of what the last one holds: as a
# tail 20,000 take a search 60 ms (1 ms in a generation), and each checkpoint of a large library copies gigabytes.
GROWN_ROWS = 20_000
GROWN_SHARE = 0.25
_TELL_EVERY_S = 0.5  # while a large root is being listed


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run looks at, for a watcher that knows where something has changed."""

    parts: Mapping[int, Sequence[Part]] | None = None  # by root id; None for all of every root
    entering: Callable[[Root, bytes, bool], object] = lambda root, folder, is_link: None  # before a folder is listed
    held: Callable[[Root, Stamp], bool] = lambda root, stamp: False  # files that are still being written
    retrying: Callable[[Root], bool] = lambda root: True  # whether to read anew what the disk would not give


EVERYTHING = Scope()


def update(
    catalog: Catalog,
    space: Space,
    folder: Path,
    roots: Sequence[Root],
    encoder: Encoder,
    decoder: Decoder,
    *,
    stop: Callable[[], bool] = lambda: False,
    scope: Scope = EVERYTHING,
) -> Iterator[Event]:
    """Makes the library equal to the disk below `roots`. Needs the writer's lock; `folder` holds the generations.

    Yields events and, last, a Summary; then raises SystemFault if the checkpoint could not be written. Every commit
    holds whole files (I1), so a kill at any moment leaves only what the next run finishes.
    """
    started = time.monotonic()
    summary = Summary()
    fresh: list[Fresh] = []
    orphaned: set[int] = set()  # photos that lost a file in this run: a fresh file with their bytes was moved
    for root in roots:
        found = None if stop() else (yield from _listed(catalog, space, root, scope, stop))
        if found is None:
            break
        if isinstance(found, Unlisted):
            catalog.mark_offline(root.id)
            summary = replace(summary, offline=(*summary.offline, root.path))
            yield found
            continue
        listing, known = found
        disks = presence.disks(root, catalog.mounts(root.id), listing, known)
        unlisted = [*listing.unlisted, *disks.unlisted]
        for one in unlisted:
            yield replace(one, path=os.path.join(root.base, one.path))
        changes = crawl.plan(
            known,
            listing.stamps,
            unlisted=[one.path for one in unlisted],
            decoder=decoder.identity,
            retrying=scope.retrying(root),
            held=partial(scope.held, root),
        )
        _carry_out(catalog, root, listing, disks, changes)
        orphaned |= {file.photo_id for file in changes.gone if file.photo_id is not None}
        summary = replace(
            summary,
            unchanged=summary.unchanged + changes.unchanged,
            moved=summary.moved + len(changes.moved),
            removed=summary.removed + len(changes.gone),
        )
        here = replace(root, device=listing.device)
        fresh += [Fresh(here, stamp) for stamp in changes.fresh]
        yield _planned(root, listing, changes)
    ingest = Ingest(catalog, space, encoder, decoder, orphaned, summary)
    checkpoints = _Checkpoints(catalog, space, folder)
    if fresh and not stop():
        checkpoints.make_if_needed()  # hours may pass until the last photo, in which searches would read all vectors
    for event in ingest.run(fresh, stop):
        yield event
        checkpoints.make_if_grown(ingest.summary.indexed)
    if not stop():  # who says stop does not wait for it: searches read the tail, and the next run makes it
        checkpoints.make_if_needed()
    timings = ingest.timings
    yield replace(
        ingest.summary,
        seconds=round(time.monotonic() - started, 3),
        interrupted=stop(),
        timings=replace(timings, store=timings.store + checkpoints.spent_s),
    )
    if checkpoints.fault:  # the photos are committed, and searched without it: that is told first
        raise checkpoints.fault


class _Checkpoints:
    """Those of one run: before it reads, while it grows, and at its end. One that cannot be written stops no run."""

    def __init__(self, catalog: Catalog, space: Space, folder: Path) -> None:
        self._catalog = catalog
        self._space = space
        self._folder = folder
        self._indexed = 0  # photos of this run that the last one has
        self.fault: SystemFault | None = None  # why the last one that was tried could not be written
        self.spent_s = 0.0

    def make_if_needed(self) -> None:
        started = time.monotonic()
        try:
            if vectors.needs_checkpoint(self._catalog, self._space, self._folder):
                vectors.make_checkpoint(self._catalog, self._space, self._folder)
            self.fault = None
        except SystemFault as error:
            self.fault = error
        self.spent_s += time.monotonic() - started

    def make_if_grown(self, indexed: int) -> None:
        """Each holds a quarter more than the one before, so all together copy five times what the last one does."""
        added = indexed - self._indexed
        if added < GROWN_ROWS:
            return
        checkpoint = self._catalog.checkpoint(self._space)
        if checkpoint is None or added >= GROWN_SHARE * checkpoint.rows:
            self._indexed = indexed
            self.make_if_needed()


def _listed(
    catalog: Catalog, space: Space, root: Root, scope: Scope, stop: Callable[[], bool]
) -> Generator[Event, None, tuple[crawl.Listing, list[KnownFile]] | Unlisted | None]:
    """What there is and what is known, of the same parts; why the root is offline; None when it was stopped."""
    if scope.parts is None:
        parts: Sequence[Part] = crawl.WHOLE
    else:
        parts = presence.around_unplugged(root, catalog.mounts(root.id), scope.parts[root.id])
    listing = yield from walked(root, parts, scope, stop)
    if listing is None or isinstance(listing, Unlisted):
        return listing
    known = [file for part in listing.parts for file in catalog.known_files(root.id, space.id, part)]
    reason = presence.why_another(root, listing, known)
    if reason is None:
        return listing, known
    if listing.parts != crawl.WHOLE:  # a part alone does not show whether this is the root that is known
        return (yield from _listed(catalog, space, root, replace(scope, parts=None), stop))
    return Unlisted(root.path, reason)


def walked(
    root: Root, parts: Sequence[Part], scope: Scope, stop: Callable[[], bool]
) -> Generator[Event, None, crawl.Listing | Unlisted | None]:
    """A walk with events on its way; None when it was stopped."""
    yield Scanning(root.path)
    told = time.monotonic()
    walking = crawl.walking(root, parts, entering=partial(scope.entering, root))
    while True:
        try:
            files = next(walking)
        except StopIteration as done:
            listing: crawl.Listing | Unlisted = done.value
            return listing
        if stop():
            return None
        if time.monotonic() - told >= _TELL_EVERY_S:
            told = time.monotonic()
            yield Scanning(root.path, files)


def _carry_out(
    catalog: Catalog, root: Root, listing: crawl.Listing, disks: presence.Disks, changes: crawl.Changes
) -> None:
    """All that needs no reading, in one commit."""
    with catalog.transaction():
        catalog.mark_online(root.id, listing.device)
        for folder in disks.forgotten:
            catalog.forget_mount(root.id, folder)
        for mount in disks.there:
            catalog.put_mount(root.id, mount, online=True)
        for mount in disks.unplugged:
            catalog.put_mount(root.id, mount, online=False)
        for file, stamp in changes.moved:
            catalog.move_file(file.id, stamp)
        catalog.forget_files(file.id for file in changes.gone)


def _planned(root: Root, listing: crawl.Listing, changes: crawl.Changes) -> Planned:
    return Planned(
        root.path,
        files=len(listing.stamps),
        unchanged=changes.unchanged,
        fresh=len(changes.fresh),
        moved=len(changes.moved),
        gone=len(changes.gone),
        held=changes.held,
    )
