"""SHA-256 of files, read a little ahead on threads of their own, and what that costs.

Knows nothing of photos; ingest.py asks it what a file is before anything is decoded. A disk may never answer, and a
thread that waits for it cannot be ended: it is left behind, and neither the run nor the process waits for it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue

from clipsearch.types import Failure

THREADS = 4  # reading is waiting; hashing releases the interpreter lock
SILENCE_S = 60.0  # a sleeping disk takes 15 s to spin up, a share whose server was restarted half a minute
MAX_BYTES = 4_000_000_000  # 200 megapixels, the most that is decoded, take 1.6 GB with 16 bits in four channels

_CHUNK = 1 << 20
_LEAVE_S = 1.0  # that a thread may take to see that it is not wanted any more


@dataclass(slots=True, eq=False)
class Hashing:
    """A file on its way. `outcome` is its digest, or why there is none."""

    path: bytes
    outcome: Future[bytes | Failure] = field(default_factory=Future)
    heard_at: float | None = None  # monotonic; when the disk last brought anything, None before it was asked
    is_dropped: bool = False

    @property
    def is_silent(self) -> bool:
        return self.heard_at is not None and time.monotonic() - self.heard_at > SILENCE_S


class Digests:
    """Use as a context manager; leaving drops what is not done."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Hashing | None] = SimpleQueue()
        self._on_their_way: set[Hashing] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()  # of the two that follow
        self._waited_s = self._hashed_s = 0.0

    def __enter__(self) -> Digests:
        for _ in range(THREADS):
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        for hashing in list(self._on_their_way):
            hashing.is_dropped = True
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + _LEAVE_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    @property
    def waited_s(self) -> float:
        """Seconds that threads waited for the disk, all together."""
        return self._waited_s

    @property
    def hashed_s(self) -> float:
        """Core-seconds."""
        return self._hashed_s

    def submit(self, path: bytes) -> Hashing:
        hashing = Hashing(path)
        self._on_their_way.add(hashing)
        self._waiting.put(hashing)
        return hashing

    def take(self, hashing: Hashing) -> bytes | Failure:
        """The outcome of what is done; what is not, for its disk is silent, is left behind, and its thread replaced."""
        if hashing.outcome.done():
            return hashing.outcome.result()
        hashing.is_dropped = True
        self._start()
        return Failure(f"the disk did not answer for {SILENCE_S:g} s", fatal=True, lasting=False)

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name="hash", daemon=True)  # the process does not wait for it
        self._threads.add(thread)
        thread.start()

    def _serve(self) -> None:
        while (hashing := self._waiting.get()) is not None:
            if not hashing.is_dropped:
                try:
                    hashing.outcome.set_result(self._timed(hashing))
                except Exception as error:  # not a file's: the run ends with it
                    hashing.outcome.set_exception(error)
            self._on_their_way.discard(hashing)
            if hashing.is_dropped:
                return  # another one has taken this one's place, or all are leaving

    def _timed(self, hashing: Hashing) -> bytes | Failure:
        wall, core = time.monotonic(), time.thread_time()
        hashing.heard_at = wall
        try:
            return _digest(hashing)
        finally:
            hashed = time.thread_time() - core
            waited = time.monotonic() - wall - hashed
            with self._lock:
                self._hashed_s += hashed
                self._waited_s += waited


def _digest(hashing: Hashing) -> bytes | Failure:
    digest = hashlib.sha256()
    try:
        with open(hashing.path, "rb", buffering=0) as handle:
            size = os.fstat(handle.fileno()).st_size
            if size > MAX_BYTES:
                return Failure(f"it has {size / 1e9:.1f} GB; {MAX_BYTES / 1e9:g} are the limit")
            while not hashing.is_dropped and (chunk := handle.read(_CHUNK)):
                digest.update(chunk)
                hashing.heard_at = time.monotonic()
    except OSError as error:
        return Failure((error.strerror or str(error)).lower(), lasting=False)
    return digest.digest()  # of what was read until it was dropped; nobody asks for that
