"""A small library and one service of each kind for the tests that only ask; the others start their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program, copied
from tests.conftest import SAMPLES
from tests.service.served import Served, serving

NAMES = (
    "animals/jellyfish.jpg",
    "animals/dogs-at-window.jpg",
    "animals/cat-on-armchair.jpg",
    "food/coffee-cup.jpg",
    "city/japanese-shop-night.jpg",
)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photos in their folders, and a copy whose name is not UTF-8. Read-only for all tests."""
    folder = tmp_path_factory.mktemp("served") / "Photos"
    for name in NAMES:
        copied(SAMPLES, (folder / name).parent, name)
    (folder / "animals" / "caf\udce9.jpg").write_bytes((folder / NAMES[0]).read_bytes())
    return folder


@pytest.fixture(scope="session")
def indexed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program with these photos in its library, and a saved search. Read-only but for its text cache."""
    program = Program(tmp_path_factory.mktemp("service"))
    # The last bits of a matrix product are the BLAS kernel's; answers are compared with those of this process.
    program.environment |= {name: os.environ[name] for name in os.environ if name.startswith("OPENBLAS_")}
    assert program("index", photos).code == 0
    assert program("search", "+ like:animals/jellyfish.jpg", "--save", "jelly", cwd=photos).code == 0
    return program


@pytest.fixture(scope="session")
def served(indexed: Program) -> Iterator[Served]:
    """The service of that library, on its socket."""
    with serving(indexed, "--idle", "0") as service:
        yield service


def with_library_of(indexed: Program, program: Program) -> Program:
    """`program` with a copy of the library; one library has one service."""
    shutil.copytree(indexed.library, program.library, ignore=shutil.ignore_patterns("service.*"))
    return program


@pytest.fixture(scope="session")
def at_port(indexed: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """As `served`, at a free port."""
    program = with_library_of(indexed, Program(tmp_path_factory.mktemp("port")))
    with serving(program, "--idle", "0", "--port", "0") as service:
        yield service


@pytest.fixture
def program(indexed: Program, tmp_path: Path) -> Program:
    """A library of its own, to be changed."""
    return with_library_of(indexed, Program(tmp_path / "machine"))
