"""Makes the library equal to the disk: roots -> listing -> plan -> fresh files (ingest.py) -> checkpoint.

One generator; it yields what happened and decides nothing about how that is shown. Ctrl-C is `stop`: the
files in flight are finished and committed, and the next run goes on from there. All decisions about what
changed are crawl.plan's; all writing is catalog's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from clipsearch.errors import SystemFault
from clipsearch.index import crawl, vectors
from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.ingest import Fresh, Ingest
from clipsearch.index.spaces import Space
from clipsearch.types import Decoder, Encoder, Event, Planned, Scanning, Summary, Unlisted


def update(
    catalog: Catalog,
    space: Space,
    folder: Path,
    roots: Sequence[Root],
    encoder: Encoder,
    decoder: Decoder,
    *,
    stop: Callable[[], bool] = lambda: False,
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
        if stop():
            break
        yield Scanning(root.path)
        listing = crawl.walk(root)
        known = list(catalog.known_files(root.id, space.id))
        if isinstance(listing, Unlisted) or _is_other_disk(root, listing, len(known)):
            catalog.mark_root(root.id, online=False, device=None)
            summary = replace(summary, offline=(*summary.offline, root.path))
            reason = listing.reason if isinstance(listing, Unlisted) else "another disk is mounted there"
            yield Unlisted(root.path, reason)
            continue
        for unlisted in listing.unlisted:
            yield replace(unlisted, path=os.path.join(root.base, unlisted.path))
        changes = crawl.plan(
            known,
            listing.stamps,
            unlisted=[unlisted.path for unlisted in listing.unlisted],
            decoder=decoder.identity,
        )
        with catalog.transaction():
            catalog.mark_root(root.id, online=True, device=listing.device)
            for file, stamp in changes.moved:
                catalog.move_file(file.id, stamp)
            catalog.forget_files(file.id for file in changes.gone)
        orphaned |= {file.photo_id for file in changes.gone if file.photo_id is not None}
        summary = replace(
            summary,
            unchanged=summary.unchanged + changes.unchanged,
            moved=summary.moved + len(changes.moved),
            removed=summary.removed + len(changes.gone),
        )
        fresh += [Fresh(root, stamp) for stamp in changes.fresh]
        yield Planned(
            root.path, len(listing.stamps), changes.unchanged, len(changes.fresh), len(changes.moved), len(changes.gone)
        )
    ingest = Ingest(catalog, space, encoder, decoder, orphaned, summary)
    yield from ingest.run(fresh, stop)
    fault: SystemFault | None = None
    checkpoint_started = time.monotonic()
    try:
        if vectors.needs_checkpoint(catalog, space, folder):
            vectors.make_checkpoint(catalog, space, folder)
    except SystemFault as error:  # the photos are committed, and searched without it: that is told first
        fault = error
    timings = ingest.timings
    yield replace(
        ingest.summary,
        seconds=round(time.monotonic() - started, 3),
        interrupted=stop(),
        timings=replace(timings, store=timings.store + time.monotonic() - checkpoint_started),
    )
    if fault:
        raise fault


def _is_other_disk(root: Root, listing: crawl.Listing, known: int) -> bool:
    """An unmounted disk leaves an empty folder behind, on another device: offline, not emptied (I5)."""
    return known > 0 and not listing.stamps and root.device is not None and listing.device != root.device
