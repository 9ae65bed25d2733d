"""The command line beside a running service: it asks it, says the same, and does without it when it must."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Outcome, Program, said_once
from tests.service.served import Served, serving
from tests.test_imports import HEAVY


@pytest.fixture(scope="module")
def served(indexed: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service of a copy of the library: the other tests do without one."""
    program = Program(tmp_path_factory.mktemp("served"))
    shutil.copytree(indexed.library, program.library)
    with serving(program, "--idle", "0") as service:
        yield service


ASKED: list[list[str]] = [
    ["search", "a cat on a chair", "--json", "-k", "0"],
    ["search", "like:animals/jellyfish.jpg - water in:./animals", "--sort", "name", "-0"],
    ["search", "--image", "animals/jellyfish.jpg", "--under", "animals", "--diverse", "--ndjson"],
    ["search", "nothing like this is here", "--min-relevance", "1"],
    ["similar", "animals/cat-on-armchair.jpg", "-k", "2", "--json"],
    ["zsl", "animals", "--labels", "an animal,a plant", "--json"],
    ["search", "dog +"],
    ["similar", "nowhere.jpg"],
]


@pytest.mark.parametrize("arguments", ASKED, ids=" ".join)
def test_a_command_says_the_same_through_the_service_and_loads_nothing_heavy(
    served: Served, photos: Path, arguments: list[str]
) -> None:
    """A script would get other bytes or another exit code whenever a service happens to run."""
    through, loaded = served.program.modules(*arguments, cwd=photos)
    assert "clipsearch.service.client" in loaded
    assert not (HEAVY | {"sqlite3", "clipsearch.library"}) & loaded
    alone = served.program(*arguments, "--backend", "onnxruntime", cwd=photos)  # a demand, so it opens the library
    assert (through.code, through.stdout, through.stderr) == (alone.code, alone.stdout, alone.stderr)


def test_status_is_that_of_the_library(served: Served) -> None:
    """A monitor would see another library than a search does."""
    status = served.program("status", "--json").json
    assert status["library"] == str(served.program.library) and status["photos"] == 45
    assert status["text_cache"]["hit_rate"] <= 1


def test_saving_a_search_opens_the_library_and_the_service_knows_it(served: Served) -> None:
    """The service only reads; a name that it does not know could not be used."""
    saved, loaded = served.program.modules("search", "--all", "fruit", "--save", "bowl", "-k", "1")
    assert saved.code == 0 and "Saved. Search for it again: clipsearch search @bowl" in saved.stderr
    assert "clipsearch.library" in loaded
    again, loaded = served.program.modules("search", "--all", "@bowl", "-k", "1")
    assert again.stdout == saved.stdout and "clipsearch.library" not in loaded


def test_other_models_are_not_the_services(served: Served, tmp_path: Path) -> None:
    """It would answer with a model that this command does not have."""
    misses = served.program("status", "--json").json["text_cache"]["misses"]
    served.program("search", "asked once with other models", env={"CLIPSEARCH_CACHE": str(tmp_path)})
    assert served.program("status", "--json").json["text_cache"]["misses"] == misses


def test_a_command_in_a_folder_that_is_gone_does_without_the_service(served: Served, tmp_path: Path) -> None:
    """Nobody can say what relative paths mean there; a search needs none."""
    gone = tmp_path / "gone"
    gone.mkdir()
    outcome = served.program("search", "a cat sleeping on a chair", "-k", "1", cwd=gone, before=gone.rmdir)
    assert outcome.code == 0 and outcome.paths[0].endswith("cat-on-armchair.jpg")


def test_a_service_that_does_not_answer_is_passed_over(served: Served) -> None:
    """A stopped process would hang every search in every terminal."""
    served.process.send_signal(signal.SIGSTOP)
    try:
        outcome, loaded = served.program.modules("search", "a cat", "-k", "1")
    finally:
        served.process.send_signal(signal.SIGCONT)
    assert outcome.code == 0 and outcome.stderr == "" and "clipsearch.library" in loaded


def test_mcp_without_its_extra_is_one_sentence(program: Program) -> None:
    """An ImportError does not say what to install."""
    code = "import sys; sys.modules['mcp'] = None; from clipsearch.cli import run; sys.exit(run(['mcp']))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=program.environment, timeout=60)
    outcome = Outcome(done.returncode, done.stdout.encode(), done.stderr)
    assert said_once(outcome, 2) == "clipsearch mcp needs the extra mcp, which is not installed."
    assert "pip install 'clipsearch[mcp]'" in outcome.stderr
