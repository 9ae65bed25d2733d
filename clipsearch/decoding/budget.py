"""How much memory decoding may take, all files together: a budget in bytes, not a count of files.

Files say what they need from their headers (decode.py) and wait here until it is free, in the order they came.
Knows nothing of files and processes.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

WORKER_BYTES = 256 << 20  # a worker's part of what all may take together: two photos of 24 megapixels as PNG, turned
FILE_BYTES = 2_500_000_000  # what one file may take, alone: a scan of 200 megapixels in colour takes 2.0 GB
_SHARE = 4  # a quarter of the machine's memory; the rest is the model's and other people's
_UNKNOWN_BYTES = 8 << 30  # Windows does not say; most machines have it


class Budget:
    """Bytes that are taken and given back. What is larger than the whole budget is let through alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def taking(self, count: int) -> Iterator[None]:
        """Waits until `count` bytes are free and all who came before have got theirs, so a large file is not passed by
        small ones for ever."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._closed or (self._queue[0] is ticket and self._fits(count)))
            self._queue.remove(ticket)
            self._taken += count
            self._changed.notify_all()  # the next one may fit too
        try:
            yield
        finally:
            with self._changed:
                self._taken -= count
                self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more; what those who waited go on to do has been ended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, count: int) -> bool:
        return not self._taken or self._taken + count <= self._limit


def total_bytes(workers: int) -> int:
    return min(workers * WORKER_BYTES, machine_bytes() // _SHARE)


def file_bytes() -> int:
    return min(FILE_BYTES, machine_bytes() // _SHARE)


def machine_bytes() -> int:
    """The machine's memory, or what the container may have of it."""
    try:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        physical = _UNKNOWN_BYTES
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as limit:
            return min(physical, int(limit.read()))
    except (OSError, ValueError):  # no control groups, or "max"
        return physical
