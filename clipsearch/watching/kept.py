"""A root that is watched: how, when it is looked at next, and when what could not be read is tried again.

Looks at nothing itself; the loop does, and tells it what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from clipsearch.index.catalog import ALL, Part, Root
from clipsearch.watching.settling import Looks


@dataclass(slots=True)
class Kept:
    """Times are on the monotonic clock."""

    root: Root
    why_polled: str | None
    look_at: float  # when it is looked at whatever the events say
    every_s: float
    looks: Looks
    again: tuple[Part, ...] = ()  # folders of files that may still be written, of which there are no events
    again_at: float = float("inf")
    retry_at: float = 0.0  # when files that the disk would not give are read anew; polls in between leave them
    retry_s: float = 0.0
    identity: str | None = None  # when it was last looked at
    is_new: bool = True  # it was not looked at as a whole yet
    is_offline: bool = False
    told: tuple[str, str | None] | None = None  # backend and reason

    def is_retrying(self, parts: Sequence[Part]) -> bool:
        """Whether a look at these parts reads anew what the disk would not give."""
        return self.why_polled is None or ALL not in parts or time.monotonic() >= self.retry_at

    def back_off(self, parts: Sequence[Part], failed: int, longest_s: float) -> None:
        """After a look that has retried: a file that nobody may read is not read at each poll for ever."""
        now = time.monotonic()
        if failed and now >= self.retry_at:
            self.retry_s = min(2 * max(self.retry_s, self.every_s), longest_s)
            self.retry_at = now + self.retry_s
        elif not failed and not self.again and ALL in parts:  # none is left, nor held back for the next look
            self.retry_s = 0.0
