"""A child process that is asked one thing of a runtime: whatever it does, this process goes on.

It is killed after its time, and dies of its own memory limit. Drivers crash, hang and fill the memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import astuple, dataclass
from typing import Any

from clipsearch.engine.backends import TABLE

MEMORY_BYTES = 8 << 30  # for one, and half of what the machine has where that is less
_GRACE_S = 3.0  # after its time the child ends itself, if nobody has


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str
    timed_out: bool = False


def answered(module: str, runtime: str, job: dict[str, Any], seconds: float) -> dict[str, Any] | Failed:
    """What `python -m module` found, its last word where its time was over, or why there is none.

    The child reads the job as JSON, with its limits and the runtime's entry in the table of backends, and writes JSON,
    one object a line.
    """
    entry = TABLE[runtime]
    job = {
        "runtime": [runtime, *astuple(entry)],
        "memory_limit": _memory_limit(),
        "time_limit": seconds + _GRACE_S,
        **job,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module],
            input=json.dumps(job).encode(),
            capture_output=True,
            timeout=max(seconds, 0.001),
            check=False,
            start_new_session=True,  # Ctrl-C is the parent's; `run` kills and reaps the child then
        )
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b"").split(b"\n")[:-1]  # whole ones
        if lines and "variant" in job:
            return {**json.loads(lines[-1]), "stopped": True}
        return Failed(f"it took longer than {seconds:.0f} s", timed_out=True)
    if done.returncode < 0:
        return Failed(f"it crashed (signal {-done.returncode})")
    if done.returncode:
        return Failed(_last_words(done.stderr))
    if not done.stdout:  # a library may end a process as it likes
        return Failed("it ended without a word")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _memory_limit() -> int:
    """Bytes. A machine that swaps, or whose kernel kills, would pay with other programs for a trial."""
    limit = MEMORY_BYTES
    if hasattr(os, "sysconf"):  # not on Windows
        with contextlib.suppress(OSError, ValueError):  # a system without these names; -1: it does not know
            pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
            limit = min(limit, pages * size // 2) if pages > 0 and size > 0 else limit
    return limit


def _last_words(stderr: bytes) -> str:
    """The last line of a traceback: the error and what it says."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed without a word"]
    name, _, words = lines[-1].partition(": ")
    return (
        "it needs more memory than it may take"
        if name.endswith("MemoryError")
        else " ".join((words or name).split())[:200]
    )
