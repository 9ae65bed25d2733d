"""`clipsearch index --bundle`: which folder, model and share; then one share of the roots into parts, and the seal.

The counterpart of indexing.py and index/update.py, whose pieces it puts together; a bundle in place of a library.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from clipsearch import __version__
from clipsearch.bundles.folder import create_folder, is_sealed, remove_torn
from clipsearch.bundles.resuming import begun, check_begun, damaged, taken
from clipsearch.bundles.rows import Header, Unreadable
from clipsearch.bundles.shard import Shard
from clipsearch.config import Paths
from clipsearch.engine.store import DEFAULT_MODEL, find_model, model_handle
from clipsearch.errors import UsageError
from clipsearch.events import Event, Planned, Summary, Unlisted
from clipsearch.files import exclusive_lock
from clipsearch.index import crawl
from clipsearch.index.catalog import DESCRIPTION, Catalog, Root
from clipsearch.index.ingest import Fresh, Ingest
from clipsearch.index.roots import roots_of_no_library
from clipsearch.index.spaces import Space
from clipsearch.index.update import EVERYTHING, walked
from clipsearch.indexing import Bench
from clipsearch.opened import catalog_path
from clipsearch.photos import existing
from clipsearch.sharding.store import BundleStore, path_below
from clipsearch.types import AnyPath, Decoder, Encoder

_LOCK = ".lock"
_IN_FLIGHT = ".in-flight"  # see decoding/journal.py


def bundled(
    paths: Paths,
    backend: str,
    folders: Sequence[AnyPath],
    target: AnyPath,
    *,
    shard: Shard,
    model: str | None,
    exclude: Sequence[str],
    workers: int | None,
    threads: int = 0,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """What Library.bundle documents."""
    folder = Path(os.path.abspath(os.fsdecode(target)))
    if not folders:
        raise UsageError("No folder is named for the bundle.", "Name one: clipsearch index --bundle DIR ~/Photos")
    roots = roots_of_no_library([existing(one) for one in folders], exclude)
    create_folder(folder)
    with exclusive_lock(folder / _LOCK, "clipsearch index --bundle", taken(folder)):
        remove_torn(folder)
        parts = begun(folder)
        wanted = model or (parts[0][0].model.model if parts else _library_model(paths) or DEFAULT_MODEL)
        card = find_model(wanted, paths.models)
        with Bench(paths, backend, workers, threads) as bench:
            tower, decoder = bench.opened(card)
            header = Header(
                model=replace(tower.space, model=model_handle(card, paths.models)),
                description=DESCRIPTION,
                program=__version__,
                shard=shard,
                folders=folders_of(roots, *(other for other, _ in parts)),
            )
            check_begun(folder, parts, header, "--bundle")
            with bench.journaled(decoder, folder / _IN_FLIGHT):
                for event in encoded_share(folder, header, roots, tower, decoder, stop=stop):
                    yield event
                    yield from bench.measured(card, event)
            if is_sealed(folder):
                (folder / _IN_FLIGHT).unlink(missing_ok=True)  # what is left is what travels


def encoded_share(
    folder: Path,
    header: Header,
    roots: Sequence[Root],
    encoder: Encoder,
    decoder: Decoder,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Adds what the bundle lacks of its share of the roots; yields events, a Summary last.

    It is sealed unless it was stopped or a root could not be listed: then the same command goes on from there.
    """
    started = time.monotonic()
    summary = Summary(bundle=os.fsencode(folder))
    fresh: list[Fresh] = []
    try:
        store = BundleStore(folder, header, roots)
    except Unreadable as error:
        raise damaged(folder, error) from error
    for root in roots:
        listing = None if stop() else (yield from walked(root, crawl.WHOLE, EVERYTHING, stop))
        if listing is None:
            break
        if isinstance(listing, Unlisted):
            summary = replace(summary, offline=(*summary.offline, root.path))
            yield listing
            continue
        for one in listing.unlisted:
            yield replace(one, path=os.path.join(root.base, one.path))
        share = [stamp for stamp in listing.stamps if header.shard.has(path_below(stamp))]
        changes = crawl.plan(
            store.known_files(root),
            share,
            unlisted=[one.path for one in listing.unlisted],
            decoder=decoder.identity,
        )
        # A file that was renamed since is one more file: its digest is known, so it costs its reading.
        new = [*changes.fresh, *(stamp for _, stamp in changes.moved)]
        here = replace(root, device=listing.device)
        fresh += [Fresh(here, stamp) for stamp in new]
        summary = replace(summary, unchanged=summary.unchanged + changes.unchanged)
        if share or not listing.stamps:
            yield Planned(root.path, len(share), changes.unchanged, len(new), moved=0, gone=len(changes.gone))
    ingest = Ingest(store, Space(0, header.model), encoder, decoder, set(), summary)
    yield from ingest.run(fresh, stop)
    store.flush()
    interrupted = stop()
    if not interrupted and not ingest.summary.offline:
        store.seal()
    seconds = round(time.monotonic() - started, 3)
    yield replace(ingest.summary, seconds=seconds, interrupted=interrupted, timings=ingest.timings)


def folders_of(roots: Sequence[Root], *begun: Header) -> tuple[tuple[bytes, tuple[str, ...]], ...]:
    """The folders of a bundle: those of now, and others that it was begun with, whose rows it keeps."""
    before = {path: exclude for header in begun for path, exclude in header.folders}
    return tuple((before | {root.path: root.exclude for root in roots if not root.is_file}).items())


def _library_model(paths: Paths) -> str | None:
    """A bundle that is made beside a library is for it."""
    if not catalog_path(paths).exists():
        return None
    with Catalog.open_reader(catalog_path(paths)) as catalog:
        space = catalog.active_space()
    return space.identity.model if space else None
