"""The child process that decodes, `python -m clipsearch.decoding.worker`; workers.py is its parent.

First it is given a Task. Then each path is answered with an Answer; a file that needs more than small change is
answered with Needs first, and goes on when that was granted. It ends when its parent closes the pipe.

Its memory is limited to what the file at hand said in its header that it needs, so one that lies fails alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

from clipsearch.decoding.messages import Answer, Needs, Task, receive, send
from clipsearch.types import Prepare

MEMORY_LIMIT_BYTES = 4 << 30  # address space, whatever a header says

_SMALL_BYTES = 32 << 20  # not worth asking for: a JPEG of any size that is decoded smaller takes less
_HEADROOM_BYTES = 384 << 20  # beyond what pixels need: headers, profiles, the file itself, threads of AVIF
_SLACK = 1.25  # what pixels may take beyond what was reckoned
_ORPHAN_S = 300  # core-seconds for one file, of all its threads; the parent's limit is on the clock
_FILES = 2_000  # read by one process; starting another takes 0.2 s
_GROWTH_BYTES = 96 << 20  # of resident memory from which it is replaced, whatever leaked


class _Timed:
    """A Prepare that counts the core-seconds it takes."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self.size = prepare.size
        self.seconds = 0.0

    def __call__(self, image: Any, /) -> bytes:
        started = time.process_time()
        try:
            return self._prepare(image)
        finally:
            self.seconds += time.process_time() - started


def _serve() -> None:
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not garble the answers
    _volunteer()
    from clipsearch.decoding.decode import decode
    from clipsearch.decoding.kinds import Unreadable

    task = receive(source)
    assert isinstance(task, Task)

    def admit(needed: int) -> None:
        if needed > task.file_bytes:
            limit = f"{task.file_bytes / 1e9:.1f} GB is the limit; a baseline JPEG of it needs little"
            raise Unreadable(f"it needs {needed / 1e9:.1f} GB of memory to be read and {limit}")
        if needed > _SMALL_BYTES:
            send(sink, Needs(needed))
            receive(source)
        _limit_memory(_HEADROOM_BYTES + int(_SLACK * needed))

    _limit_memory(_HEADROOM_BYTES)
    fresh_bytes, files = _memory(1), 0
    send(sink, "ready")
    with contextlib.suppress(EOFError):
        while True:
            path = receive(source)
            _limit_time()
            timed, started = _Timed(task.prepare), time.process_time()
            outcome = decode(path, timed, admit)  # type: ignore[arg-type]  # our own parent wrote it
            spent = time.process_time() - started
            _limit_memory(_HEADROOM_BYTES)
            files += 1
            is_worn = files >= _FILES or _memory(1) > fresh_bytes + _GROWTH_BYTES
            send(sink, Answer(outcome, spent - timed.seconds, timed.seconds, is_worn))


def _volunteer() -> None:
    """Where memory runs out, the kernel ends this process, which costs a file, and not the run or somebody's editor."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("1000")


def _limit_memory(more: int) -> None:
    """Address space: what is used now and `more`, or the constant above where the system does not say what is used."""
    used = _memory(0)
    _limit("RLIMIT_AS", min(used + more, MEMORY_LIMIT_BYTES) if used else MEMORY_LIMIT_BYTES)


def _limit_time() -> None:
    """A child that hangs is killed by its parent; one whose parent was killed ends itself."""
    _limit("RLIMIT_CPU", int(time.process_time()) + _ORPHAN_S)


def _limit(name: str, soft: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the parent's clock and the header's budget remain
        return
    kind: int = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]  # of whoever started us, and not ours to raise
    resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _memory(field: int) -> int:
    """Bytes of address space (field 0) or of resident memory (1); 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


if __name__ == "__main__":
    _serve()
