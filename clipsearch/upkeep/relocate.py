"""Photos that lie at another place now: their roots follow, and no photo is read or encoded.

OLD is a root, or a folder above roots: what moves as a whole is a disk or a tree. A folder inside a root needs no
relocation: an index run knows its photos by their bytes, wherever they turn up.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from clipsearch.config import Paths
from clipsearch.errors import LibraryError, SystemFault, UsageError
from clipsearch.index.catalog import Root
from clipsearch.index.relocation import MovableCatalog, Move
from clipsearch.opened import catalog_path
from clipsearch.types import AnyPath, Stamp
from clipsearch.upkeep.lock import locked

_LOOKED_AT = 200  # files; on a disk over the network each takes some milliseconds


@dataclass(frozen=True, slots=True)
class RelocatedRoot:
    old: bytes
    new: bytes
    files: int
    into: bytes | None  # the root that lists `new` already and takes the files; each path is kept once


@dataclass(frozen=True, slots=True)
class Relocation:
    """What becomes of roots whose photos moved. A file is the same with its size, and `unread` with its time too."""

    roots: tuple[RelocatedRoot, ...]
    looked_at: int  # files, drawn by chance
    same: int  # of these are there, with the same size
    unread: int  # of these have the same time as well, so that an index run does not read them again

    @property
    def files(self) -> int:
        return sum(root.files for root in self.roots)


def relocated(paths: Paths, old: AnyPath, new: AnyPath, *, dry_run: bool, force: bool) -> Relocation:
    """What Library.relocate documents."""
    before, after = os.path.abspath(os.fsencode(old)), os.path.abspath(os.fsencode(new))
    if before == after:
        raise UsageError("The old place and the new one are the same.", "Name where the photos lie now.")
    if dry_run:
        with MovableCatalog.open_reader(catalog_path(paths)) as catalog:
            return _looked_up(catalog, _moves(catalog, before, after))
    with locked(paths, MovableCatalog, "clipsearch relocate") as catalog:
        moves = _moves(catalog, before, after)
        found = _looked_up(catalog, moves)
        check_found(found, after, force=force)
        catalog.move_roots(moves)
        return found


def check_found(found: Relocation, new: bytes, *, force: bool) -> None:
    """Raises SystemFault where most of the files looked for are not there: that is no place they have moved to."""
    if force or 2 * found.same >= found.looked_at:
        return
    are = "are" if found.same > 1 else "is"
    raise SystemFault(
        f"{found.same or 'None'} of {found.looked_at} files looked for {are} in {os.fsdecode(new)}, "
        "so nothing was changed.",
        "Check the path and whether its disk is there; to move the roots nevertheless, add --force.",
    )


def _moves(catalog: MovableCatalog, old: bytes, new: bytes) -> list[Move]:
    moves = catalog.moves(old, new)
    if moves:
        return moves
    for root in catalog.roots():
        if old.startswith(os.path.join(root.path, b"")):
            raise UsageError(
                f"{os.fsdecode(old)} is a folder inside the indexed {os.fsdecode(root.path)}.",
                f"Its photos are known by their bytes: clipsearch index {os.fsdecode(new)} encodes none of them again.",
            )
    known = ", ".join(os.fsdecode(root.path) for root in catalog.roots())
    raise LibraryError(f"Nothing in {os.fsdecode(old)} is indexed.", f"The library has {known or 'no folders yet'}.")


def _looked_up(catalog: MovableCatalog, moves: Sequence[Move]) -> Relocation:
    looked_at = same = unread = 0
    for move in moves:
        base = os.path.dirname(move.path) if move.root.is_file else move.path
        for known in catalog.some_files(move.root, max(1, _LOOKED_AT // len(moves))):
            looked_at += 1
            seen = _seen(base, known)
            same += seen is not None and seen.st_size == known.size
            unread += seen is not None and (seen.st_size, seen.st_mtime_ns) == (known.size, known.mtime_ns)
    roots = tuple(RelocatedRoot(move.root.path, move.path, move.files, _path_of(move.into)) for move in moves)
    return Relocation(roots, looked_at, same, unread)


def _path_of(root: Root | None) -> bytes | None:
    return None if root is None else root.path


def _seen(base: bytes, known: Stamp) -> os.stat_result | None:
    try:
        seen = os.stat(os.path.join(base, known.folder, known.name))
    except OSError:
        return None
    return seen if stat.S_ISREG(seen.st_mode) else None
