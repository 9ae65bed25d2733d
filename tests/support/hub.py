"""A model hub on this machine: speaks the protocol of the real one, and fails as told."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LARGE = 4096  # bytes from which on a file is kept as LFS does, by its sha256


@dataclass
class Hub:
    """What there is, and what goes wrong; everything may be changed while it runs."""

    repositories: dict[str, Path] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)  # (method, path, headers)
    url: str = ""
    commit: str = COMMIT
    cut_after: list[int] = field(default_factory=list)  # bytes of an answer, then the line is dead; one a request
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # instead of a file; one a request
    listing_statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    garbled: set[str] = field(default_factory=set)  # files whose bytes are not those that are promised
    ignores_range: bool = False
    elsewhere: str | None = None  # another host that large files are redirected to
    paths: dict[str, str] = field(default_factory=dict)  # what a file is listed as
    stalls: threading.Event = field(default_factory=threading.Event)  # set: an answer stops in its middle, open
    stalled: threading.Event = field(default_factory=threading.Event)

    @property
    def files_asked(self) -> list[str]:
        return [path.rpartition("/resolve/")[2].partition("/")[2] for _, path, _ in self.asked if "/resolve/" in path]


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(hub, self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.stalls.clear()
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(hub: Hub, request: BaseHTTPRequestHandler) -> None:
    path = unquote(urlsplit(request.path).path)
    hub.asked.append((request.command, path, {key.lower(): value for key, value in request.headers.items()}))
    if path.startswith("/api/models/"):
        _list(hub, request, path.removeprefix("/api/models/"))
    else:
        _send(hub, request, path.strip("/"))


def _list(hub: Hub, request: BaseHTTPRequestHandler, rest: str) -> None:
    name, _, revision = rest.partition("/revision/")
    if hub.listing_statuses:
        _refuse(request, *hub.listing_statuses.pop(0))
    elif name not in hub.repositories:
        _refuse(request, 404, {"X-Error-Code": "RepoNotFound"})
    elif revision not in ("", "main", hub.commit):
        _refuse(request, 404, {"X-Error-Code": "RevisionNotFound"})
    else:
        siblings = [_listed(hub, path, hub.repositories[name]) for path in _files(hub.repositories[name])]
        body = json.dumps({"id": name, "sha": hub.commit, "siblings": siblings, "cardData": {"license": "mit"}})
        _reply(request, 200, body.encode(), {"Content-Type": "application/json"})


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _listed(hub: Hub, path: Path, folder: Path) -> dict[str, object]:
    content = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    row: dict[str, object] = {"rfilename": hub.paths.get(name, name), "size": len(content), "blobId": blob}
    if len(content) >= LARGE:
        digest = hashlib.sha256(content).hexdigest()
        row["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
    return row


def _send(hub: Hub, request: BaseHTTPRequestHandler, path: str) -> None:
    repository, _, rest = path.partition("/resolve/")
    commit, _, name = rest.partition("/")
    file = hub.repositories.get(repository, Path("/absent")) / name
    if hub.statuses:
        _refuse(request, *hub.statuses.pop(0))
    elif commit != hub.commit or not file.is_file():
        _refuse(request, 404, {"X-Error-Code": "EntryNotFound"})
    elif hub.elsewhere and file.stat().st_size >= LARGE:
        _reply(request, 302, b"", {"Location": f"{hub.elsewhere}/{path}"})
    else:
        content = file.read_bytes()
        if name in hub.garbled:
            content = content[:-1] + bytes([content[-1] ^ 1])
        _send_bytes(hub, request, content)


def _send_bytes(hub: Hub, request: BaseHTTPRequestHandler, content: bytes) -> None:
    start = 0
    if (wanted := request.headers.get("Range")) and not hub.ignores_range:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        request.send_response(200)
    request.send_header("Content-Length", str(len(content) - start))
    request.end_headers()
    rest = content[start:]
    if hub.stalls.is_set() and len(rest) >= LARGE:
        request.wfile.write(rest[: len(rest) // 2])
        request.wfile.flush()
        hub.stalled.set()
        while hub.stalls.is_set():  # ends with the test; no thread of the program waits here
            if request.rfile.read(1) == b"":
                break
        request.close_connection = True
    elif hub.cut_after and len(rest) > hub.cut_after[0]:
        request.wfile.write(rest[: hub.cut_after.pop(0)])
        request.close_connection = True
    else:
        request.wfile.write(rest)


def _refuse(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    _reply(request, status, b"", headers)


def _reply(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
