"""SHA-256 of files, read a little ahead on threads of their own, and what that costs.

Knows nothing of photos; ingest.py asks it what a file is before anything is decoded.
"""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from clipsearch.types import Failure

THREADS = 4  # reading is waiting; hashing releases the interpreter lock


class Digests:
    """Use as a context manager; leaving drops what was not begun."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hash")
        self._lock = threading.Lock()  # of the two that follow
        self._waited_s = self._hashed_s = 0.0

    def __enter__(self) -> Digests:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    @property
    def waited_s(self) -> float:
        """Seconds that threads waited for the disk, all together."""
        return self._waited_s

    @property
    def hashed_s(self) -> float:
        """Core-seconds."""
        return self._hashed_s

    def submit(self, path: bytes) -> Future[bytes | Failure]:
        return self._threads.submit(self._timed, path)

    def _timed(self, path: bytes) -> bytes | Failure:
        wall, core = time.monotonic(), time.thread_time()
        try:
            return _digest(path)
        finally:
            hashed = time.thread_time() - core
            waited = time.monotonic() - wall - hashed
            with self._lock:
                self._hashed_s += hashed
                self._waited_s += waited


def _digest(path: bytes) -> bytes | Failure:
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").digest()
    except OSError as error:
        return Failure((error.strerror or str(error)).lower())
