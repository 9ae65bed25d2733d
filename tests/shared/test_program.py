"""The commands of a newsroom, as typed: exit codes, what is printed, what is not loaded."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.conftest import SAMPLES

pytestmark = pytest.mark.skipif(find_spec("lance") is None, reason="the extra [lance] is not installed")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The writer's machine, with some photos in its library."""
    program = Program(tmp_path_factory.mktemp("archive"))
    photos = Path(shutil.copytree(SAMPLES / "animals", program.folder / "Photos"))
    assert program("index", photos).code == 0
    return program


@pytest.mark.slow
def test_one_exports_and_others_find_the_same(archive: Program, tmp_path: Path) -> None:
    """The whole page of docs, in the order of a morning."""
    store = tmp_path / "share"
    done = archive("export", "--to", "lance", store)
    assert done.code == 0 and done.paths == [f"lance:{store}"] and not done.stderr
    reader = Program(tmp_path / "desk")
    there = ["--library", f"lance:{store}"]
    wanted = archive("search", "a cat", "-k", "3", "--json").json
    assert reader("search", *there, "a cat", "-k", "3", "--json").json == wanted
    assert reader("search", "is:landscape", "-k", "0", env={"CLIPSEARCH_LIBRARY": there[1]}).code == 0
    cat = archive.folder / "Photos" / "cat-on-armchair.jpg"
    assert reader("similar", *there, cat).paths[0] == os.fspath(cat)
    labelled = reader("zsl", *there, "--labels", "cat,dog", cat, "--json")
    assert labelled.code == 0 and labelled.json == archive("zsl", "--labels", "cat,dog", cat, "--json").json
    status = reader("status", *there, "--json").json
    assert (status["library"], status["photos"]) == (f"lance:{store}", len(list(cat.parent.iterdir())))
    refused = reader("zsl", *there, "--labels", "cat,dog", cat, "--save")
    assert refused.code == 3 and not refused.stdout  # before minutes of work, not after
    again = archive("export", f"lance:{store}", "--json").json
    assert again == {"library": f"lance:{store}", "version": 2, "photos": status["photos"], "index": False,
                     "vectors": status["photos"], "failures": 0}  # fmt: skip
    checkpoint = reader("status", *there, "--json").json["checkpoint"]
    assert checkpoint["generation"] == 2 and ", published 20" in checkpoint["state"]
    assert not reader.library.exists()


@pytest.mark.parametrize(
    ("call", "code", "sentence"),
    [
        (["search", "cat"], 3, "There is no shared library in"),
        (["forget", "."], 3, "is a shared library: it is searched from here"),
        (["doctor"], 3, "is a shared library: it is searched from here"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(tmp_path: Path, call: list[str], code: int, sentence: str) -> None:
    """One line, one hint and the exit code of the table."""
    done = Program(tmp_path / "desk")("--library", f"lance:{tmp_path / 'nowhere'}", *call, cwd=tmp_path)
    assert done.code == code and not done.stdout
    first, second = done.stderr.splitlines()
    assert first.startswith("clipsearch: ") and sentence in first and second.startswith("hint: ")


def test_a_query_of_ones_own_library_loads_no_lance(archive: Program) -> None:
    """It takes as long as the whole query."""
    done, modules = archive.modules("search", "a cat")
    assert done.code == 0 and not {"lance", "pyarrow"} & modules
