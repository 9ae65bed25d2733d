"""Looks at everything a library needs, one line each: its folder, its catalog, its vectors, its model, its machine.

Only looks. What is wrong names what to do; what SQLite alone can put right is repair.py's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator

from clipsearch.config import Paths
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.store import find_model
from clipsearch.engine.textcache import TextCache
from clipsearch.errors import ClipsearchError, Exit, LibraryError, ModelError, SystemFault
from clipsearch.files import lock_holder, network_filesystem
from clipsearch.index.database import DamagedCatalog
from clipsearch.index.health import CheckedCatalog
from clipsearch.index.nearest import Nearest
from clipsearch.index.spaces import Space
from clipsearch.index.vectors import strays
from clipsearch.opened import catalog_path, vectors_folder
from clipsearch.upkeep.checks import REPAIR, Check, note, ok, wrong
from clipsearch.upkeep.lock import check_exists
from clipsearch.upkeep.machine import extras, runtimes, watches

_SCARCE = 100 << 20  # bytes free on the library's disk: a commit and a checkpoint of some 100,000 photos


def checked(paths: Paths) -> Iterator[Check]:
    """What Library.check documents."""
    check_exists(paths)
    yield from _folder(paths)
    yield from _catalog(paths)
    yield from _caches(paths)
    yield from runtimes()
    yield from extras()


def _folder(paths: Paths) -> Iterator[Check]:
    library = paths.library
    if not os.access(library, os.W_OK):
        yield wrong("folder", f"{library} cannot be written", "Change its permissions.", Exit.SYSTEM)
    else:
        yield ok("folder", str(library))
    if kind := network_filesystem(library):
        yield wrong(
            "disk", f"it lies on a network file system ({kind}), where SQLite's locks cannot be trusted",
            "Keep the library on a local disk with --library DIR; the photos may stay where they are.",
        )  # fmt: skip
    free = shutil.disk_usage(library).free
    if free < _SCARCE:
        yield wrong("room", f"{free >> 20:,} MiB are free", "Free some space.", Exit.SYSTEM)
    else:
        yield ok("room", f"{free >> 30:,} GiB are free")
    holder = lock_holder(library / "writer.lock")
    yield note("writer", f"{holder} writes at the moment") if holder else ok("writer", "nobody writes at the moment")


def _catalog(paths: Paths) -> Iterator[Check]:
    try:
        with CheckedCatalog.open_reader(catalog_path(paths)) as catalog, catalog.transaction():
            if damage := catalog.damage():
                yield _damaged(paths, "; ".join(damage))
                return
            yield ok("catalog", "SQLite finds no damage")
            yield from _rows(catalog)
            for space in catalog.spaces():
                yield from _vectors(catalog, space)
            space_now = catalog.active_space()
            yield from _checkpoint(paths, catalog, space_now)
            for root in catalog.root_statuses():
                yield _root(root.path, root.files)
            yield from watches(catalog.folder_count())
    except DamagedCatalog as error:
        yield _damaged(paths, error.message)
        return
    except LibraryError as error:  # newer, older or locked
        yield wrong("catalog", error.message, error.hint)
        return
    if space_now is not None:
        yield from _model(paths, space_now)


def _damaged(paths: Paths, text: str) -> Check:
    return wrong(
        "catalog", f"{catalog_path(paths)} is damaged: {text}",
        f"Restore it from a backup, or save what can be read: {REPAIR}", repairable=True,
    )  # fmt: skip


def _rows(catalog: CheckedCatalog) -> Iterator[Check]:
    orphans = catalog.orphans()
    told = ", ".join(f"{count:,} of {table}" for table, count in orphans.items())
    if told:
        yield wrong("rows", f"rows refer to nothing: {told}", REPAIR, repairable=True)
    if miscounted := catalog.miscounted():
        where = ", ".join(f"{count:,} of {table}" for table, count in miscounted.items())
        yield wrong("rows", f"numbers are not counted right: {where}", REPAIR, repairable=True)
    if not told and not miscounted:
        photos, files, failed = catalog.counts()
        unread = f", {failed:,} not readable (clipsearch errors)" if failed else ""
        yield ok("rows", f"{photos:,} photos in {files:,} files{unread}")


def _vectors(catalog: CheckedCatalog, space: Space) -> Iterator[Check]:
    name = f"vectors of {space.identity.model}"
    if broken := catalog.broken_vectors(space):
        yield wrong(name, f"{len(broken):,} are none", f"{REPAIR}, then clipsearch index", repairable=True)
    else:
        yield ok(name, f"{catalog.vector_count(space):,}, all of length 1 in {space.identity.dim} dimensions")


def _checkpoint(paths: Paths, catalog: CheckedCatalog, space: Space | None) -> Iterator[Check]:
    if space is None:
        yield note("checkpoint", "nothing is indexed yet", "clipsearch index ~/Photos")
        return
    if missing := catalog.without_vector(space):
        yield note("unencoded", f"{missing:,} photos have no vector and do not answer yet", "clipsearch index")
    folder = vectors_folder(paths)
    status = Nearest(folder).status(catalog, space)
    if status.healthy:
        newer = f", {status.tail:,} newer vectors beside it" if status.tail else ""
        yield ok("checkpoint", f"{status.rows:,} rows match what was recorded{newer}")
    elif status.generation is None:  # a library from a backup, or one whose run was killed before its end
        yield note("checkpoint", status.state, "clipsearch index")
    else:
        yield wrong("checkpoint", status.state, f"clipsearch index, or {REPAIR}", repairable=True)
    if stray := strays(folder, keep=catalog.checkpoint_files()):
        names = ", ".join(path.name for path in stray)
        yield note("vectors folder", f"nothing names {names}", REPAIR, repairable=True)


def _root(path: bytes, files: int) -> Check:
    shown = os.fsdecode(path)
    if os.path.exists(path):
        return ok("root", f"{shown}, {files:,} files")
    return note(
        "root", f"{shown} is not there; its {files:,} files stay searchable",
        "Plug in its disk; or, where the photos moved: clipsearch relocate OLD NEW",
    )  # fmt: skip


def _caches(paths: Paths) -> Iterator[Check]:
    thumbs = paths.library / "thumbs"
    sizes = [entry.stat().st_size for entry in os.scandir(thumbs)] if thumbs.is_dir() else []
    yield ok("thumbnails", f"{len(sizes):,} kept, {sum(sizes) >> 20:,} MiB")
    try:
        with TextCache(paths.cache) as cache:
            yield ok("text cache", f"{cache.status().entries:,} texts")
    except SystemFault as error:
        yield wrong("text cache", error.message, error.hint, Exit.SYSTEM)


def _model(paths: Paths, space: Space) -> Iterator[Check]:
    try:
        card = find_model(space.identity.model, paths.models)
        if card.image_fingerprint != space.identity.fingerprint:
            yield wrong(
                "model", f"{card.name} is not the one that indexed this library",
                "Encode the photos with it: clipsearch index", Exit.MODEL,
            )  # fmt: skip
            return
        _check_files(card)
    except ClipsearchError as error:
        yield wrong("model", error.message, error.hint, Exit.MODEL)
        return
    yield ok("model", f"{card.name} {card.version}, its files match its card")


def _check_files(card: ModelCard) -> None:
    for tower in (card.reference.image, card.reference.text):
        path = card.folder / tower.file
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror}).", "Fetch the model again.") from error
        if digest != tower.sha256:
            raise ModelError(f"{path} does not match its card.", "Fetch the model again.")
