"""The service as a process: who may ask, what it refuses, how it starts, stays and ends. Real sockets, real signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipsearch.service import handler
from clipsearch.service.client import Client, running
from clipsearch.service.record import read_record, record_path
from tests.cli.program import Program, copied, said_once
from tests.conftest import SAMPLES
from tests.service.served import LIMIT_S, Served, paths_of, serving


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def message(answer: tuple[int, object], status: int) -> str:
    """The sentence of an answer that refuses."""
    assert answer[0] == status, answer
    assert isinstance(answer[1], dict)
    error = answer[1]["error"]
    assert set(error) == {"kind", "message", "hint"} and error["hint"]
    return str(error["message"])


# -- who may ask -----------------------------------------------------------------------------------


def test_only_the_owner_can_open_the_socket_and_read_the_record(served: Served, at_port: Served) -> None:
    """Any user of the machine could look through the photos."""
    assert served.record.socket == os.fsencode(served.program.library / "service.sock")
    assert mode(served.program.library / "service.sock") == 0o600
    for service in (served, at_port):
        assert mode(record_path(service.program.library)) == 0o600
    assert served.record.token is None and len(at_port.record.token or "") >= 40


def test_a_port_is_bound_on_this_machine_only(at_port: Served) -> None:
    """The photos of a laptop would be open to the network of a café."""
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("only Linux tells what is bound")
    port = f":{at_port.record.port:04X}"
    rows = [row.split() for name in ("tcp", "tcp6") for row in listening.with_name(name).read_text().splitlines()[1:]]
    assert [row[1] for row in rows if row[1].endswith(port) and row[3] == "0A"] == ["0100007F" + port]


@pytest.mark.parametrize("token", ["", "wrong", "\xe9"])
def test_a_port_answers_nobody_without_its_token(at_port: Served, token: str) -> None:
    """As above, for other users of the same machine."""
    for method, path, body in (("GET", "/status", None), ("GET", "/", None), ("POST", "/search", '{"query": "cat"}')):
        refused = at_port.request(method, path, body, {} if token else {"Authorization": ""}, token=token)
        assert message(refused, 401) == "The token is missing or wrong."


def test_a_port_answers_to_its_own_names_only(at_port: Served) -> None:
    """A page whose name points at 127.0.0.1 could read the answers (DNS rebinding)."""
    port = at_port.record.port
    for host in ("photos.example", f"photos.example:{port}", "127.0.0.1", f"127.0.0.1:{port}.example", ""):
        assert message(at_port.request("GET", "/status", headers={"Host": host}), 403)
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert at_port.request("GET", "/status", headers={"Host": host})[0] == 200


@pytest.mark.parametrize("origin", ["https://photos.example", "null", "http://127.0.0.1"])
def test_no_page_in_a_browser_gets_an_answer(served: Served, at_port: Served, origin: str) -> None:
    """A page could ask with a form, and the answer would still cost time."""
    for service in (served, at_port):
        assert message(service.request("POST", "/search", '{"query": "cat"}', {"Origin": origin}), 403)


def test_the_proof_is_shown_to_those_only_who_may_ask(at_port: Served) -> None:
    """Another program could show it to our client and be believed."""
    with at_port.connected() as connection:
        connection.sendall(f"GET /status HTTP/1.1\r\nHost: 127.0.0.1:{at_port.record.port}\r\n\r\n".encode())
        assert (at_port.record.proof.encode() in everything(connection)) is False
    client = running(paths_of(at_port.program))
    assert client is not None and client.search("a cat", k=1).hits


# -- what is asked ---------------------------------------------------------------------------------


def everything(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_a_request_that_cannot_be_read_is_told_in_a_sentence(served: Served) -> None:
    """The author of an editor's plugin would have to read our source code."""
    refused = served.request("POST", "/search", "{query: dog}")
    assert message(refused, 400).startswith("This is not JSON (")
    assert refused[1]["error"]["hint"] == 'For example: POST /search {"query": "dog on a beach", "k": 5}'
    assert message(served.request("POST", "/search", '{"quary": "dog"}'), 400).startswith("There is no quary here")
    assert message(served.request("POST", "/search", '{"query": "dog", "k": "5"}'), 400) == "k is not a whole number."
    assert message(served.request("POST", "/search", '{"query": "year:soon"}'), 400).startswith(
        '"soon" is not a year\n'
    )
    assert message(served.request("POST", "/classify", '{"targets": ["/no"], "labels": ["a", "b"]}'), 500)
    assert message(served.request("POST", "/search"), 400).startswith("This is not JSON")


def test_other_paths_and_methods_are_told_in_a_sentence(served: Served) -> None:
    """As above."""
    assert message(served.request("POST", "/update", "{}"), 404) == "There is no /update here."
    assert message(served.request("GET", "/search"), 405) == "/search takes POST, not GET."
    assert message(served.request("DELETE", "/status"), 501) == "Unsupported method ('DELETE')."


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /search HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b" 413 "),
        (b"POST /search HTTP/1.1\r\nContent-Length: 17000000\r\n\r\n" + b" " * 17_000_000, b" 413 "),
        (b"POST /search HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b" 400 "),
        (b"POST /search HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b" 400 "),
        (b"POST /search HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b" 411 "),
        (b"POST /search HTTP/1.1\r\nContent-Length: 50\r\n\r\n{}", b" 400 "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", b" 400 "),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n", b" 431 "),
    ],
)
def test_what_is_too_large_or_no_http_is_refused_and_costs_nothing_more(
    served: Served, head: bytes, status: bytes
) -> None:
    """One bad client would take the service away from the others; and whoever sends too much must learn why."""
    with served.connected() as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        answer = everything(connection)
    assert status in answer.split(b"\r\n")[0]
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["message"]
    assert served.request("GET", "/")[0] == 200


def test_clients_that_send_slowly_or_nothing_keep_nobody_waiting(served: Served) -> None:
    """An editor that hangs in the middle of a request would freeze every search."""
    slow = [served.connected() for _ in range(20)]
    try:
        for one in slow[1:]:
            one.sendall(b'POST /search HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"query"')
        assert served.request("POST", "/search", '{"query": "a cat"}')[0] == 200
    finally:
        for one in slow:
            one.close()


def test_a_client_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte would win it a new time limit, and its thread would stay for ever."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = handler._Deadline(ours, until=0.0)
        with pytest.raises(TimeoutError):
            stream.readinto(bytearray(1))
        theirs.send(b"x")
        assert stream.readinto(bytearray(1)) == 1  # what is there already is taken


def test_ten_clients_at_once_get_each_their_own_answer(served: Served) -> None:
    """Answers that cross would show one person's photos to another's query."""
    client = running(paths_of(served.program))
    assert client is not None
    queries = [f"{thing} number {number}" for number, thing in enumerate(("cat", "coffee", "night", "dog", "sea") * 2)]
    together = threading.Barrier(len(queries))

    def ask(query: str) -> tuple[tuple[str, ...], list[tuple[bytes, float | None]]]:
        together.wait(LIMIT_S)
        answer = client.search(query)
        return answer.terms, [(hit.path, hit.score) for hit in answer.hits]

    with ThreadPoolExecutor(len(queries)) as pool:
        answers = list(pool.map(ask, queries))
    assert [terms for terms, _ in answers] == [(query,) for query in queries]
    assert answers == [(a.terms, [(hit.path, hit.score) for hit in a.hits]) for a in map(client.search, queries)]


def test_photos_that_are_indexed_meanwhile_are_found(program: Program, tmp_path: Path) -> None:
    """A service that answers from yesterday's library is worse than none."""
    copied(SAMPLES, tmp_path / "more", "animals/canyon-wren.jpg", "food/bakery-pastries.jpg")
    with serving(program):
        client = running(paths_of(program))
        assert client is not None
        before = client.search("a bird").library
        answers = []
        with program.start("index", tmp_path / "more") as indexing:
            while indexing.poll() is None:
                answers.append(client.search("a bird"))
            indexing.communicate()
        after = client.search("a bird")
        assert {answer.library for answer in answers} <= {before, before + 1, before + 2}
        assert after.library == before + 2 and after.hits[0].path.endswith(b"canyon-wren.jpg")
        # Warm and cold agree on what depends on the whole library, too: a named backend opens it anew.
        warm = program("search", "a bird", "--json", "-k", "0")
        cold = program("search", "a bird", "--json", "-k", "0", "--backend", "onnxruntime")
        assert warm.json == cold.json


# -- how it starts and ends ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(program: Program, number: signal.Signals) -> None:
    """Ctrl-C would print a traceback, and each later command would find a dead socket."""
    with serving(program, "--idle", "0") as service:
        assert service.line == f"{program.library} is served on {program.library}/service.sock and ends with Ctrl-C."
        assert service.ended(number) == (0, "")
    left = {path.name for path in program.library.iterdir()}
    assert not left & {"service.json", "service.sock", "service.json.new"}


def test_a_killed_one_is_passed_over_and_replaced(program: Program) -> None:
    """After a crash, nothing would work until somebody deletes a file they have never heard of."""
    with serving(program) as service:
        assert service.ended(signal.SIGKILL)[0] == -signal.SIGKILL
    assert (program.library / "service.sock").exists() and read_record(program.library) == service.record
    search = program("search", "coffee", "--json")
    assert search.code == 0 and search.stderr == ""
    with serving(program) as second:
        assert second.record.proof != service.record.proof
        client = running(paths_of(program))
        assert client is not None and client.search("coffee").hits


def test_a_second_one_says_that_there_is_one(served: Served) -> None:
    """Two would fight over the socket, and the loser's memory is wasted."""
    sentence = said_once(served.program("serve", "--port", "0"), 3)
    holder = f"process {served.process.pid} (clipsearch serve)"
    assert sentence == f"The library {served.program.library} is served already by {holder}."
    assert read_record(served.program.library) == served.record


def test_it_ends_by_itself_when_nobody_asks(program: Program) -> None:
    """A forgotten service would hold its memory for weeks."""
    outcome = program("serve", "--idle", "0.05")
    assert outcome.code == 0 and "and ends after 0.05 s without a question" in outcome.stderr
    assert not record_path(program.library).exists()


def test_without_a_library_there_is_nothing_to_serve(tmp_path: Path) -> None:
    """An empty library would be created by a typing mistake."""
    program = Program(tmp_path)
    assert said_once(program("serve"), 3) == f"There is no library in {program.library} yet."
    assert not program.library.exists()


def test_a_port_that_is_taken_is_one_sentence(program: Program, at_port: Served) -> None:
    """As everywhere."""
    sentence = said_once(program("serve", "--port", str(at_port.record.port)), 5)
    assert sentence == f"The service cannot listen on port {at_port.record.port} of 127.0.0.1 (Address already in use)."


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """The tests' own folders may be too long for a socket themselves."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_library_whose_path_is_too_long_for_a_socket_has_it_elsewhere(
    program: Program, tmp_path: Path, short_folder: Path
) -> None:
    """Photos in deep folders would have no service (a path of a socket has at most 107 bytes)."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    shutil.copytree(program.library, deep)
    program.library = deep
    program.environment |= {"CLIPSEARCH_LIBRARY": str(deep), "XDG_RUNTIME_DIR": str(short_folder)}
    with serving(program) as service:
        assert service.record.socket is not None and service.record.socket.startswith(os.fsencode(short_folder))
        assert mode(Path(os.fsdecode(service.record.socket))) == 0o600
        assert Client(service.record, b"/").search("coffee").hits
