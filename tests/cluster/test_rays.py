"""The real program on a real Ray: of this machine alone, and of several nodes that die."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clipsearch.bundles.folder import is_sealed, parts_in, read_part
from clipsearch.bundles.rows import Photo
from tests.cli.program import Program, make_photos, said_once
from tests.support.nodes import ENVIRONMENT, Nodes

pytest.importorskip("ray", reason="the extra [cluster] is not installed")
pytest.importorskip("onnx", reason="the extra [export] is not installed")
from tests.support.small import small_model

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for actors in /proc")
PHOTOS = 400
NOBODY = "?endpoint_override=127.0.0.1:1&scheme=http&region=none"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program(tmp_path)
    made.environment |= ENVIRONMENT
    small_model(tmp_path / "models" / "small")
    return made


@pytest.fixture
def nodes(program: Program) -> Iterator[Nodes]:
    with Nodes(program.environment) as made:
        yield made


def encode(*words: object, out: Path, address: str | None = None) -> list[str]:
    options = ["--out", str(out), "--model", "small", "--backend", "onnxruntime", "--progress", "json"]
    return ["cluster", "encode", *map(str, words), *options, *(["--address", address] if address else [])]


def photos_in(out: Path) -> list[str]:
    return sorted(
        os.fsdecode(row.place.path)
        for _, part in parts_in(out)
        for rows in read_part(out, part)
        for row in rows
        if isinstance(row, Photo)
    )


@pytest.mark.slow  # starts Ray
def test_a_folder_a_table_and_a_tar_become_a_library(program: Program, tmp_path: Path) -> None:
    """All that people keep pictures in, in one call, with nobody's cluster; and nothing but NDJSON on stdout."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = make_photos(tmp_path / "photos", 60)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with tarfile.open(tmp_path / "00001.tar", "w") as tar:
        for path in paths[:30]:
            tar.add(path, path.name)
            info = tarfile.TarInfo(f"{path.stem}.txt")
            tar.addfile(info, io.BytesIO())
    listed = pa.table({"path": [os.path.relpath(path, tmp_path) for path in paths[20:40]]})
    pq.write_table(listed, tmp_path / "list.parquet")
    out = tmp_path / "bundle"
    program.environment["HOME"] = str(tmp_path / "home")
    del program.environment["RAY_AUTH_MODE"]
    sources = (tmp_path / "photos", tmp_path / "0*.tar", tmp_path / "list.parquet")
    done = program(*encode(*sources, out=out))
    assert done.code == 0, done.stderr
    *_, last = map(json.loads, done.stdout.splitlines())
    assert (last["event"], last["indexed"], last["failed"]) == ("done", 110, 1)
    assert is_whole(done.stderr)
    assert not (tmp_path / "home" / ".ray").exists()  # a token there would shut others out of heads that are started
    merged = program("merge", out, "--json")
    assert merged.code == 0, merged.stderr
    status = program("status", "--json").json
    assert status["photos"] == 60  # by their bytes


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_run_over_a_tar_finds_nothing_to_do(program: Program, tmp_path: Path) -> None:
    """What lies in it is known only when it is read: so Ray starts, and no actor."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for path in make_photos(tmp_path / "photos", 5):
            tar.add(path, path.name)
    for expected in ((5, 0), (0, 5)):
        done = program(*encode(tmp_path / "a.tar", out=tmp_path / "out"))
        *_, last = map(json.loads, done.stdout.splitlines())
        assert (done.code, last["indexed"], last["unchanged"]) == (0, *expected), done.stderr


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        ("127.0.0.1:1", 5, "No Ray cluster answers at 127.0.0.1:1 (connection refused)."),
        ("10.0.0.1", 2, "10.0.0.1 is no address of a cluster."),
        ("ray://head:10001", 2, "ray://head:10001 is no address of a cluster."),
    ],
)
def test_an_address_that_nobody_answers_is_one_sentence(
    program: Program, tmp_path: Path, address: str, code: int, sentence: str
) -> None:
    """Ray itself waits two minutes, and then ends the process with a wall of text."""
    make_photos(tmp_path / "photos", 1)
    done = program(*encode(tmp_path / "photos", out=tmp_path / "out", address=address))
    assert said_once(done, code) == sentence


@pytest.mark.parametrize(
    ("source", "code", "sentence"),
    [
        pytest.param(f"s3://b/x{NOBODY}", 5, "s3://b/x cannot be read (nobody answers).", marks=pytest.mark.slow),
        ("nowhere", 5, "nowhere is not there."),
        ("no*where", 5, "Nothing is called no*where."),
        ("gopher://me:key@x?key=1", 2, "gopher://x cannot be read from: there is no store of this kind."),
        ("s3://b/x?key=1", 2, "s3://b/x cannot be read from: Unexpected query parameter in S3 URI: 'key'"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_sentence(
    program: Program, tmp_path: Path, source: str, code: int, sentence: str
) -> None:
    done = program(*encode(source, out=tmp_path / "out"), cwd=tmp_path)
    assert said_once(done, code) == sentence
    assert not (tmp_path / "out").exists()


def is_whole(said: str) -> bool:
    """All that a run says besides its events, whatever died meanwhile and whatever Ray has to say of it."""
    return said.count("\n") == 1 and " is whole: " in said


class Running:
    """The program while it works; its events as they come."""

    def __init__(self, program: Program, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "clipsearch", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=program.environment,
        )  # fmt: skip

    def events(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout
        yield from map(json.loads, self.process.stdout)

    def until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return next(event for event in self.events() if fits(event))

    def end(self) -> tuple[int, list[dict[str, Any]], str]:
        assert self.process.stderr
        events = list(self.events())
        said = self.process.stderr.read().decode()
        code = self.process.wait(60)
        self.close()
        return code, events, said

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()


@pytest.fixture
def running(program: Program, nodes: Nodes, tmp_path: Path) -> Iterator[tuple[Running, int, int]]:
    """A run on two nodes that has encoded something, and has more to do; and its nodes."""
    make_photos(tmp_path / "photos", PHOTOS)
    first, second = nodes.add(), nodes.add()
    run = Running(program, encode(tmp_path / "photos", out=tmp_path / "out", address=nodes.address))
    run.until(lambda event: event["event"] == "advanced" and 0 < event["done"] < PHOTOS)
    yield run, first, second
    run.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_actor_costs_only_what_it_held(
    running: tuple[Running, int, int], nodes: Nodes, tmp_path: Path
) -> None:
    """(K1, K2) The kernel ends an actor for its memory, a driver of a GPU crashes."""
    run, first, second = running
    (victim, *_) = [*nodes.actors(first), *nodes.actors(second)]
    os.kill(victim, signal.SIGKILL)
    code, events, said = run.end()
    assert code == 0 and is_whole(said)
    assert (events[-1]["indexed"], events[-1]["failed"]) == (PHOTOS, 0)
    assert photos_in(tmp_path / "out") == [f"photo-{number:04d}.png" for number in range(PHOTOS)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_node_costs_only_what_it_held(running: tuple[Running, int, int], nodes: Nodes, tmp_path: Path) -> None:
    """(K1, K2) A spot machine is taken away; nobody brings another."""
    run, first, _ = running
    nodes.kill(first)
    code, events, said = run.end()
    assert code == 0 and is_whole(said)
    assert (events[-1]["indexed"], events[-1]["failed"]) == (PHOTOS, 0)
    assert photos_in(tmp_path / "out") == [f"photo-{number:04d}.png" for number in range(PHOTOS)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ctrl_c_leaves_an_unfinished_bundle_and_the_same_command_goes_on(
    running: tuple[Running, int, int], program: Program, nodes: Nodes, tmp_path: Path
) -> None:
    """(K3) What was paid for is kept, and does not pass for all of the archive."""
    run, _, _ = running
    run.process.send_signal(signal.SIGINT)
    code, events, said = run.end()
    assert (code, [event["event"] for event in events[-1:]]) == (130, ["stopped"]), said
    assert "not finished" in said_once(program("merge", tmp_path / "out"), 5)
    assert 0 < len(photos_in(tmp_path / "out")) == events[-1]["indexed"] < PHOTOS
    code, events, said = Running(
        program, encode(tmp_path / "photos", out=tmp_path / "out", address=nodes.address)
    ).end()
    assert code == 0 and is_whole(said)
    assert events[-1]["unchanged"] > 0 and events[-1]["indexed"] + events[-1]["unchanged"] == PHOTOS
    assert len(photos_in(tmp_path / "out")) == PHOTOS


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_when_all_nodes_are_gone_the_run_ends_with_what_it_has(
    running: tuple[Running, int, int], nodes: Nodes, tmp_path: Path
) -> None:
    """It would wait for ever for machines that nobody adds."""
    run, first, second = running
    nodes.kill(first)
    nodes.kill(second)
    code, _, said = run.end()
    assert (code, said.splitlines()[0]) == (5, "clipsearch: No machine of the cluster is left.")
    assert photos_in(tmp_path / "out") and not is_sealed(tmp_path / "out")
