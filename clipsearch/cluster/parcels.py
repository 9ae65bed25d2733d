"""What passes between driver, readers and actors. Plain data that can be pickled; knows no Ray and no file system."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

from clipsearch.bundles.rows import Place, Row
from clipsearch.types import Failure

NETWORK = ""  # the decoder of an Unread row that a disk or the network is to blame for: the next run tries again


@dataclass(frozen=True, slots=True)
class Item:
    """One input: a file that the actor finds itself, its bytes, or why it could not be had. One of the three is set."""

    place: Place
    path: bytes | None = None
    data: bytes | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """Files by their places. Those without a store are found by actors on their own disks."""

    places: tuple[Place, ...]
    store: Store | None = None


@dataclass(frozen=True, slots=True)
class Tar:
    """A tar, compressed or not, in the way of WebDataset: its pictures count, whatever lies beside them."""

    root: bytes  # of the places: tar:/mnt/nas/00001.tar!
    store: Store
    path: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A row group of a Parquet table."""

    root: bytes  # of places that have no URI of their own
    store: Store
    path: str
    group: int


Input: TypeAlias = Files | Tar | Rows


@dataclass(frozen=True, slots=True)
class Store:
    """A file system and how its files are called outside."""

    prefix: str  # before a path of it, to make a URI: "s3://"; empty for the local one
    system: Any  # pyarrow.fs.FileSystem, which pickles


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one reader hands out."""

    number: int
    input: Input
    done: frozenset[bytes] = frozenset()  # of items that have their row: mark_of(place)
    most: int = 128  # items in a chunk


@dataclass(frozen=True, slots=True)
class End:
    """In the last chunk of a parcel: how many items its reader has handed out, and how many it left out, as done or as
    named before."""

    items: int
    done: int
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one actor encodes at a time, and what is lost with it."""

    parcel: int
    items: tuple[Item, ...]
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a chunk."""

    parcel: int
    rows: tuple[Row, ...]
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why nothing can be encoded at all: an error of ours, or one that is nobody's."""

    kind: str  # name of the class in clipsearch.errors; empty for a mistake of clipsearch
    message: str
    hint: str


def mark_of(place: Place) -> bytes:
    """By which an item is known again: 8 bytes of where it lies, 8 of how it looked there."""
    return _hashed(place.root + b"\0" + place.path) + _hashed(b"%d %d" % (place.size, place.mtime_ns))


def _hashed(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=8).digest()
