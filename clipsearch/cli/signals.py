"""Ctrl-C and its like, for verbs that work until they are told to stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from clipsearch.errors import Exit


@contextmanager
def interruptible(
    message: str = "Stopping after the photos in hand; Ctrl-C again leaves at once.",
) -> Iterator[list[int]]:
    """The first Ctrl-C, SIGTERM or SIGHUP fills the list; the second ends the process at once, which is safe too."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received:
            # Not an exception: that would wait for threads which read from a disk that does not answer.
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h")  # the live line has hidden the cursor
            os._exit(Exit.INTERRUPTED)
        received.append(number)
        # Past sys.stderr, which may be in the middle of a line when a signal comes.
        os.write(2, f"\n{message}\n".encode())

    # A program under nohup ignores SIGHUP, and is to go on ignoring it.
    hangup = [signal.SIGHUP] if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else []
    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM, *hangup)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def noticed_interrupts() -> Iterator[list[int]]:
    """KeyboardInterrupt as always; the list is filled too, for one that is raised in a callback is swallowed there."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
