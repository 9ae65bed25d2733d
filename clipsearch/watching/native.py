"""Which source of events this system has, and whether it works: a file is touched and must be heard of."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

from clipsearch.index.catalog import Root
from clipsearch.watching.settling import SELF_TEST, Notes
from clipsearch.watching.source import OutOfWatches, Source

SELF_TEST_S = 2.0  # an event takes some milliseconds


def begun(notes: Notes, library: Path) -> tuple[Source | None, str | None]:
    """The source of events of this system, or why there is none that works."""
    try:
        source = _native(notes)
    except OSError as error:  # no inotify instance is left
        return None, f"the system gives no source of events ({error.strerror or error})"
    if source is None:
        return None, f"{sys.platform} has no events that clipsearch knows"
    if self_test(source, notes, library):
        return source, None
    source.close()
    return None, "a test file was written and no event came"


def self_test(source: Source, notes: Notes, library: Path) -> bool:
    """Whether a file that appears is heard of. It lies in the library's folder, never among photos."""
    folder = library / "watch-test"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    root = Root(SELF_TEST, os.fsencode(folder), False, (), None)
    try:
        source.enter(root, b"", False)
        (folder / "heard.jpg").touch()
        return notes.hears(SELF_TEST_S)
    except OutOfWatches:
        return False
    finally:
        with contextlib.suppress(OutOfWatches):
            source.leave(SELF_TEST)
        shutil.rmtree(folder, ignore_errors=True)
        notes.forget(SELF_TEST)


def _native(notes: Notes) -> Source | None:
    """watchdog is loaded here and not before."""
    if sys.platform == "linux":
        from clipsearch.watching.inotify import Inotify

        return Inotify(notes)
    if sys.platform in ("darwin", "win32"):
        from clipsearch.watching.recursive import Recursive

        return Recursive(notes)
    return None
