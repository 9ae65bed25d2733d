"""What the engine says by itself, as lines for a person: why `auto` took another way, and what takes minutes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clipsearch.cli.output import narrate, printable, tell
from clipsearch.cli.voice import is_verbose

_SPEAKERS = tuple(map(logging.getLogger, ("clipsearch.engine", "clipsearch.encoding")))


@contextmanager
def noticed(write: Callable[[str], None] = narrate, warn: Callable[[str], None] = tell) -> Iterator[None]:
    """While it is open, warnings go to `warn` and the rest to `write`; details only with --verbose.

    One inside another takes over, as a live line must, or it would be written into.
    """
    before = [(speaker, speaker.handlers, speaker.level) for speaker in _SPEAKERS]
    for speaker in _SPEAKERS:
        speaker.handlers = [_Lines(write, warn)]
        speaker.setLevel(logging.DEBUG if is_verbose() else logging.INFO)
    try:
        yield
    finally:
        for speaker, handlers, level in before:
            speaker.handlers = handlers
            speaker.setLevel(level)


class _Lines(logging.Handler):
    def __init__(self, write: Callable[[str], None], warn: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write
        self._warn = warn

    def emit(self, record: logging.LogRecord) -> None:
        say = self._warn if record.levelno >= logging.WARNING else self._write
        say(printable(record.getMessage()))
