"""watcher.json in the library's folder: how a running watcher watches. What a dead one has left is not believed.

The watcher holds `watcher.lock` as long as it lives, so whoever reads the record sees by the lock whether it counts.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path

from clipsearch.files import lock_holder, publish_private
from clipsearch.types import WatcherStatus, Watching


def record_path(library: Path) -> Path:
    return library / "watcher.json"


def lock_path(library: Path) -> Path:
    return library / "watcher.lock"


def read_record(library: Path) -> WatcherStatus | None:
    """What the running watcher says; None where none runs, or none that this program understands."""
    try:
        said = json.loads(record_path(library).read_bytes())
        if not lock_holder(lock_path(library)):
            return None
        roots = tuple(Watching(**one | {"root": base64.b64decode(one["root"])}) for one in said.pop("roots"))
        return WatcherStatus(**said, roots=roots)
    except (OSError, ValueError, TypeError, KeyError):  # none, half of one, or that of another version
        return None


def write_record(library: Path, status: WatcherStatus) -> None:
    fields = asdict(status)
    for one in fields["roots"]:
        one["root"] = base64.b64encode(one["root"]).decode()
    publish_private(record_path(library), json.dumps(fields).encode() + b"\n")


def remove_record(library: Path) -> None:
    record_path(library).unlink(missing_ok=True)
