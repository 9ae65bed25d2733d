"""A small library and one service of each kind for the tests that only ask; the others start their own."""

from __future__ import annotations

import os
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
    with serving(indexed, "--idle", "0") as service:
        yield service


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A library of its own with one photo, to be changed."""
    program = Program(tmp_path / "machine")
    copied(SAMPLES, tmp_path / "own", "food/coffee-cup.jpg")
    assert program("index", tmp_path / "own").code == 0
    return program
