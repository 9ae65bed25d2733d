"""What every test shares: no home directory, no network, a library and a cache of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from clipsearch import config

REPOSITORY = Path(__file__).parents[1]
SAMPLES = REPOSITORY / "sample_images"
SHARED = REPOSITORY.parent / "shared"

# Derandomised where a red run must be repeatable; a deadline would time the machine, not the code.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if "CI" in os.environ else "dev")


class AskedForAHomeDirectory(AssertionError):
    """A test reached for the user's own library, cache or models."""


@pytest.fixture(autouse=True)
def no_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Default places raise in this process and lie in a temporary folder in its children."""

    def refuse(kind: str) -> Path:
        raise AskedForAHomeDirectory(kind)

    monkeypatch.setattr(config, "platform_folder", refuse)
    home = tmp_path_factory.mktemp("home")
    for variable in ("HOME", "USERPROFILE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(home))
    for variable in (*(one.variable for one in config.SETTINGS if one.variable), "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(config.CONFIG_VARIABLE, os.devnull)


@pytest.fixture
def paths(tmp_path: Path) -> config.Paths:
    return config.Paths(tmp_path / "library", tmp_path / "cache", tmp_path / "models")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test data beside the checkout; tests that need it say so when it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with test data is not beside the checkout")
    return SHARED
