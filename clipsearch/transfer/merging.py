"""Bundles into a library: each one whole or not at all, in one transaction.

What can be seen without reading the rows (is it finished, of this model, are its parts all there) is looked at for all
of them before the first is merged. Rows are checked as they come, and what is wrong then takes its bundle back out.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipsearch.bundles.folder import check_parts, is_sealed, read_manifest, read_part
from clipsearch.bundles.header import Manifest
from clipsearch.bundles.rows import Copy, Newer, NoBundle, Photo, Row, Unread, Unreadable
from clipsearch.config import Paths
from clipsearch.errors import ModelError, SystemFault, UsageError
from clipsearch.index.catalog import DESCRIPTION
from clipsearch.index.joining import Joined, JoiningCatalog
from clipsearch.index.portable import Place, UnfitRow
from clipsearch.index.spaces import Space
from clipsearch.opened import catalog_path
from clipsearch.photos import existing
from clipsearch.transfer.arrival import arriving, check_space, renew_checkpoint
from clipsearch.types import AnyPath


@dataclass(frozen=True, slots=True)
class Merged:
    """What was added; `known` photos were there already."""

    bundles: int
    photos: int
    known: int
    files: int
    unread: int  # of the bundles' files: those that could not be read
    offline: tuple[bytes, ...]  # roots that are not on this machine


Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Bundle:
    folder: Path
    manifest: Manifest

    def batches(self) -> Iterator[list[Row]]:
        for part in self.manifest.parts:
            yield from read_part(self.folder, part, self.manifest.header)

    def named(self) -> dict[bytes, bool]:
        """The folders that it is of, as `_note_roots` notes them: one without files is known as well."""
        return dict.fromkeys((root for root, _ in self.manifest.header.folders), False)


def merged(paths: Paths, sources: Sequence[AnyPath], root: AnyPath | None, progress: Progress) -> Merged:
    """What Library.merge documents."""
    here = None if root is None else _folder_here(root)
    bundles = _opened(paths, sources)
    done, photos, unread, read = Joined(), 0, 0, 0
    total = sum(one.manifest.rows for one in bundles)
    with arriving(paths, "clipsearch merge", JoiningCatalog) as catalog:
        space: Space | None = None
        for before, bundle in enumerate(bundles):
            with _refusing(bundle.folder, before), catalog.joining(), _uncollected():
                space = _space(catalog, bundle)
                joining = _Joining(catalog, bundle, space, here, done)
                for rows in bundle.batches():
                    joining.add(rows)
                    read += len(rows)
                    progress(read, total)
                joining.finish()
                photos += bundle.manifest.photos
                unread += bundle.manifest.unread
                catalog.record_event("merge", {"bundle": str(bundle.folder), "rows": bundle.manifest.rows})
        if space is not None:
            renew_checkpoint(paths, catalog, space)
        offline = {one.path for one in catalog.roots() if not (os.path.isabs(one.path) and os.path.exists(one.path))}
    return Merged(len(bundles), done.photos, photos - done.photos, done.files, unread, tuple(sorted(offline)))


def checked(paths: Paths, sources: Sequence[AnyPath], root: AnyPath | None, progress: Progress) -> Merged:
    """Reads every row of the bundles as `merged` does, and adds none; what it counts is what they hold."""
    here = None if root is None else _folder_here(root)
    bundles = _opened(paths, sources)
    photos: set[bytes] = set()
    roots: set[bytes] = set()
    files = unread = read = 0
    total = sum(one.manifest.rows for one in bundles)
    for bundle in bundles:
        own: set[bytes] = set()
        copies: set[bytes] = set()
        single = bundle.named()
        with _refusing(bundle.folder):
            for rows in bundle.batches():
                own |= {row.digest for row in rows if isinstance(row, Photo)}
                copies |= {row.digest for row in rows if isinstance(row, Copy)}
                _note_roots(rows, single)
                _check_root(bundle, here, single)
                unread += sum(isinstance(row, Unread) for row in rows)
                files += len(rows)
                read += len(rows)
                progress(read, total)
            if not copies <= own:
                raise Unreadable(_LONELY)
        photos |= own
        roots |= single.keys() if here is None else {here}
    offline = {one for one in roots if not (os.path.isabs(one) and os.path.exists(one))}
    return Merged(len(bundles), len(photos), 0, files, unread, tuple(sorted(offline)))


def _note_roots(rows: Sequence[Row], single: dict[bytes, bool]) -> None:
    """Adds the roots of rows, and whether each is one file. Raises Unreadable."""
    for root, is_file in {(row.place.root, not row.place.path) for row in rows}:
        if single.setdefault(root, is_file) != is_file:
            raise Unreadable("a root is a file and a folder")


def _check_root(bundle: _Bundle, here: bytes | None, single: Mapping[bytes, bool]) -> None:
    """Raises UsageError where not all of a bundle was below one folder, and --root says where that lies."""
    if here is not None and (len(single) > 1 or any(single.values())):
        raise UsageError(
            f"{bundle.folder} is of several folders, or of single photos, so one --root cannot hold it.",
            "Merge it without --root, and say where each lies: clipsearch relocate OLD NEW",
        )


def _folder_here(root: AnyPath) -> bytes:
    folder = existing(root)
    if not os.path.isdir(folder):
        raise UsageError(
            f"{os.fsdecode(root)} is a file.", "Name the folder in which the photos of the bundles lie: --root DIR"
        )
    return folder


_LONELY = "a file is the copy of a photo that is not in it"


class _Joining:
    """One bundle on its way into the catalog."""

    def __init__(
        self, catalog: JoiningCatalog, bundle: _Bundle, space: Space, here: bytes | None, done: Joined
    ) -> None:
        self._catalog = catalog
        self._bundle = bundle
        self._space = space
        self._here = here
        self._done = done
        self._places: dict[bytes, Place] = {}
        self._single = bundle.named()  # roots, and whether each is one file
        self._early: list[Copy] = []
        self._note_places()

    def add(self, rows: Sequence[Row]) -> None:
        _note_roots(rows, self._single)
        self._note_places()
        self._early += self._join(rows)

    def finish(self) -> None:
        """Copies may stand before what they are copies of."""
        if self._join(self._early):
            raise Unreadable(_LONELY)

    def _join(self, rows: Sequence[Row]) -> list[Copy]:
        description = self._bundle.manifest.header.description
        return self._catalog.join(rows, description, self._space, self._places, self._done)

    def _note_places(self) -> None:
        _check_root(self._bundle, self._here, self._single)
        excluded = dict(self._bundle.manifest.header.folders)
        for root in self._single.keys() - self._places.keys():
            self._places[root] = self._catalog.place_for(
                self._here or root, is_file=self._single[root], exclude=excluded.get(root, ())
            )


def _opened(paths: Paths, sources: Sequence[AnyPath]) -> list[_Bundle]:
    """All that can be refused without reading a row is refused here."""
    bundles = []
    for source in sources:
        folder = Path(os.fsdecode(existing(source)))
        with _refusing(folder):
            manifest = read_manifest(folder)
            check_parts(folder, manifest)
        bundles.append(_Bundle(folder, manifest))
    active = None
    if catalog_path(paths).exists():
        with JoiningCatalog.open_reader(catalog_path(paths)) as catalog:
            active = catalog.active_space()
    for bundle in bundles:
        header = bundle.manifest.header
        check_space(active, header.model, bundle.folder, "merge BUNDLE")
        if header.model.fingerprint != bundles[0].manifest.header.model.fingerprint:
            raise ModelError(
                f"{bundle.folder} holds vectors of the model {header.model.model}, and {bundles[0].folder} those of "
                f"{bundles[0].manifest.header.model.model}.",
                "Merge each model into a library of its own: clipsearch --library DIR merge BUNDLE",
            )
        if header.description > DESCRIPTION:
            with _refusing(bundle.folder):
                raise Newer(f"it was written by a newer clipsearch ({header.program})")
    return bundles


def _space(catalog: JoiningCatalog, bundle: _Bundle) -> Space:
    """Asked again under the lock: an index run may have ended meanwhile."""
    active, identity = catalog.active_space(), bundle.manifest.header.model
    check_space(active, identity, bundle.folder, "merge BUNDLE")
    return active or catalog.space_for(identity)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Rows hold no cycles; to look for some among them, again and again, takes a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _refusing(folder: Path, before: int = 0) -> Iterator[None]:
    """Turns what is wrong with a bundle into a sentence that names it, and says what became of those `before` it."""
    try:
        yield
    except (Unreadable, UnfitRow) as error:
        stay = (
            ""
            if not before
            else "; the bundle before it is merged"
            if before == 1
            else (f"; the {before:,} bundles before it are merged")
        )
        raise SystemFault(
            f"{folder} cannot be merged: {error}. Nothing of it was added{stay}.", _hint(folder, error)
        ) from error


def _hint(folder: Path, error: Exception) -> str:
    if isinstance(error, Newer):
        return "Update clipsearch and try again."
    if not isinstance(error, NoBundle):
        return "Copy it again from where it was made, or run the command again that made it."
    if is_sealed(folder.parent):
        return f"Name the folder that it lies in: clipsearch merge {folder.parent}"
    if folder.is_dir() and any(map(is_sealed, folder.iterdir())):
        return f"There are some in it: clipsearch merge {folder}/*"
    return "Name the folder that clipsearch index --bundle has written."
