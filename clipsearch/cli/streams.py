"""stdin, stdout and stderr, made ready: closed ones, encodings that lack a character, readers that go away.

Knows nothing of what is written to them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from clipsearch.errors import SystemFault

SIGPIPE = getattr(signal, "SIGPIPE", 13)  # Windows has none
READER_GONE = 128 + SIGPIPE  # as the shell has it for a program that SIGPIPE has ended


class ReaderGone(Exception):
    """Whoever read stdout has seen enough (`| head`). Not an OSError: click ends with 1 for those."""


@contextmanager
def reader_may_go() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone from error


def ready_streams() -> None:
    """Raises SystemFault where stdout is closed; a closed stdin is empty, a closed stderr is heard by nobody."""
    # Typed as never None, and None where the descriptor was closed before the start.
    streams: dict[str, TextIO | None] = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    # The lowest free descriptors are those that were closed, so that no file of the library gets one of them.
    if streams["stdin"] is None:
        sys.stdin = open(os.open(os.devnull, os.O_RDONLY), encoding="utf-8", closefd=False)  # noqa: SIM115  # for good
    if streams["stderr"] is None:
        sys.stderr = open(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for good
    if streams["stdout"] is None:
        raise SystemFault("There is nowhere to write to: stdout is closed.", "Open it, if only on /dev/null.")
    for stream in (sys.stdout, sys.stderr):
        if not is_utf8(stream):  # a table with \u25cf in it is better than half a table
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # both are TextIOWrapper


def is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").replace("-", "").lower() == "utf8"


def forget_stdout() -> None:
    """Python would complain once more about the reader that is gone when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
