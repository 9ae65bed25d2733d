"""SHA-256 of model files, computed once: a cold query would wait 0.13 s for that of a text tower of 254 MB.

A file is what it was while its size, inode and both its times are: the time of its last change (ctime) cannot be set
back as that of its contents can. Files that changed a moment ago are computed again, for a clock ticks coarsely. The
memory is a file in the cache folder; without it, or where it is torn, everything is computed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from clipsearch.files import replace_unsynced

_SETTLED_NS = 2_000_000_000  # of a file that may be remembered; the coarsest file system counts in steps of this
_MOST = 64  # files that are remembered


def sha256(path: Path, cache: Path | None = None) -> str:
    """Of the file's contents, from the memory in `cache` where the file is what it was. Raises OSError."""
    with path.open("rb") as handle:
        before = _stamp(os.fstat(handle.fileno()))
        known = {} if cache is None else _known(cache)
        name = str(path.absolute())
        if known.get(name, [None])[:-1] == before:
            return str(known[name][-1])
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        after = os.fstat(handle.fileno())
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _SETTLED_NS
    if cache is not None and settled and _stamp(after) == before:
        _remember(cache, known, name, [*before, digest])
    return digest


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]


def _file(cache: Path) -> Path:
    return cache / "digests.json"


def _known(cache: Path) -> dict[str, list[int | str]]:
    try:
        known = json.loads(_file(cache).read_bytes())
    except (OSError, ValueError):  # none yet, or torn
        return {}
    if isinstance(known, dict) and all(isinstance(row, list) and row for row in known.values()):
        return known
    return {}


def _remember(cache: Path, known: dict[str, list[int | str]], name: str, row: list[int | str]) -> None:
    """Two processes at once may forget what the other wrote; it is computed again then."""
    known.pop(name, None)
    newest = [*known.items(), (name, row)][-_MOST:]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        replace_unsynced(_file(cache), json.dumps(dict(newest)).encode())
    except OSError:  # a cache that cannot be written is none
        pass
