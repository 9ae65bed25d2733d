"""The service, seen from the other side: a LibraryAPI that asks the process which has the library open.

Imports no library, no numpy and no runtime. Relative paths travel as they are, with the folder that they are
relative to, so that answers and errors read as if they were made here.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
from collections.abc import Iterator, Sequence

from clipsearch.config import Paths
from clipsearch.errors import ClipsearchError, SystemFault
from clipsearch.service import wire
from clipsearch.service.record import Record, read_record
from clipsearch.types import Answer, AnyPath, FailedFile, Labelled, LabelSet, PhotoDetails, Progress, Sort, Status

GREETING_S = 1.0  # a service that does not even greet within it counts as none
ANSWER_S = 120.0  # for one step of an answer: others may be before us, each with a batch of photos to encode


def running(paths: Paths) -> Client | None:
    """The service of this library, with the same models and the same program; None when none of that kind answers.

    None is no failure: a killed server leaves its record behind, and the library answers without it as well.
    """
    record = read_record(paths.library)
    if record is None or not record.serves(paths):
        return None
    try:
        client = Client(record, os.getcwdb())
        client.greet()
    except (OSError, http.client.HTTPException, ClipsearchError):
        return None
    return client


class Client:
    """Satisfies types.LibraryAPI."""

    def __init__(self, record: Record, cwd: bytes) -> None:
        self._record = record
        self._cwd = cwd

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held between two questions."""

    def greet(self) -> None:
        """Raises OSError, HTTPException or ClipsearchError when the server of the record does not answer."""
        self._response("GET", "/", None, GREETING_S).close()

    def search(
        self,
        query: str = "",
        *,
        images: Sequence[AnyPath] = (),
        k: int = 20,
        under: AnyPath | None = None,
        sort: Sort | None = None,
        min_relevance: float | None = None,
        diverse: bool = False,
        exact: bool = False,
    ) -> Answer:
        request = wire.SearchRequest(
            query=query,
            images=tuple(map(os.fsencode, images)),
            k=k,
            under=None if under is None else os.fsencode(under),
            sort=sort,
            min_relevance=min_relevance,
            diverse=diverse,
            exact=exact,
            cwd=self._cwd,
        )
        with self._translated():
            return wire.loads(Answer, self._answer("POST", "/search", request))

    def similar(self, path: AnyPath, *, k: int = 20, under: AnyPath | None = None) -> Answer:
        return self.search(images=[path], k=k, under=under)

    def classify(
        self,
        targets: Sequence[AnyPath] = (),
        labels: Sequence[str] | LabelSet = (),
        *,
        templates: Sequence[str] = (),
        unknown: bool = False,
        margin: float = 0.0,
        top: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Labelled | FailedFile]:
        """As Library's. Progress is asked for whoever listens: an answer that is silent for long is given up."""
        request = wire.ClassifyRequest(
            tuple(map(os.fsencode, targets)),
            () if isinstance(labels, LabelSet) else tuple(labels),
            tuple(templates),
            labels if isinstance(labels, LabelSet) else None,
            unknown,
            margin,
            top,
            True,
            self._cwd,
        )
        with self._translated(), self._response("POST", "/classify", request, ANSWER_S) as response:
            for line in response:
                if line == wire.END:
                    return
                if error := wire.error_of(line):
                    raise error
                result = wire.loads_labelled(line)
                if not isinstance(result, wire.Told):
                    yield result
                elif progress is not None:
                    progress(result.progress, result.done, result.total)
            raise http.client.IncompleteRead(b"")

    def photo(self, path: AnyPath) -> PhotoDetails | None:
        request = wire.PhotoRequest(os.fsencode(path), self._cwd)
        with self._translated():
            answer = self._answer("POST", "/photo", request)
            return None if answer == b"null" else wire.loads(PhotoDetails, answer)

    def status(self) -> Status:
        with self._translated():
            return wire.loads(Status, self._answer("GET", "/status", None))

    def _answer(self, method: str, path: str, request: object) -> bytes:
        with self._response(method, path, request, ANSWER_S) as response:
            return response.read().rstrip(b"\n")

    def _response(self, method: str, path: str, request: object, limit_s: float) -> http.client.HTTPResponse:
        """The response to one request. Raises the error of ours that it tells, or what `greet` raises."""
        token = self._record.token
        connection = self._connection(limit_s)
        try:
            body = None if request is None else wire.dumps(request)
            connection.request(method, path, body, {"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            if response.getheader(wire.PROOF) != self._record.proof:
                raise http.client.HTTPException("another program listens where the service did")
            if response.status != http.client.OK:
                raise wire.error_of(response.read()) or http.client.HTTPException(response.reason)
        except BaseException:
            connection.close()
            raise
        return response

    def _connection(self, limit_s: float) -> http.client.HTTPConnection:
        if self._record.socket is not None:
            return _UnixConnection(self._record.socket, limit_s)
        return http.client.HTTPConnection("127.0.0.1", self._record.port, timeout=limit_s)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        server = f"The service (process {self._record.pid})"
        try:
            yield
        except TimeoutError as error:
            raise SystemFault(
                f"{server} has not answered for {ANSWER_S:.0f} s.",
                f"End it, and the library answers without it: kill {self._record.pid}",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise SystemFault(f"{server} ended before it had answered.", "Ask again.") from error
        except wire.Malformed as error:
            raise SystemFault(
                f"{server} has answered with something else: {error}", f"End it: kill {self._record.pid}"
            ) from error


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: bytes, limit_s: float) -> None:
        super().__init__("localhost", timeout=limit_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
