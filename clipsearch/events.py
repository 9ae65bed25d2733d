"""What happens while a library is indexed or watched, in the order in which it comes. Plain data, as in types.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipsearch.types import Watching


@dataclass(frozen=True, slots=True)
class Scanning:
    """A root is being listed."""

    root: bytes
    files: int = 0  # found so far


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another process writes to the library; this one goes on when it has finished."""

    holder: str


@dataclass(frozen=True, slots=True)
class Measuring:
    """The ways to run the model on this machine are being tried, once."""

    seconds: float  # at most


@dataclass(frozen=True, slots=True)
class Planned:
    """One root, or the part of it that changed, was compared with what is known."""

    root: bytes
    files: int
    unchanged: int
    fresh: int  # new or changed: their bytes must be read
    moved: int
    gone: int
    held: int = 0  # still being written


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A root or a folder that could not be listed; what is known of it stays searchable."""

    path: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Troubled:
    """A watcher could not do its work; it tries again by itself."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """Some files were committed. `waiting_for` is the oldest file not answered for."""

    done: int
    total: int
    failed: int
    waiting_for: bytes | None


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of an index run went. Core-seconds are those of all cores together; they overlap."""

    read: float = 0.0  # seconds that threads waited for the disk
    hash: float = 0.0  # core-seconds
    decode: float = 0.0  # core-seconds, in the workers
    prepare: float = 0.0  # core-seconds, in the workers: to the model's size, cropped
    encode: float = 0.0  # core-seconds
    store: float = 0.0  # seconds of commits and of the checkpoint


@dataclass(frozen=True, slots=True)
class Summary:
    """What an index run did. Files, not photos; `seconds` is wall time."""

    indexed: int = 0  # new contents encoded
    unchanged: int = 0
    moved: int = 0
    duplicates: int = 0  # linked to a content already known
    removed: int = 0
    failed: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    offline: tuple[bytes, ...] = field(default=())
    timings: Timings = field(default=Timings())
    unsettled: int = 0  # not read for a reason that may pass, most of them among `failed`: the next run tries again
    bundle: bytes | None = None  # the folder of the bundle, where it did not go into a library


Event = Waiting | Scanning | Measuring | Planned | Unlisted | Advanced | Summary


WatchEvent = Watching | Troubled | Event
