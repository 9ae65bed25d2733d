"""A thread that owns one Library and answers for it; the event loop awaits and never blocks.

A Library's SQLite connections belong to the thread that opened them, so each Asker has exactly one thread. Awaiting
inside an exclusive worker is what drops stale answers: cancelling the worker takes a call that waits out of the queue,
and lets the answer of one that runs go nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from clipsearch.config import Paths

if TYPE_CHECKING:  # numpy and what hangs on it load in the thread, after the first paint
    from clipsearch.library import Library

Answered = TypeVar("Answered")


class Asker:
    """Runs calls one after the other on its own thread, where its Library is opened by the first of them."""

    def __init__(self, paths: Paths, backend: str, threads: int, purpose: str) -> None:
        self._paths = paths
        self._backend = backend
        self._threads = threads
        self._library: Library | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"clipsearch {purpose}")

    async def ask(self, call: Callable[[Library], Answered]) -> Answered:
        """What `call` returns or raises, off the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, call)

    async def close(self) -> None:
        """Closes the Library on its thread, after the call that runs there."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._closed)
        self._thread.shutdown(wait=False)

    def _closed(self) -> None:
        if self._library is not None:
            self._library.close()
            self._library = None

    def _run(self, call: Callable[[Library], Answered]) -> Answered:
        if self._library is None:
            from clipsearch.library import Library

            self._library = Library(self._paths, backend=self._backend, threads=self._threads)
        return call(self._library)
