"""What a source of events is, whichever the system has."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from clipsearch.index.catalog import Root


class OutOfWatches(Exception):
    """Why a root cannot be watched by events; one sentence for a person."""


class Source(Protocol):
    """Tells Notes where something happens."""

    @property
    def name(self) -> str: ...
    @property
    def is_alive(self) -> bool: ...
    def count(self, root_id: int) -> int:
        """How many folders of the root bring events."""

    def enter(self, root: Root, folder: bytes, is_link: bool) -> None:
        """Called before a folder is listed, each time: what happens from now on is told. Raises OutOfWatches."""

    def leave(self, root_id: int, folder: bytes = b"", *, but: Set[bytes] = frozenset()) -> None:
        """The folder, and all below it, is not told of any more, except for the folders of `but`."""

    def close(self) -> None: ...
