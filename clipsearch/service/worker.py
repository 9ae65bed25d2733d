"""The one thread that owns a warm library: SQLite connections and models belong to a thread, so questions queue.

An answer that comes in pieces is made piece by piece, and other questions have their turn in between.
Knows no HTTP.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import TypeVar

from clipsearch.config import Paths
from clipsearch.errors import ClipsearchError, SystemFault
from clipsearch.library import Library

T = TypeVar("T")
Said = TypeVar("Said")

logger = logging.getLogger(__name__)

_NO_FOLDER = os.sep.encode()


class Worker(AbstractContextManager["Worker"]):
    """The library of `paths`, for any thread to ask. Leaving the context waits for the present turn only."""

    def __init__(self, paths: Paths) -> None:
        self._library = Library(paths)
        self._thread = ThreadPoolExecutor(1, "clipsearch-library")
        self._ending = False

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.submit(self._library.close)
        self._thread.shutdown()

    def call(self, job: Callable[[Library], T], cwd: bytes = _NO_FOLDER) -> T:
        """What `job` returns. Relative paths in it are relative to `cwd`. Raises ClipsearchError and nothing else."""
        return self._asked(job, cwd).result()

    def stream(
        self, job: Callable[[Library, Callable[[Said], None]], Iterable[T]], cwd: bytes = _NO_FOLDER
    ) -> Generator[T | Said, None, None]:
        """What `job` yields, one piece a turn, and in between what it says by the function it gets, at once."""
        said: SimpleQueue[Said | None] = SimpleQueue()  # whoever is slow to read it keeps no turn waiting

        def pieces(library: Library) -> Generator[T, None, None]:
            yield from job(library, said.put)

        made = pieces(self._library)
        try:
            while True:
                turn = self._asked(lambda _: _next(made), cwd)
                turn.add_done_callback(lambda _: said.put(None))
                yield from iter(said.get, None)
                if (piece := turn.result()) is None:
                    return
                yield piece[0]
        finally:
            if not self._ending:
                self.call(lambda _: made.close())

    def _asked(self, job: Callable[[Library], T], cwd: bytes) -> Future[T]:
        def turn() -> T:
            if self._ending:
                raise _ended()
            # No other thread looks at relative paths, so the folder of the process is this one's to change.
            _enter(cwd)
            try:
                with _errors_in_words():
                    return job(self._library)
            finally:
                os.chdir(_NO_FOLDER)  # or the disk of `cwd` could not be unmounted

        try:
            return self._thread.submit(turn)
        except RuntimeError as error:  # the thread takes no more
            raise _ended() from error


@contextlib.contextmanager
def _errors_in_words() -> Iterator[None]:
    """The boundary: whoever asks is told, and the next question has its turn."""
    try:
        yield
    except ClipsearchError:
        raise
    except OSError as error:
        place = f": {os.fsdecode(error.filename)}" if error.filename else ""
        raise SystemFault(f"{error.strerror or error}{place}", "Check the disk and its permissions.") from error
    except Exception as error:
        logger.exception("a question met a mistake of clipsearch")
        raise SystemFault(
            f"{type(error).__name__}: {error}. This is a mistake of clipsearch.",
            "Report it with the traceback that the service has written.",
        ) from error


def _next(pieces: Iterator[T]) -> tuple[T] | None:
    for piece in pieces:
        return (piece,)
    return None


def _enter(folder: bytes) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise SystemFault(
            f"The service cannot enter {os.fsdecode(folder)} ({error.strerror}), where relative paths begin.",
            "Ask from another folder.",
        ) from error


def _ended() -> SystemFault:
    return SystemFault("The service is ending.", "Ask again.")
