"""What a bundle says: its rows, and what holds for all of them. Plain data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from clipsearch.bundles.shard import ALL, Shard
from clipsearch.types import Metadata, SpaceIdentity

DIGEST_BYTES = 32  # SHA-256
SEPARATOR = b"/"  # between the names of a path, on every system

_ABSOLUTE = re.compile(rb"/|[A-Za-z]:[/\\]|\\\\")
_ASTRAY = re.compile(rb"(?:^|/)\.{0,2}(?:/|$)")  # an empty name, this folder or the one above
_ASTRAY_AMONG = re.compile(rb"(?:^|[/\0])\.{0,2}(?:[/\0]|$)")  # the same, of paths joined by NUL
_URI = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: one is a drive


class Unreadable(Exception):
    """Says what is wrong with what should be a bundle, or a part of one."""


class NoBundle(Unreadable):
    """Nothing of it looks like a bundle."""


class Newer(Unreadable):
    """Only a newer clipsearch knows what it holds."""


class Place(NamedTuple):
    """Where the bytes of a row lay, and how they looked there.

    `root` is the folder that was named, as an absolute path, and `path` leads from it to the file; it is empty where
    the root is the file itself. Or the root is a URI (`is_uri`): a bucket (s3://archive/2024), the inside of a tar
    (tar:/mnt/nas/00001.tar!). A library shows those as they are, and looks for nothing there.
    """

    root: bytes
    path: bytes
    size: int = 0  # bytes; 0 for these three where nobody can tell
    mtime_ns: int = 0
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Photo:
    """A content with its vector. Those with the same digest are one photo, whichever comes first."""

    place: Place
    digest: bytes
    metadata: Metadata
    vector: bytes  # little-endian f16, of length 1 before it was rounded
    variant: str  # precision and runtime that made it: "fp32/onnxruntime-cpu"


@dataclass(frozen=True, slots=True)
class Copy:
    """Another file with the bytes of a photo of this bundle (B4)."""

    place: Place
    digest: bytes


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that gave no photo, and why."""

    place: Place
    reason: str
    decoder: str  # the one that failed: another one may try again; empty where it was the disk's or the network's fault


Row: TypeAlias = Photo | Copy | Unread


@dataclass(frozen=True, slots=True)
class Header:
    """What holds for all rows of a bundle, and stands in each of its parts."""

    model: SpaceIdentity
    description: int  # index.catalog.DESCRIPTION of the program that described the photos
    program: str  # version of clipsearch
    shard: Shard = ALL  # which share of the folders it was asked for
    folders: tuple[tuple[bytes, tuple[str, ...]], ...] = ()  # that were named, and the patterns left out of each


def wrong_place(place: Place) -> str | None:
    """What is wrong with it; None for one that a library can have. The same rule for who writes and who reads."""
    if b"\0" in place.root or b"\0" in place.path:
        return "a path has a NUL in it"
    if _ABSOLUTE.match(place.root):
        return "a path leads out of its root" if place.path and _ASTRAY.search(place.path) else None
    if not is_uri(place.root):
        return "a root is no absolute path"
    # Names in a bucket may be anything, and nothing is looked for there.
    return None if place.path.rpartition(SEPARATOR)[2] else "a URI names no file in it"


def are_plain(root: bytes, paths: Sequence[bytes]) -> bool:
    """Whether nothing is wrong with any of these paths below `root`: one look at all of them, for those who read many.

    Where it says no, `wrong_place` tells of each.
    """
    joined = b"\0".join(paths)
    return (
        _ABSOLUTE.match(root) is not None
        and b"\0" not in root
        and joined.count(b"\0") == len(paths) - 1
        and _ASTRAY_AMONG.search(joined) is None
    )


def is_uri(root: bytes) -> bool:
    """Whether a root is no place of any file system."""
    return _URI.match(root) is not None
