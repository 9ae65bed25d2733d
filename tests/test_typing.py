"""The types that users see, checked as users check them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.slow  # what passes is checked by scripts/lint too
def test_a_program_that_uses_the_api_passes_mypy_strict_and_its_mistakes_do_not(tmp_path: Path) -> None:
    """Types that are absent or wrong make a checker accept what fails, or refuse what works."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed here; scripts/lint installs it")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "tests/typing"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_says_that_it_is_typed() -> None:
    """Without py.typed a checker ignores every annotation of an installed package."""
    assert (REPOSITORY / "clipsearch" / "py.typed").is_file()
