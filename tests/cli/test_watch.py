"""`clipsearch watch`: the real program, real signals; what it prints and how it ends."""

from __future__ import annotations

import json
import os
import plistlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clipsearch.config import Paths
from clipsearch.watching.units import service_text
from tests.cli.program import Program, copied, make_photos, said_once

DEADLINE_S = 40.0


def lines_of(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert process.stdout
    for line in process.stdout:
        yield json.loads(line)


@contextmanager
def watcher(program: Program, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], Iterator[Any]]]:
    with program.start("watch", *arguments, "--progress", "json") as process:
        try:
            events = lines_of(process)
            assert next(event for event in events if event["event"] == "watching")
            yield process, events
        finally:
            process.kill()


def searched(program: Program, words: str) -> list[str]:
    return program("search", "--all", words, "-k", "1").paths


def wait_for(program: Program, words: str, path: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while searched(program, words) != [str(path)]:
        assert time.monotonic() < deadline, (words, path)


def test_what_changes_on_the_disk_is_what_a_search_finds(program: Program, photos: Path) -> None:
    """The one thing it is for, with the real model, workers and processes."""
    folder = program.folder / "in"
    copied(photos, folder, "food/coffee-cup.jpg")
    with watcher(program, folder) as (process, events):
        (jelly,) = copied(photos, folder / "sea", "animals/jellyfish.jpg")
        done = next(event for event in events if event["event"] == "done" and event["indexed"])
        assert done["indexed"] == 1
        wait_for(program, "jellyfish", jelly)
        moved = (folder / "sea").rename(folder / "ocean") / "jellyfish.jpg"
        wait_for(program, "jellyfish", moved)
        status = program("status", "--json").json
        assert status["watcher"]["pid"] == process.pid and status["watcher"]["self_test"] is None
        assert status["roots"][0]["watched"]["folders"] == 2
        assert "watched (inotify, 2 folders)" in program("status").stdout.decode()
        by_hand = program("index", folder)
        assert by_hand.code == 0, by_hand.stderr
        assert str(process.pid) in said_once(program("watch", folder), 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr and b"Traceback" not in process.stderr.read()
    status = program("status", "--json").json
    assert status["watcher"] is None and status["roots"][0]["watched"] is None
    assert "not watched" in program("status").stdout.decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_a_signal_ends_it_with_what_is_committed(program: Program, photos: Path, number: int, code: int) -> None:
    """Ctrl-C, a service manager and a terminal that closes; none may cost a photo or leave a lock."""
    folder = program.folder / "in"
    make_photos(folder, 5)
    with watcher(program, folder) as (process, events):
        next(event for event in events if event["event"] == "done" and event["indexed"])  # after the first look
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == code
    assert program("status", "--json").json["photos"] == 5
    assert program("index").code == 0


def test_a_killed_watcher_leaves_nothing_that_stops_the_next(program: Program, photos: Path) -> None:
    """A power cut must not need a hand that deletes locks."""
    folder = program.folder / "in"
    make_photos(folder, 3)
    with watcher(program, folder) as (process, _):
        process.kill()
        process.wait(DEADLINE_S)
    assert program("status", "--json").json["watcher"] is None
    with watcher(program, folder) as (process, _):
        assert program("status", "--json").json["watcher"]["pid"] == process.pid


def test_people_read_one_line_at_the_start_and_one_for_each_batch(program: Program, photos: Path) -> None:
    """A log of a service is read when something is wrong; it has to say what happened and nothing else."""
    folder = program.folder / "in"
    make_photos(folder, 2)
    with program.start("index", folder, "--watch") as process:
        assert process.stderr
        said = []
        for line in process.stderr:
            said.append(line.decode())
            if "watched (inotify, 1 folder)" in said[-1]:
                make_photos(folder, 1, start=10)
            if " new · " in said[-1]:
                process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
    assert [line for line in said if " new · " in line] and "all of it is compared every 30 min" in "".join(said)
    assert said[-1] == "Stopping; what was found is kept.\n"


def test_polling_is_said_where_it_is_asked_for(program: Program, photos: Path) -> None:
    """Nobody would know why a photo takes so long."""
    folder = program.folder / "in"
    make_photos(folder, 1)
    with watcher(program, folder, "--poll", "0.2") as (_, events):
        assert "polled every 0.2 s (it was asked for)" in program("status").stdout.decode()
        make_photos(folder, 1, start=5)
        assert next(event for event in events if event["event"] == "done" and event["indexed"])


# -- services --------------------------------------------------------------------------------------


def test_the_unit_is_one_that_systemd_understands(program: Program, photos: Path, tmp_path: Path) -> None:
    """A folder called "50 % of $HOME" must reach the program as it is."""
    folder = tmp_path / 'half "of" 50 % $HOME\\x'
    make_photos(folder, 1)
    unit = program("watch", "--print-service", "--exclude", "a b/", folder).stdout.decode()
    file = tmp_path / "clipsearch.service"
    file.write_text(unit)
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed: the unit is not verified")
    done = subprocess.run(
        [analyze, "verify", "--user", file],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "clipsearch.service" not in done.stderr, done.stderr


def test_a_unit_runs_this_program_on_this_library(program: Program, tmp_path: Path) -> None:
    """A service that fills another library is worse than none."""
    (tmp_path / "my photos").mkdir()
    unit = program("watch", "--print-service", "--poll", "60", tmp_path / "my photos").stdout.decode()
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert f'"{sys.executable}"' in start and f'"--poll" "60" "--" "{tmp_path}/my photos"' in start
    assert f'Environment="CLIPSEARCH_LIBRARY={program.library}"' in unit


def test_an_agent_of_launchd_is_a_property_list(tmp_path: Path) -> None:
    """As above, on a Mac."""
    paths = Paths(tmp_path / "library", tmp_path / "cache", tmp_path / "models")
    agent = plistlib.loads(service_text(paths, ["--poll", "60"], ["/Volumes/a & b"], "darwin").encode())
    assert agent["ProgramArguments"][-5:] == ["watch", "--poll", "60", "--", "/Volumes/a & b"]
    assert os.path.isabs(agent["ProgramArguments"][0]) and agent["RunAtLoad"] is True
    assert agent["EnvironmentVariables"]["CLIPSEARCH_LIBRARY"] == str(tmp_path / "library")


# -- forgetting ------------------------------------------------------------------------------------


def test_forgetting_says_what_it_means_before_it_does_it(program: Program, photos: Path) -> None:
    """The wrong folder is named sooner or later."""
    folder = program.folder / "in"
    make_photos(folder, 3)
    program("index", folder)
    asked = program("forget", folder)
    assert asked.code == 2 and "3 files would leave the results" in asked.stderr and "--yes" in asked.stderr
    assert program("status", "--json").json["files"] == 3
    assert "Forgotten" in program("forget", "--yes", folder).stderr
    assert program("status", "--json").json["roots"] == []
    assert len(list(folder.iterdir())) == 3
    said_once(program("forget", "--yes", folder), 2)
    again = program("index", folder, "--progress", "json")
    assert json.loads(again.stdout.splitlines()[-1])["indexed"] == 0, "the vectors were kept"


def test_excludes_belong_to_the_folder_that_was_named(program: Program, photos: Path) -> None:
    """`index Photos/2019 --exclude drafts/` must not shut the drafts of 2020 out."""
    folder = program.folder / "Photos [all]"
    for number, name in enumerate(["2019/drafts", "2019/deep/drafts", "2020/drafts", "2019/kept"]):
        make_photos(folder / name, 1, start=number)
    program("index", folder / "2019", "--exclude", "drafts/")
    program("index", folder)  # which takes the other over
    (root,) = program("status", "--json").json["roots"]
    assert (root["path"], root["files"]) == (str(folder), 2)
    program("index", folder / "2020", "--exclude", "*.gif", "--exclude", "/drafts/")
    assert program("status", "--json").json["files"] == 1
    program("index", folder / "2020", "--exclude", "*.gif")
    assert program("status", "--json").json["files"] == 2
    assert "no pattern" in said_once(program("index", folder, "--exclude", "bad\\"), 2)


def test_a_terminal_gets_one_line_a_batch_with_the_time(program: Program, photos: Path) -> None:
    """A line that draws itself over another one is read by nobody; nor is one that says nothing has happened."""
    folder = program.folder / "in"
    copied(photos, folder, "food/coffee-cup.jpg")

    def second_batch(shown: bytes) -> bool:
        if b"1 new" in shown and not (folder / "sea").exists():
            copied(photos, folder / "sea", "animals/jellyfish.jpg")
        return shown.count(b" new ") == 2

    outcome = program.on_terminal("watch", folder, until=second_batch)
    assert outcome.code == 130
    lines = [line.strip() for line in outcome.text.splitlines()]
    batches = [line for line in lines if " new " in line]
    assert len(batches) == 2 and all(re.fullmatch(r"\d\d:\d\d:\d\d  1 new · [\d.]+ s", line) for line in batches), lines
    assert not any("Done in" in line for line in lines)
