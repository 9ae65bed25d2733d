"""A shared library on the screen: asked as any other, and what would change it says why it does not."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.library import Library
from tests.tui.driving import Driver, drive

pytestmark = pytest.mark.skipif(find_spec("lance") is None, reason="the extra [lance] is not installed")


@pytest.fixture
def shared(indexed: Paths, tmp_path: Path) -> Paths:
    with Library(indexed) as library:
        store = library.share(tmp_path / "store").library
    return replace(indexed, library=tmp_path / "kept", shared=store)


def test_photos_come_from_a_shared_library(shared: Paths) -> None:
    """Reporters sit at the screen, not at the library."""

    async def scenario(driver: Driver) -> None:
        await driver.until(lambda: len(driver.results.hits) == 45, "the first photos")
        await driver.type("flowers")
        await driver.answered("flowers")
        assert driver.names[0] in ("blue-periwinkle.jpg", "red-flower.jpg")
        await driver.press("enter")
        await driver.answered("flowers")  # nothing keeps it in a history, and nothing complains
        assert not driver.toasts

    drive(shared, scenario)
    assert not (shared.library / "catalog.db").exists()
