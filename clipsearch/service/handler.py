"""One HTTP request: who may ask, what is asked, the answer as JSON. The worker does what is asked.

A request is read whole, within a time and a size, before it takes a turn at the library, so a slow client keeps
nobody waiting. No browser gets an answer, whatever page it shows: a request with an Origin is refused, and at a
port also one for another host (a page can point its own name at 127.0.0.1).
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import secrets
import socket
import time
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Protocol

from clipsearch import __version__
from clipsearch.errors import ClipsearchError, UsageError
from clipsearch.service import wire
from clipsearch.service.worker import Worker

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024  # more paths than a command line can hold
READ_S = 10.0  # from the first byte of a request to its last
WRITE_S = 30.0  # for a client to take what was written to it

ROUTES = {  # path -> (method, what a request looks like)
    "/": ("GET", "GET /"),
    "/status": ("GET", "GET /status"),
    "/search": ("POST", 'POST /search {"query": "dog on a beach", "k": 5}'),
    "/classify": ("POST", 'POST /classify {"targets": ["/home/me/Inbox"], "labels": ["receipt", "landscape"]}'),
    "/photo": ("POST", 'POST /photo {"path": "/home/me/cat.jpg"}'),
}


@dataclass(frozen=True, slots=True)
class Guard:
    token: str | None  # what a client must know; None where the mode of a socket guards
    proof: str  # what our own clients expect to see


class Service(Protocol):
    """What a handler needs of its server."""

    worker: Worker
    guard: Guard
    activity: AbstractContextManager[None]

    @property
    def port(self) -> int | None: ...


class Refused(Exception):
    """A request that is not let in or not understood, and its status."""

    def __init__(self, status: HTTPStatus, message: str, hint: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = UsageError(message, hint)


class Handler(BaseHTTPRequestHandler):
    """One connection, one request, one answer."""

    protocol_version = default_request_version = "HTTP/1.1"
    server: Service  # type: ignore[assignment]  # of socketserver's attributes none is used here

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Deadline(self.connection, time.monotonic() + READ_S))
        self._is_trusted = False
        self._is_read = False

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            self._check_asker()
            self._is_trusted = True
            self._check_route()
            body = self._body()
            self._is_read = True
            self.connection.settimeout(WRITE_S)
            with self.server.activity:
                self._act(body)
        except Refused as refused:
            self._send_failure(refused.status, refused.error)
        except wire.Malformed as error:
            self._send_failure(HTTPStatus.BAD_REQUEST, UsageError(str(error), f"For example: {ROUTES[self.path][1]}"))
        except UsageError as error:
            self._send_failure(HTTPStatus.BAD_REQUEST, error)
        except ClipsearchError as error:
            self._send_failure(HTTPStatus.INTERNAL_SERVER_ERROR, error)

    # -- who asks, and for what --------------------------------------------------------------------

    def _check_asker(self) -> None:
        if "Origin" in self.headers:
            raise Refused(HTTPStatus.FORBIDDEN, "Pages in a browser get no answer.", "Ask from a program.")
        guard, port = self.server.guard, self.server.port
        if guard.token is None:
            return
        if self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            raise Refused(HTTPStatus.FORBIDDEN, "This is not the host that was asked.", f"Ask http://127.0.0.1:{port}")
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if not secrets.compare_digest(given, f"Bearer {guard.token}".encode()):
            raise Refused(
                HTTPStatus.UNAUTHORIZED,
                "The token is missing or wrong.",
                "Send the header Authorization: Bearer TOKEN, with the token in the library's service.json.",
            )

    def _check_route(self) -> None:
        if self.path not in ROUTES:
            raise Refused(HTTPStatus.NOT_FOUND, f"There is no {self.path} here.", f"There are {', '.join(ROUTES)}.")
        method, example = ROUTES[self.path]
        if self.command != method:
            raise Refused(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{self.path} takes {method}, not {self.command}.", f"Send {example}"
            )

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "A body in chunks is not read here.", "Send its Content-Length.")
        announced = self.headers.get("Content-Length", "0")
        if not (announced.isascii() and announced.isdigit() and len(announced) < 20):
            raise Refused(HTTPStatus.BAD_REQUEST, "The Content-Length is not a number.", "Send the number of bytes.")
        length = int(announced)
        if length > MAX_BODY_BYTES:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The request has {length:,} bytes; {MAX_BODY_BYTES:,} are the limit.",
                "Ask for fewer paths at once.",
            )
        try:
            body = self.rfile.read(length)
        except TimeoutError as error:
            raise Refused(
                HTTPStatus.REQUEST_TIMEOUT, f"The request did not come within {READ_S:.0f} s.", "Send it at once."
            ) from error
        if len(body) < length:
            raise Refused(HTTPStatus.BAD_REQUEST, "The request is shorter than its Content-Length.", "Send all of it.")
        return body

    # -- answers -----------------------------------------------------------------------------------

    def _act(self, body: bytes) -> None:
        ask = self.server.worker.call
        if self.path == "/search":
            search = wire.loads(wire.SearchRequest, body)
            self._send(ask(search.asked_of, search.cwd))
        elif self.path == "/classify":
            classify = wire.loads(wire.ClassifyRequest, body)
            self._send_lines(self.server.worker.stream(classify.asked_of, classify.cwd))
        elif self.path == "/photo":
            photo = wire.loads(wire.PhotoRequest, body)
            self._send(ask(photo.asked_of, photo.cwd))
        elif self.path == "/status":
            self._send(ask(lambda library: library.status()))
        else:
            self._send({"program": "clipsearch", "version": __version__, "pid": os.getpid()})

    def _send(self, answer: object) -> None:
        self._send_body(HTTPStatus.OK, wire.dumps(answer) + b"\n")

    def _send_failure(self, status: HTTPStatus, error: ClipsearchError) -> None:
        self._send_body(status, wire.dumps(wire.error_fields(error)) + b"\n")

    def _send_body(self, status: HTTPStatus, body: bytes) -> None:
        self._send_head(status, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _send_lines(self, pieces: Generator[object, None, None]) -> None:
        """One line each, as they come. What fails before the first one is an answer of its own, later a last line."""
        with contextlib.closing(pieces):
            first = list(itertools.islice(pieces, 1))
            self._send_head(HTTPStatus.OK, {"Content-Type": "application/x-ndjson"})
            try:
                for piece in itertools.chain(first, pieces):
                    self.wfile.write(wire.dumps(piece) + b"\n")
            except ClipsearchError as error:
                self.wfile.write(wire.dumps(wire.error_fields(error)) + b"\n")
            else:
                self.wfile.write(wire.END)

    def _send_head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self._is_trusted:
            self.send_header(wire.PROOF, self.server.guard.proof)
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    # -- what http.server asks to be overridden ----------------------------------------------------

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """For requests that are no HTTP, or use another method."""
        status = HTTPStatus(code)
        self._send_failure(status, UsageError(f"{message or status.phrase}.", f"There are {', '.join(ROUTES)}."))

    def version_string(self) -> str:
        return f"clipsearch/{__version__}"

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)

    def finish(self) -> None:
        with contextlib.suppress(OSError):  # the client has left, or goes on talking for too long
            if not self._is_read:
                # Closing at what is unread would reset the connection, and the client would lose our answer.
                self.connection.shutdown(socket.SHUT_WR)
                while self.rfile.read(65536):
                    pass
        super().finish()


class _Deadline(io.RawIOBase):
    """Reads a socket until a moment, so that a client which drips bytes is cut off like one that sends none."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer is new in 3.12
        self._connection.settimeout(max(0.001, self._until - time.monotonic()))
        return self._connection.recv_into(buffer)
