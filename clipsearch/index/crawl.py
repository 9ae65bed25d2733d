"""Which files there are, and what changed: `walk` looks at the disk, `plan` decides and is pure.

Neither opens a file. Excluded by default: hidden names, AppleDouble (`._IMG`), `@eaDir`, trash folders.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pathspec

from clipsearch.index.catalog import KnownFile, Root
from clipsearch.index.names import is_listed, is_skipped, one_of_each
from clipsearch.types import Stamp, Unlisted

IGNORE_FILE = b".clipsearchignore"


@dataclass(frozen=True, slots=True)
class Listing:
    """What a walk found."""

    stamps: tuple[Stamp, ...]
    unlisted: tuple[Unlisted, ...]  # folders that could not be read; files below them are not gone (I5)
    device: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What to do about one root. Every known file and every stamp is in exactly one place."""

    fresh: tuple[Stamp, ...]  # new, changed or to be tried again: read the bytes
    moved: tuple[tuple[KnownFile, Stamp], ...]  # the same file under another name
    gone: tuple[KnownFile, ...]
    unchanged: int


def plan(known: Iterable[KnownFile], seen: Iterable[Stamp], *, unlisted: Sequence[bytes] = (), decoder: str) -> Changes:
    """Compares what the catalog knows with what the disk shows. Pure.

    `unlisted` are folders (relative) that could not be read: nothing below them is gone. A file that failed
    is tried again only when it changed or when `decoder` is another one than that which failed.
    """
    before = {(file.stamp.folder, file.stamp.name): file for file in known}
    fresh: list[Stamp] = []
    unchanged = 0
    for stamp in seen:
        file = before.pop((stamp.folder, stamp.name), None)
        if file is not None and _same_bytes(file.stamp, stamp):
            done = file.complete if file.photo_id is not None else file.failed_by == decoder
            if done:
                unchanged += 1
                continue
        fresh.append(stamp)
    absent = [file for file in before.values() if not _is_below_any(file.stamp.folder, unlisted)]
    by_inode = {_identity(file.stamp): file for file in absent if file.complete}
    moved: list[tuple[KnownFile, Stamp]] = []
    still_fresh: list[Stamp] = []
    for stamp in fresh:
        if file := by_inode.pop(_identity(stamp), None):
            moved.append((file, stamp))
        else:
            still_fresh.append(stamp)
    moved_ids = {file.id for file, _ in moved}
    gone = tuple(file for file in absent if file.id not in moved_ids)
    return Changes(tuple(still_fresh), tuple(moved), gone, unchanged)


def walk(root: Root) -> Listing | Unlisted:
    """Lists the photos of a root, or says why it cannot be listed (it is offline, never empty: I5)."""
    try:
        os.listdir(root.base)
        if root.is_file:
            return Listing(tuple(_named_file(root.path)), (), None)
        status = os.stat(root.path)
    except OSError as error:
        return Unlisted(root.path, error.strerror or str(error))
    stamps: list[Stamp] = []
    unlisted: list[Unlisted] = []
    rules = [_Rules(b"", pathspec.GitIgnoreSpec.from_lines(root.exclude))]
    pending = [(b"", rules)]  # a stack, for folders may be nested deeper than Python calls
    visited = {(status.st_dev, status.st_ino)}
    while pending:
        folder, rules = pending.pop()
        for found in _walk_folder(root.path, folder, rules, visited, pending):
            if isinstance(found, Unlisted):
                unlisted.append(found)
            else:
                stamps.append(found)
    return Listing(tuple(stamps), tuple(unlisted), str(status.st_dev))


def _named_file(path: bytes) -> Iterator[Stamp]:
    """A root that is one file; its folder was listed, so its absence is proven."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    yield Stamp(b"", os.path.basename(path), status.st_size, status.st_mtime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class _Rules:
    """Patterns in .gitignore syntax, relative to the folder they stand in."""

    folder: bytes
    spec: pathspec.GitIgnoreSpec

    def verdict(self, path: bytes, *, is_folder: bool) -> bool | None:
        """True excludes, False takes back what a higher ignore file excludes, None says nothing."""
        relative = path[len(self.folder) :].lstrip(os.sep.encode())
        text = os.fsdecode(relative) + ("/" if is_folder else "")
        return self.spec.check_file(text).include


def _is_excluded(rules: Sequence[_Rules], path: bytes, *, is_folder: bool) -> bool:
    """The first of `rules` that says anything decides."""
    verdicts = (rule.verdict(path, is_folder=is_folder) for rule in rules)
    return next((verdict for verdict in verdicts if verdict is not None), False)


def _walk_folder(
    base: bytes,
    folder: bytes,
    rules: list[_Rules],
    visited: set[tuple[int, int]],
    pending: list[tuple[bytes, list[_Rules]]],
) -> Iterator[Stamp | Unlisted]:
    """The photos of one folder, sorted, so that a run is repeatable; its folders are put on `pending`.

    `visited` holds real folders, so that links cannot loop. `rules` are the root's own, then those of ignore
    files from the nearest to the highest.
    """
    path = os.path.join(base, folder) if folder else base
    separator = os.sep.encode()
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        yield Unlisted(folder, error.strerror or str(error))
        return
    if any(entry.name == IGNORE_FILE for entry in entries):
        rules = [rules[0], *_rules_in(path, folder), *rules[1:]]
    deciding = [rule for rule in rules if rule.spec.patterns]
    folders: list[bytes] = []
    stamps: list[Stamp] = []
    unseen: OSError | None = None
    for entry in entries:
        name = entry.name
        if is_skipped(name):
            continue
        below = folder + separator + name if folder else name
        try:
            if entry.is_dir():
                if not _is_excluded(deciding, below, is_folder=True):
                    status = entry.stat()
                    if (status.st_dev, status.st_ino) not in visited:
                        visited.add((status.st_dev, status.st_ino))
                        folders.append(below)
                continue
            if not is_listed(name):
                continue
            status = entry.stat()
        except OSError as error:
            # It vanished since it was listed, or is a link to nowhere: there is no file. Anything else proves nothing.
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                unseen = error
            continue
        # A FIFO named photo.jpg would block its reader for ever.
        if stat.S_ISREG(status.st_mode) and not (deciding and _is_excluded(deciding, below, is_folder=False)):
            stamps.append(Stamp(folder, name, status.st_size, status.st_mtime_ns, status.st_ino))
    yield from one_of_each(stamps)
    if unseen is not None:
        yield Unlisted(folder, unseen.strerror or str(unseen))
    pending.extend((below, rules) for below in reversed(folders))


def _rules_in(path: bytes, folder: bytes) -> Iterator[_Rules]:
    try:
        with open(os.path.join(path, IGNORE_FILE), encoding="utf-8", errors="surrogateescape") as lines:
            yield _Rules(folder, pathspec.GitIgnoreSpec.from_lines(lines.read().splitlines()))
    except OSError:  # an ignore file that vanished or cannot be read excludes nothing
        return


def _same_bytes(known: Stamp, seen: Stamp) -> bool:
    # Not the inode: network and FUSE disks make new ones at each mount.
    return (known.size, known.mtime_ns) == (seen.size, seen.mtime_ns)


def _identity(stamp: Stamp) -> tuple[int, int, int]:
    return stamp.inode, stamp.size, stamp.mtime_ns


def _is_below_any(folder: bytes, parents: Sequence[bytes]) -> bool:
    return any(not parent or folder == parent or folder.startswith(parent + os.sep.encode()) for parent in parents)
