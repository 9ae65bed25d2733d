"""The source of events for macOS and Windows, driven by an observer of watchdog that runs here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from watchdog.observers import Observer

from clipsearch.config import Paths
from clipsearch.watching import native as of_this_system
from clipsearch.watching.recursive import Recursive
from clipsearch.watching.settling import Notes
from clipsearch.watching.source import Source
from tests.support.encoder import HashEncoder
from tests.watching.test_changes import created, deleted, folder_moved, ignored, moved_out_and_in, replaced, tree
from tests.watching.watched import watching


@pytest.fixture
def recursive(monkeypatch: pytest.MonkeyPatch) -> None:
    def native(notes: Notes) -> Source:
        return Recursive(notes, Observer())

    monkeypatch.setattr(of_this_system, "_native", native)


CHANGES = [created, replaced, folder_moved, deleted, moved_out_and_in, ignored]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_after_a_change_the_library_is_that_of_a_fresh_index(
    fast: list[HashEncoder], recursive: None, paths: Paths, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """A Mac must find the same photos."""
    folder = tree(tmp_path / "photos")
    with watching(paths, folder) as watch:
        change(folder)
        watch.agrees()
