"""Compiled graphs of text towers, kept in the cache folder for the next cold query.

OpenVINO opens ViT-B/32's text tower of 254 MB three to four times as fast from there (`benchmarks/cold_text.py`), and
what it keeps is as large as the weights. Image towers are opened once for a whole run, and are not kept. A folder
belongs to one graph by its digest, one version of the runtime, one machine and one way; what lies in it is used only
while it has the digests that were written down when it was made. It may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from clipsearch.engine.backends import Way
from clipsearch.engine.cards import TowerFile
from clipsearch.engine.choosing.machine import machine, runtime_version
from clipsearch.engine.digests import sha256
from clipsearch.files import replace_unsynced

KEEPING = ("openvino",)  # runtimes that can take a folder for it
_MOST_BYTES = 768 << 20  # of all that is kept; the least recently used go first
_SUMS = "sums.json"
_MAKING_S = 60.0  # that a process may take from its folder to its sums


@contextlib.contextmanager
def kept(way: Way, tower: TowerFile, size: int, cache: Path | None) -> Iterator[Way]:
    """The way to open a tower of this size in bytes: with a folder for what is compiled of it."""
    told = tower.file.endswith(".onnx") or tower.data  # an .xml has its weights elsewhere: which, the card may say
    if cache is None or way.runtime not in KEEPING or size > _MOST_BYTES // 2 or not told:
        yield way
        return
    of = [way.name, runtime_version(way.runtime), way.threads, way.tokens, *machine(), tower.identity]
    folder = cache / "compiled" / hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]
    was_whole = _is_whole(folder, cache)
    if not was_whole and _is_being_made(folder):
        yield way
        return
    try:
        if not was_whole:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
    except OSError:  # a cache that cannot be written is none
        yield way
        return
    yield replace(way, compiled=folder)
    with contextlib.suppress(OSError):
        if was_whole:
            os.utime(folder)
        else:
            _write_sums(folder)
            _drop_oldest(folder.parent)


def _is_whole(folder: Path, cache: Path) -> bool:
    """Whether all that lies there is what was written down. A runtime that reads garbage may crash, or answer."""
    try:
        sums = json.loads((folder / _SUMS).read_bytes())
        names = {file.name for file in folder.iterdir()} - {_SUMS}
        return names == set(sums) and all(sha256(folder / name, cache) == sums[name] for name in names)
    except (OSError, ValueError, TypeError):  # none yet, or torn
        return False


def _is_being_made(folder: Path) -> bool:
    """Another process may be writing there; one that was killed at it is forgotten after a minute."""
    with contextlib.suppress(OSError):
        return not (folder / _SUMS).exists() and time.time() - folder.stat().st_mtime < _MAKING_S
    return False


def _write_sums(folder: Path) -> None:
    """Last, so that a process that is killed before leaves a folder that is not whole."""
    sums = {file.name: sha256(file) for file in folder.iterdir()}
    replace_unsynced(folder / _SUMS, json.dumps(sums).encode())


def _drop_oldest(parent: Path) -> None:
    folders = sorted(parent.iterdir(), key=lambda folder: folder.stat().st_mtime_ns, reverse=True)
    room = _MOST_BYTES
    for folder in folders:
        room -= sum(file.stat().st_size for file in folder.iterdir())
        if room < 0:
            shutil.rmtree(folder)
