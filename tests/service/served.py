"""A service as it is met: a real process, its one line, its socket, and bare HTTP requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import selectors
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsearch.config import Paths
from clipsearch.service.record import Record, read_record
from tests.cli.program import Program

LIMIT_S = 30


@dataclass(frozen=True)
class Served:
    program: Program
    process: subprocess.Popen[bytes]
    line: str  # what it said when it was ready
    record: Record

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] = {},
        *,
        token: str | None = None,
    ) -> tuple[int, Any]:
        """(status, JSON) of one request with exactly these headers, and the token of the record if there is one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.record.port, timeout=LIMIT_S)
        connection.sock = self.connected()
        given = self.record.token if token is None else token
        sent = ({"Authorization": f"Bearer {given}"} if given else {}) | dict(headers)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def connected(self) -> socket.socket:
        if self.record.socket is None:
            return socket.create_connection(("127.0.0.1", self.record.port or 0), timeout=LIMIT_S)
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(LIMIT_S)
        one.connect(self.record.socket)
        return one

    def ended(self, with_signal: int = signal.SIGTERM) -> tuple[int, str]:
        """(exit code, what it still said) after the signal."""
        self.process.send_signal(with_signal)
        _, said = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, said.decode()


def paths_of(program: Program) -> Paths:
    return Paths(program.library, program.cache, Path(program.environment["CLIPSEARCH_MODELS"]))


@contextlib.contextmanager
def serving(program: Program, *options: str) -> Iterator[Served]:
    """`clipsearch serve`, ready to answer; ended in the end if the test has not."""
    with program.start("serve", *options) as process:
        try:
            line = _first_line(process)
            record = read_record(program.library)
            assert record is not None, line
            yield Served(program, process, line, record)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=LIMIT_S)


def _first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        assert selector.select(LIMIT_S), "the service did not say where it listens"
    return process.stderr.readline().decode().rstrip("\n")
