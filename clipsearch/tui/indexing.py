"""Indexing as a child process: `clipsearch index --progress json`, its lines turned into events again.

In a process of its own indexing shares no interpreter lock with the event loop, its crash costs the interface nothing,
and stopping it is the Ctrl-C that the command line has anyway. Its lines are read on a thread and handed over as
values; nothing here waits on the loop.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clipsearch.config import CACHE_VARIABLE, LIBRARY_VARIABLE, MODELS_VARIABLE, Paths
from clipsearch.errors import Exit
from clipsearch.events import Advanced, Event, Measuring, Planned, Scanning, Summary, Timings, Unlisted, Waiting

_NICE = 10  # the person at the keyboard comes first; with nobody there it has the machine all the same
_PROGRESS_S = 0.25  # between two events of progress: each is a piece of the screen drawn anew


@dataclass(frozen=True, slots=True)
class Stopped:
    """The child has ended without a Summary: what it said, as the command line says it."""

    message: str
    hint: str


class Indexing:
    """One run of the indexer. `tell` is called on a thread, with each event and with Stopped if it fails."""

    def __init__(
        self,
        paths: Paths,
        backend: str,
        folders: Sequence[bytes],
        tell: Callable[[Event | Stopped], object],
        threads: int = 0,
    ):
        self._tell = tell
        how = ["--backend", backend, "--threads", str(threads)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "clipsearch", "index", "--progress", "json", *how, "--", *folders],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # what is no JSON is narration
            env=os.environ
            | {
                LIBRARY_VARIABLE: paths.named,
                CACHE_VARIABLE: str(paths.cache),
                MODELS_VARIABLE: str(paths.models),
            },
            start_new_session=True,  # a Ctrl-C in the terminal is not meant for it
        )
        if hasattr(os, "setpriority"):  # not on Windows
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)
        self._reader = threading.Thread(target=self._read, name="clipsearch indexing")
        self._reader.start()

    @property
    def is_running(self) -> bool:
        return self._reader.is_alive()

    def stop(self) -> None:
        """Asks it to finish the photos in hand, as Ctrl-C does. All of them are kept."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def wait(self) -> None:
        """Returns when the child has ended and all that it said was told. Not for the event loop."""
        self._reader.join()

    def _read(self) -> None:
        finished, said, told_at = False, [], 0.0
        with self._process as process:
            assert process.stdout  # it is a pipe
            for line in process.stdout:
                if line.startswith(b"{"):
                    event = read_event(json.loads(line))
                    finished = finished or isinstance(event, Summary)
                    if isinstance(event, Advanced) and event.done < event.total:
                        if time.monotonic() - told_at < _PROGRESS_S:
                            continue
                        told_at = time.monotonic()
                    self._tell(event)
                else:
                    said.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))
        if not finished:
            self._tell(_stopped(said, process.returncode))


def read_event(fields: Mapping[str, object]) -> Event:
    """The event that the command line wrote as these fields."""

    def count(name: str) -> int:
        return int(str(fields[name]))

    match fields["event"]:
        case "scanning":
            return Scanning(_path(fields), count("files"))
        case "waiting":
            return Waiting(str(fields["holder"]))
        case "measuring":
            return Measuring(float(str(fields["seconds"])))
        case "planned":
            counts = {name: count(name) for name in ("files", "unchanged", "fresh", "moved", "gone", "held")}
            return Planned(_path(fields), **counts)
        case "unlisted":
            return Unlisted(_path(fields), str(fields["reason"]))
        case "advanced":
            waiting = fields["waiting_for"]
            path = os.fsencode(str(waiting)) if waiting else None
            return Advanced(count("done"), count("total"), count("failed"), path)
        case "done" | "stopped" as end:
            timings = fields["timings"]
            assert isinstance(timings, Mapping)
            return Summary(
                indexed=count("indexed"), unchanged=count("unchanged"), moved=count("moved"),
                duplicates=count("duplicates"), removed=count("removed"), failed=count("failed"),
                seconds=float(str(fields["seconds"])), interrupted=end == "stopped",
                timings=Timings(**timings),
            )  # fmt: skip
        case unknown:
            raise ValueError(f"no event is called {unknown}")


def _path(fields: Mapping[str, object]) -> bytes:
    if "path_b64" in fields:
        return base64.b64decode(str(fields["path_b64"]))
    return os.fsencode(str(fields["path"]))


def _stopped(said: Sequence[str], code: int) -> Stopped:
    """The sentence and the hint among the lines said, or what the exit code tells."""
    messages = [line.removeprefix("clipsearch: ") for line in said if line.startswith("clipsearch: ")]
    hints = [line.removeprefix("hint: ") for line in said if line.startswith("hint: ")]
    ended = "was ended" if code < 0 or code == Exit.INTERRUPTED else f"ended with {code}"
    return Stopped(
        messages[-1] if messages else f"The indexer {ended}; what was committed is kept.",
        hints[-1] if hints else "Index again to go on.",
    )
