"""The event loop only draws: whatever may wait for a disk, a database or a model happens elsewhere."""

from __future__ import annotations

import builtins
import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsearch.config import Paths
from clipsearch.library import Library
from tests.tui.driving import Driver, drive

PUBLIC = [name for name in vars(Library) if not name.startswith("_") and callable(getattr(Library, name))]


def test_nothing_that_may_wait_runs_on_the_loop(
    indexed: Paths, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library on a slow disk would freeze every key press."""
    loop = threading.get_ident()
    called: set[str] = set()
    blocked: set[str] = set()

    def watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            called.add(name)
            if threading.get_ident() == loop:
                blocked.add(name)
            return original(*arguments, **options)

        return call

    for name in PUBLIC:
        if name != "open":
            monkeypatch.setattr(Library, name, watched(f"Library.{name}", getattr(Library, name)))
    monkeypatch.setattr(sqlite3, "connect", watched("sqlite3.connect", sqlite3.connect))
    monkeypatch.setattr(os, "listdir", watched("os.listdir", os.listdir))
    monkeypatch.setattr(subprocess, "run", watched("subprocess.run", subprocess.run))

    async def scenario(driver: Driver) -> None:
        monkeypatch.setattr(builtins, "open", watched("open", builtins.open))
        await driver.ask("flowers")
        await driver.ready()
        await driver.press("right", "m", "space", "t", "t", "O", "y", "x")
        await driver.press("s")
        await driver.type("some")
        await driver.press("enter")
        await driver.until(lambda: "@some" in driver.toasts, "the saved search")
        await driver.press("U")
        await driver.until(lambda: "could not be read" in driver.text, "the failures")
        await driver.press("escape", "ctrl+p", "escape", "slash", "enter")
        await driver.until(lambda: "Library.remember" in called, "the history")
        driver.screen.want_indexing((bytes(photos / "garden"),))
        await driver.until(lambda: "Done in" in driver.toasts, "the indexer")

    drive(indexed, scenario, size=(140, 40))
    assert {"Library.search", "Library.thumbnails", "Library.photo", "Library.status", "Library.save_search"} <= called
    assert not blocked


def test_each_library_stays_with_its_thread(indexed: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite connection used by two threads is an error that comes once a week."""
    threads: dict[int, set[int]] = {}
    for name in ("search", "thumbnails", "photo", "status"):
        original = getattr(Library, name)

        def call(self: Library, *arguments: Any, _original: Any = original, **options: Any) -> Any:
            threads.setdefault(id(self), set()).add(threading.get_ident())
            return _original(self, *arguments, **options)

        monkeypatch.setattr(Library, name, call)

    async def scenario(driver: Driver) -> None:
        await driver.ask("flowers")
        await driver.ready()
        await driver.press(*["right"] * 5)
        await driver.until(lambda: "▀" in driver.text, "pictures")

    drive(indexed, scenario, size=(140, 40))
    assert len(threads) == 2
    assert all(len(used) == 1 for used in threads.values())
