"""Garbage is collected when nobody types.

A screen of pictures is some ten thousand small objects, and Python's full collection walks over all that there are,
100 ms on a slow machine, about once a second while keys come. Young objects are collected as ever; a full collection
waits until no key has come for a while.
"""

from __future__ import annotations

import gc
import time

CHECK_S = 2.0  # how often somebody should call `collect_if_quiet`
_QUIET_S = 3.0
_NEVER = 100_000  # collections of the middle generation before a full one


class QuietCollector:
    """Holds back full collections from its making to `close`."""

    def __init__(self) -> None:
        self._thresholds = gc.get_threshold()
        gc.set_threshold(self._thresholds[0], self._thresholds[1], _NEVER)
        gc.freeze()  # what importing made stays until the end
        self._touched_at: float | None = None  # on the monotonic clock; None: nothing since the last collection

    def touch(self) -> None:
        """A key, or the mouse."""
        self._touched_at = time.monotonic()

    def collect_if_quiet(self) -> None:
        if self._touched_at is not None and time.monotonic() - self._touched_at >= _QUIET_S:
            self._touched_at = None
            gc.collect()

    def close(self) -> None:
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)
