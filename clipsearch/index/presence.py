"""Whether what lies at a path is what is known: a disk that is unplugged is offline, never emptied (I5).

Decides about roots and about disks inside them, from a listing and what the catalog knows. Writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from clipsearch.events import Unlisted
from clipsearch.index.catalog import KnownFile, Mount, Part, Root
from clipsearch.index.crawl import Listing, is_mounted, is_within


@dataclass(frozen=True, slots=True)
class Disks:
    """The disks inside a root, as far as it was listed."""

    there: tuple[Mount, ...]
    unplugged: tuple[Mount, ...]
    forgotten: tuple[bytes, ...]  # folders that are no disk of their own any more

    @property
    def unlisted(self) -> list[Unlisted]:
        return [Unlisted(mount.folder, "its disk is not there") for mount in self.unplugged]


def why_another(root: Root, listing: Listing, known: Sequence[KnownFile]) -> str | None:
    """Why this cannot be the root that is known; None if it is.

    An unmounted disk leaves another folder behind. A root is known again by its file system and inode or, where
    those were numbered anew, by any of its files. The same folder with none of them was emptied by somebody.
    """
    if not known or root.device is None or listing.device in (root.device, None):
        return None
    seen = {(stamp.folder, stamp.name) for stamp in listing.stamps}
    if any((file.stamp.folder, file.stamp.name) in seen for file in known):
        return None
    if root.is_file:
        return "another folder is in the place of its own, without it"
    if not listing.stamps:
        return "an empty folder is in its place"
    return "another folder is in its place, with none of its photos"


def disks(root: Root, stored: Sequence[Mount], listing: Listing, known: Sequence[KnownFile]) -> Disks:
    """Compares the disks that were there with those that are, by the same rule."""
    found = {mount.folder: mount for mount in listing.mounts}
    unplugged = [
        mount
        for mount in stored
        if _covers(listing, mount.folder)
        and (mount.folder not in found or found[mount.folder].device != mount.device)
        and not (mount.is_link and not os.path.lexists(os.path.join(root.path, mount.folder)))  # a link taken away
        and _has_lost_all(mount, listing, known)
    ]
    away = {mount.folder for mount in unplugged}
    unsure = {one.path for one in listing.unlisted}
    return Disks(
        there=tuple(mount for mount in listing.mounts if mount.folder not in away),
        unplugged=tuple(unplugged),
        forgotten=tuple(
            mount.folder
            for mount in stored
            if _covers(listing, mount.folder) and mount.folder not in {*away, *found, *unsure}
        ),
    )


def around_unplugged(root: Root, stored: Sequence[Mount], parts: Sequence[Part]) -> list[Part]:
    """The parts, widened where they lie on a disk that is not there: only the whole of it can be offline."""
    away = [Part(mount.folder) for mount in stored if not is_mounted(root.path, mount)]
    return [next((one for one in away if is_within(part.folder, one)), part) for part in parts]


def _covers(listing: Listing, folder: bytes) -> bool:
    return any(part.deep and is_within(folder, part) for part in listing.parts)


def _has_lost_all(mount: Mount, listing: Listing, known: Sequence[KnownFile]) -> bool:
    """Whether photos of this disk are known, and none of them was seen."""
    below = Part(mount.folder)
    files = {(file.stamp.folder, file.stamp.name) for file in known if is_within(file.stamp.folder, below)}
    return bool(files) and not any((stamp.folder, stamp.name) in files for stamp in listing.stamps)
