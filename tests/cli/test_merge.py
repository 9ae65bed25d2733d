"""Shares and merging as people meet them: machines that are processes, one shared folder, one library."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from clipsearch.bundles.folder import is_sealed, read_manifest
from tests.cli.program import Program, make_photos, said_once
from tests.cli.test_index import counts, wait_for

pytest.importorskip("pyarrow", reason='bundles need pip install "clipsearch[parquet]"')


def test_two_machines_encode_a_share_each_and_the_library_encodes_nothing(
    program: Program, photos: Path, tmp_path: Path
) -> None:
    """At the same time, without a library between them; then index finds all photos known."""
    machines = [Program(tmp_path / f"machine-{number}") for number in (1, 2)]
    bundles = [tmp_path / "shared" / str(number) for number in (1, 2)]
    running = [
        machine.start("index", "--shard", f"{number}/2", "--bundle", folder, photos)
        for number, (machine, folder) in enumerate(zip(machines, bundles, strict=True), 1)
    ]
    for process, folder in zip(running, bundles, strict=True):
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        assert f"{folder} is whole".encode() in said and b"clipsearch merge" in said
    assert not any(machine.library.exists() for machine in machines)
    checked = program("merge", "--dry-run", *bundles)
    assert checked.code == 0 and "Nothing was changed" in checked.stderr and not program.library.exists()
    merged = program("merge", "--json", *bundles)
    assert merged.code == 0 and merged.json["offline"] == [] and merged.json["bundles"] == 2
    status = program("status", "--json").json
    assert status["photos"] == merged.json["photos"] and status["files"] == merged.json["files"]
    again = program("merge", *bundles)
    assert again.stderr.startswith("0 photos added with 0 files; known already:")
    assert counts(program, photos) == {"unchanged": status["files"]}
    assert program("search", "a red flower", "-k", "1").paths[0].endswith("red-flower.jpg")


def test_an_interrupted_share_goes_on_where_it_was(program: Program, tmp_path: Path) -> None:
    """Ctrl-C on one of four machines: the command of before, once more."""
    make_photos(tmp_path / "in", 100)
    command = ["index", "--bundle", tmp_path / "b", tmp_path / "in", "--workers", "1"]
    with program.start(*command, "--progress", "json") as process:
        wait_for(process, "advanced")
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    last = json.loads(rest.splitlines()[-1])
    assert process.returncode == 130 and b"Traceback" not in said
    assert last["event"] == "stopped" and 0 < last["indexed"] < 100 and last["bundle"] == str(tmp_path / "b")
    assert not is_sealed(tmp_path / "b")
    refused = said_once(program("merge", tmp_path / "b"), 5)
    assert "not finished" in refused and not program.library.joinpath("catalog.db").exists()
    again = program(*command)
    assert again.code == 0 and f"{100 - last['indexed']} indexed, {last['indexed']} unchanged" in again.stderr
    assert read_manifest(tmp_path / "b").photos == 100
    assert sorted(path.suffix for path in (tmp_path / "b").iterdir() if path.name[0] != ".")[0] == ".json"


def test_what_cannot_be_is_said_in_one_sentence(program: Program, photos: Path, tmp_path: Path) -> None:
    bundle = ["--bundle", tmp_path / "b"]
    assert "goes into a bundle" in said_once(program("index", "--shard", "1/2", photos), 2)
    assert '"3/2" is no share' in said_once(program("index", "--shard", "3/2", *bundle, photos), 2)
    assert "cannot be watched" in said_once(program("index", *bundle, "--watch", photos), 2)
    assert "No folder" in said_once(program("index", *bundle), 2)
    assert "There is no" in said_once(program("index", *bundle, tmp_path / "absent"), 5)
    assert not (tmp_path / "b").exists()
    assert "BUNDLE" in said_once(program("merge"), 2)
    assert "no bundle" in said_once(program("merge", tmp_path), 5)
    assert "There is no" in said_once(program("merge", "--root", tmp_path / "absent", tmp_path), 5)
    assert "There is no" in said_once(program("merge", tmp_path / "absent"), 5)


def test_a_share_of_strict_ends_with_1_where_a_file_could_not_be_read(program: Program, tmp_path: Path) -> None:
    make_photos(tmp_path / "in", 2)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"broken")
    outcome = program("index", "--strict", "--bundle", tmp_path / "b", tmp_path / "in")
    assert outcome.code == 1 and "the bundle has the reasons" in outcome.stderr
    assert program("merge", tmp_path / "b").code == 0
    assert "broken.jpg" in program("errors").stdout.decode()
