"""One library of the sample photos for the tests that only read, and a fresh program for the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.conftest import SAMPLES


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample photos at a place of their own. Read-only for all tests."""
    return Path(shutil.copytree(SAMPLES, tmp_path_factory.mktemp("samples") / "Photos"))


@pytest.fixture(scope="session")
def indexed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program with all sample photos in its library. Read-only but for its text cache."""
    program = Program(tmp_path_factory.mktemp("indexed"))
    outcome = program("index", photos)
    assert outcome.code == 0, outcome.stderr
    return program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program on a machine where it was never used."""
    return Program(tmp_path / "machine")
