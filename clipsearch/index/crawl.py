"""Which files there are, and what changed: `walk` looks at the disk, `plan` decides and is pure.

Neither opens a file. Excluded by default: hidden names, AppleDouble (`._IMG`), `@eaDir`, trash folders.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pathspec

from clipsearch.bundles.rows import is_uri
from clipsearch.decoding.names import is_listed, is_skipped, one_of_each
from clipsearch.events import Unlisted
from clipsearch.index.catalog import ALL, SEPARATOR, KnownFile, Mount, Part, Root
from clipsearch.types import Stamp

IGNORE_FILE = b".clipsearchignore"
_WENT_AWAY = "it went away while it was being listed"
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # proof that there is no such file


WHOLE = (ALL,)
Entering = Callable[[bytes, bool], object]  # (folder, whether it is a link), just before the folder is listed


@dataclass(frozen=True, slots=True)
class Listing:
    """What a walk found."""

    stamps: tuple[Stamp, ...]
    unlisted: tuple[Unlisted, ...]  # folders that could not be read; files below them are not gone (I5)
    device: str | None  # by which the root, or the folder of one that is a file, is known again: file system, inode
    mounts: tuple[Mount, ...] = ()
    parts: tuple[Part, ...] = WHOLE  # what was looked at; nothing is said of the rest


@dataclass(frozen=True, slots=True)
class Changes:
    """What to do about one root. Every known file and every stamp is in exactly one place."""

    fresh: tuple[Stamp, ...]  # new, changed or to be tried again: read the bytes
    moved: tuple[tuple[KnownFile, Stamp], ...]  # the same file under another name
    gone: tuple[KnownFile, ...]
    unchanged: int
    held: int = 0  # fresh ones that are still being written


def plan(
    known: Iterable[KnownFile],
    seen: Iterable[Stamp],
    *,
    unlisted: Sequence[bytes] = (),
    decoder: str,
    retrying: bool = True,
    held: Callable[[Stamp], bool] = lambda stamp: False,
) -> Changes:
    """Compares what the catalog knows with what the disk shows.

    `unlisted` are folders (relative) that could not be read: nothing below them is gone. A file that failed
    is tried again only when it changed or when `decoder` is another one than that which failed; where it was the
    disk that failed, also if `retrying`. Fresh files of which `held` says that they are still being written are
    left as they are known.
    """
    known = list(known)
    before = {(file.stamp.folder, file.stamp.name): file for file in known}
    fresh: list[Stamp] = []
    renumbered: list[Stamp] = []
    unchanged = 0
    for stamp in seen:
        file = before.pop((stamp.folder, stamp.name), None)
        if not retrying and file is not None and file.failed_by == "" and _same_bytes(file.stamp, stamp):
            unchanged += 1
            continue
        if file is not None and _same_bytes(file.stamp, stamp):
            done = file.complete if file.photo_id is not None else file.failed_by == decoder
            if done and file.stamp.inode == stamp.inode:
                unchanged += 1
                continue
            if done:
                renumbered.append(stamp)
                continue
        fresh.append(stamp)
    if renumbered:  # by a disk that was mounted anew, unless the inode tells that another file was renamed over it
        others = {_identity(file.stamp) for file in known} | {_identity(stamp) for stamp in fresh}
        replaced = [stamp for stamp in renumbered if _identity(stamp) in others]
        unchanged += len(renumbered) - len(replaced)
        fresh += replaced
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
    settled = tuple(stamp for stamp in still_fresh if not held(stamp))
    return Changes(settled, tuple(moved), gone, unchanged, len(still_fresh) - len(settled))


def walk(root: Root) -> Listing | Unlisted:
    """Lists the photos of a root, or says why it cannot be listed (it is offline, never empty: I5)."""
    steps = walking(root)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            listing: Listing | Unlisted = done.value
            return listing


def walking(
    root: Root, parts: Sequence[Part] = WHOLE, *, entering: Entering = lambda folder, is_link: None
) -> Generator[int, None, Listing | Unlisted]:
    """A walk in steps: yields the number of photos found so far after each folder, and returns the listing.

    `parts` may be any folders of the root, there or not; the rules that hold from above apply. A part in which a
    folder is a link is widened to the whole root, for only there it shows which of its places is the first.
    """
    if is_uri(root.path):  # of photos that came in a bundle
        return Unlisted(root.path, "it is no folder of this machine")
    try:
        os.listdir(root.base)
        status = os.stat(root.base)
    except OSError as error:
        return Unlisted(root.path, error.strerror or str(error))
    if root.is_file:
        entering(b"", False)
        return Listing(tuple(_named_file(root.path)), (), _device_of(root.base, status))
    device = _device_of(root.path, status)
    parts = _disjoint(parts)
    walk = _Walk(root.path, entering)
    for part in reversed(parts):
        if (rules := _rules_above(root, part.folder)) is not None:
            walk.begin(part, rules, status)
    while walk.pending:
        walk.step()
        if walk.links and parts != WHOLE:
            return (yield from walking(root, entering=entering))
        yield len(walk.stamps)
    if identity_of(root) != device:
        return Unlisted(root.path, _WENT_AWAY)
    mounts = tuple(mount for mount in walk.mounts if is_mounted(root.path, mount))
    lost = [Unlisted(mount.folder, _WENT_AWAY) for mount in walk.mounts if mount not in mounts]
    return Listing(tuple(walk.stamps), (*walk.unlisted, *lost), device, mounts, parts)


def identity_of(root: Root) -> str | None:
    """By which a folder is known again: its file system and inode. None while it is not there."""
    try:
        return _device_of(root.path, os.stat(root.path))
    except OSError:
        return None


def is_mounted(root: bytes, mount: Mount) -> bool:
    try:
        return str(os.stat(os.path.join(root, mount.folder)).st_dev) == mount.device
    except OSError:
        return False


def _device_of(path: bytes, status: os.stat_result) -> str:
    """The identity of a file system outlives a reboot, which may number devices anew; st_dev does not."""
    system = os.statvfs(path).f_fsid if hasattr(os, "statvfs") else 0
    return f"{system or status.st_dev}:{status.st_ino}"


def _disjoint(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Without those that another one covers, sorted."""
    deep = sorted({part.folder for part in parts if part.deep})
    kept: list[Part] = []
    for folder in deep:
        if not kept or not _is_below(folder, kept[-1].folder):
            kept.append(Part(folder))
    tops = {part.folder for part in kept}
    flat = {part.folder for part in parts if not part.deep and not any(_is_below(part.folder, top) for top in tops)}
    return tuple(sorted([*kept, *(Part(folder, deep=False) for folder in flat)]))


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
        relative = path[len(self.folder) :].lstrip(SEPARATOR)
        text = os.fsdecode(relative) + ("/" if is_folder else "")
        return self.spec.check_file(text).include


def _is_excluded(rules: Sequence[_Rules], path: bytes, *, is_folder: bool) -> bool:
    """The first of `rules` that says anything decides."""
    verdicts = (rule.verdict(path, is_folder=is_folder) for rule in rules)
    return next((verdict for verdict in verdicts if verdict is not None), False)


def _rules_above(root: Root, folder: bytes) -> list[_Rules] | None:
    """The rules that hold in a folder before its own ignore file; None where they exclude it."""
    rules = [_Rules(b"", pathspec.GitIgnoreSpec.from_lines(root.exclude))]
    if not folder:
        return rules
    above = b""
    for name in folder.split(SEPARATOR):
        rules = [rules[0], *_rules_in(os.path.join(root.path, above), above), *rules[1:]]
        above = above + SEPARATOR + name if above else name
        if is_skipped(name) or _is_excluded([rule for rule in rules if rule.spec.patterns], above, is_folder=True):
            return None
    return rules


class _Pending(NamedTuple):
    part: Part
    rules: list[_Rules]
    device: int
    is_link: bool


class _Walk:
    """What one walk has found so far, and the folders it has still to list.

    `visited` holds real folders, so that links cannot loop. Rules are the root's own, then those of ignore files
    from the nearest to the highest. `pending` is a stack, for folders may be nested deeper than Python calls.
    """

    def __init__(self, base: bytes, entering: Entering) -> None:
        self._base = base
        self._entering = entering
        self._visited: set[tuple[int, int]] = set()
        self.pending: list[_Pending] = []
        self.stamps: list[Stamp] = []
        self.unlisted: list[Unlisted] = []
        self.mounts: list[Mount] = []
        self.links = False

    def begin(self, part: Part, rules: list[_Rules], status: os.stat_result) -> None:
        """Puts a part of the root on the list, if it is there; `status` is the root's."""
        path = os.path.join(self._base, part.folder) if part.folder else self._base
        is_link = bool(part.folder) and os.path.islink(path)
        above = status
        try:
            if part.folder:
                above = os.stat(os.path.dirname(path))
                status = os.stat(path)
        except OSError as error:
            if error.errno not in _ABSENT:  # whatever else it is proves nothing
                self.unlisted.append(Unlisted(part.folder, error.strerror or str(error)))
            return
        if not stat.S_ISDIR(status.st_mode):
            return
        self.links = self.links or (is_link and part.deep)
        self._visited.add((status.st_dev, status.st_ino))
        self._note_mount(part.folder, status.st_dev, above.st_dev, is_link)
        self.pending.append(_Pending(part, rules, status.st_dev, is_link))

    def step(self) -> None:
        """Lists the next folder: its photos, sorted, so that a run is repeatable; its folders become pending."""
        (folder, deep), rules, device, is_link = self.pending.pop()
        path = os.path.join(self._base, folder) if folder else self._base
        self._entering(folder, is_link)
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            # It vanished since it was seen, or the whole root did, which is looked at in the end.
            if error.errno not in _ABSENT:
                self.unlisted.append(Unlisted(folder, error.strerror or str(error)))
            return
        if any(entry.name == IGNORE_FILE for entry in entries):
            rules = [rules[0], *_rules_in(path, folder), *rules[1:]]
        deciding = [rule for rule in rules if rule.spec.patterns]
        folders: list[_Pending] = []
        stamps: list[Stamp] = []
        unseen: OSError | None = None
        for entry in entries:
            name = entry.name
            if is_skipped(name):
                continue
            below = folder + SEPARATOR + name if folder else name
            try:
                if entry.is_dir():
                    if deep and not _is_excluded(deciding, below, is_folder=True):
                        status = entry.stat()
                        if (status.st_dev, status.st_ino) not in self._visited:
                            self._visited.add((status.st_dev, status.st_ino))
                            self.links = self.links or entry.is_symlink()
                            self._note_mount(below, status.st_dev, device, entry.is_symlink())
                            folders.append(_Pending(Part(below), rules, status.st_dev, entry.is_symlink()))
                    continue
                if not is_listed(name):
                    continue
                status = entry.stat()
            except OSError as error:
                # It vanished since it was listed, or is a link to nowhere: there is no file. All else proves nothing.
                if error.errno not in _ABSENT:
                    unseen = error
                continue
            # A FIFO named photo.jpg would block its reader for ever.
            if stat.S_ISREG(status.st_mode) and not (deciding and _is_excluded(deciding, below, is_folder=False)):
                stamps.append(Stamp(folder, name, status.st_size, status.st_mtime_ns, status.st_ino))
        self.stamps += one_of_each(stamps)
        if unseen is not None:
            self.unlisted.append(Unlisted(folder, unseen.strerror or str(unseen)))
        self.pending.extend(reversed(folders))

    def _note_mount(self, folder: bytes, device: int, above: int, is_link: bool) -> None:
        if device != above:
            self.mounts.append(Mount(folder, str(device), is_link))


def is_pattern(line: str) -> bool:
    """Whether a line of an ignore file can be understood; git leaves out those that cannot."""
    try:
        pathspec.GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _rules_in(path: bytes, folder: bytes) -> Iterator[_Rules]:
    try:
        with open(os.path.join(path, IGNORE_FILE), encoding="utf-8", errors="surrogateescape") as lines:
            yield _Rules(folder, pathspec.GitIgnoreSpec.from_lines(filter(is_pattern, lines.read().splitlines())))
    except OSError:  # an ignore file that vanished or cannot be read excludes nothing
        return


def _same_bytes(known: Stamp, seen: Stamp) -> bool:
    # Not the inode: network and FUSE disks make new ones at each mount.
    return (known.size, known.mtime_ns) == (seen.size, seen.mtime_ns)


def _identity(stamp: Stamp) -> tuple[int, int, int]:
    return stamp.inode, stamp.size, stamp.mtime_ns


def is_within(folder: bytes, part: Part) -> bool:
    return _is_below(folder, part.folder) if part.deep else folder == part.folder


def _is_below_any(folder: bytes, parents: Sequence[bytes]) -> bool:
    return any(_is_below(folder, parent) for parent in parents)


def _is_below(folder: bytes, parent: bytes) -> bool:
    """By name; a folder counts as below itself."""
    return not parent or folder == parent or folder.startswith(parent + SEPARATOR)
