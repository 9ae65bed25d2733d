"""What the tests of the index share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's own: for checks that run as nobody."""
    with tempfile.TemporaryDirectory(prefix="clipsearch-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
