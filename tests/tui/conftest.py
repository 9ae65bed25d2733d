"""Small real libraries of the sample photos, with the model that ships inside the package."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.library import Library
from tests.conftest import SAMPLES


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample photos at a place of their own. Read-only for all tests."""
    return Path(shutil.copytree(SAMPLES, tmp_path_factory.mktemp("tui") / "Photos"))


@pytest.fixture(scope="session")
def indexed_once(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    folder = tmp_path_factory.mktemp("indexed")
    paths = Paths(folder / "library", folder / "cache", folder / "models")
    with Library(paths) as library:
        for _ in library.index([photos], workers=1):
            pass
        library.search("flowers")  # its vector is kept: most tests ask for it
    return paths


@pytest.fixture
def indexed(indexed_once: Paths, tmp_path: Path) -> Paths:
    """A library of the sample photos that the test may write to."""
    library = Path(shutil.copytree(indexed_once.library, tmp_path / "library"))
    cache = Path(shutil.copytree(indexed_once.cache, tmp_path / "cache"))
    return Paths(library, cache, tmp_path / "models")


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One kind of terminal for all tests."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    yield
