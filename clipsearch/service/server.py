"""The process that serves one library: where it listens, its record, how long it stays. `handler` reads and writes.

The socket is guarded by its mode, the port by a token; nothing but 127.0.0.1 is ever bound. One server a library,
by an OS lock; whoever holds it may take away what a killed one has left.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import socket
import socketserver
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clipsearch import __version__
from clipsearch.config import Paths, platform_folder
from clipsearch.errors import LibraryError, SystemFault
from clipsearch.files import exclusive_lock
from clipsearch.library import Library
from clipsearch.service.handler import Guard, Handler
from clipsearch.service.record import Record, record_path, write_record
from clipsearch.service.worker import Worker

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
GRACE_S = 3.0  # for answers that are being written when the service ends
MAX_SOCKET_PATH_BYTES = 100  # macOS takes 103, Linux 107


def serve(paths: Paths, *, port: int | None, idle_s: float, ready: Callable[[str], None]) -> None:
    """Answers until nothing was asked for `idle_s` (0: for ever), or until KeyboardInterrupt, which it lets through.

    `port` None is a Unix socket, 0 a free port. `ready` is told where it listens. Raises LibraryError when there is
    no library or it is served already, ModelError when its model cannot be loaded, SystemFault when it cannot listen.
    """
    activity = Activity(idle_s)
    with contextlib.ExitStack() as stack:
        stack.callback(activity.drain, GRACE_S)
        worker = stack.enter_context(Worker(paths))
        worker.call(Library.status)  # nothing is created where there is no library
        stack.enter_context(exclusive_lock(paths.library / "service.lock", "clipsearch serve", _served_already(paths)))
        worker.call(Library.warm_up)
        guard = Guard(token=None if port is None else secrets.token_urlsafe(32), proof=secrets.token_urlsafe(32))
        server = stack.enter_context(_listening(paths.library, port, worker, guard, activity))
        stack.enter_context(_recorded(paths, server))
        ready(server.place)
        while (rest_s := activity.rest_s()) is None or rest_s > 0:
            server.timeout = rest_s
            server.handle_request()


class Activity:
    """Counts the questions that are being answered, to know since when there was none. A context manager for one."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._running = 0
        self._last = time.monotonic()
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._running -= 1
            self._last = time.monotonic()
            self._changed.notify_all()

    def rest_s(self) -> float | None:
        """How long the service may still wait for a question; None for ever."""
        if not self._idle_s:
            return None
        return self._idle_s if self._running else self._last + self._idle_s - time.monotonic()

    def drain(self, limit_s: float) -> None:
        """Waits until nothing is being answered."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, limit_s)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A listening socket; each connection gets a thread and a Handler. What a handler needs is in the attributes."""

    daemon_threads = True  # one that waits for a slow client does not keep the process
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = os.name == "posix"  # elsewhere it would let another program take the port over

    def __init__(
        self, family: int, address: tuple[str, int] | bytes, worker: Worker, guard: Guard, activity: Activity
    ) -> None:
        self.address_family = family
        self.worker, self.activity = worker, activity
        self.guard = guard
        super().__init__(address, Handler)  # type: ignore[arg-type]  # typeshed knows no address of a Unix socket

    @property
    def socket_path(self) -> bytes | None:
        return os.fsencode(self.server_address) if isinstance(self.server_address, str) else None

    @property
    def port(self) -> int | None:
        return None if isinstance(self.server_address, str) else int(self.server_address[1])

    @property
    def place(self) -> str:
        """Where it listens, for a person."""
        return f"http://{LOOPBACK}:{self.port}" if self.socket_path is None else os.fsdecode(self.socket_path)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a client has left", exc_info=True)


@contextlib.contextmanager
def _listening(library: Path, port: int | None, worker: Worker, guard: Guard, activity: Activity) -> Iterator[Server]:
    """The server on its socket or port, which only the owner can use; takes the socket away in the end."""
    if port is not None:
        with _told_by(f"port {port} of {LOOPBACK}", "Choose another one; --port 0 takes a free one."):
            server = Server(socket.AF_INET, (LOOPBACK, port), worker, guard, activity)
        with server:
            yield server
        return
    if not hasattr(socket, "AF_UNIX"):
        raise SystemFault("This system has no Unix sockets.", "Use a port of this machine: clipsearch serve --port 0")
    path = socket_path(library)
    with _told_by(str(path), "Use a port of this machine: clipsearch serve --port 0"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):  # of a server that was killed, for we hold the lock
                path.unlink()
        mask = os.umask(0o177)
        try:
            server = Server(socket.AF_UNIX, os.fsencode(path), worker, guard, activity)
        finally:
            os.umask(mask)
    with server:
        try:
            yield server
        finally:
            path.unlink(missing_ok=True)


def socket_path(library: Path) -> Path:
    """In the library's folder; in the platform's folder for sockets where that path is too long for one."""
    path = library / "service.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    return platform_folder("runtime") / f"{hashlib.sha256(os.fsencode(library)).hexdigest()[:16]}.sock"


@contextlib.contextmanager
def _told_by(place: str, hint: str) -> Iterator[None]:
    try:
        yield
    except (OSError, OverflowError) as error:  # OverflowError: a port above 65535
        reason = (error.strerror if isinstance(error, OSError) else None) or error  # a path too long has no strerror
        raise SystemFault(f"The service cannot listen on {place} ({reason}).", hint) from error


@contextlib.contextmanager
def _recorded(paths: Paths, server: Server) -> Iterator[None]:
    """The record of this server, as long as it runs."""
    record = Record(
        version=__version__,
        library=str(paths.library),
        cache=str(paths.cache),
        models=str(paths.models),
        pid=os.getpid(),
        socket=server.socket_path,
        port=server.port,
        token=server.guard.token,
        proof=server.guard.proof,
    )
    write_record(paths.library, record)
    try:
        yield
    finally:
        record_path(paths.library).unlink(missing_ok=True)


def _served_already(paths: Paths) -> Callable[[str], LibraryError]:
    def error(holder: str) -> LibraryError:
        return LibraryError(
            f"The library {paths.named} is served already by {holder}.",
            "Nothing is left to do: clipsearch search uses it by itself.",
        )

    return error
