"""What a watcher tells: how each folder is watched, a line for each batch in which something has changed, trouble."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from clipsearch.cli.output import narrate, printable, tell
from clipsearch.cli.progress import Live, Report, duration, live_line, report_json, report_line, short
from clipsearch.cli.voice import is_quiet
from clipsearch.events import Summary, Troubled, Unlisted, Waiting, WatchEvent
from clipsearch.types import Watching


@contextmanager
def following(kind: str) -> Iterator[Report]:
    """The way to report, as progress.reporter has it."""
    if kind == "json":
        yield report_json
    elif kind == "auto" and not is_quiet() and sys.stderr.isatty():
        with live_line() as live:
            yield partial(_report, live.above, live.above, "%H:%M:%S", live)
    else:
        yield partial(_report, narrate, tell, "%Y-%m-%d %H:%M:%S", None)


def _report(
    write: Callable[[str], None], warn: Callable[[str], None], clock: str, live: Live | None, event: WatchEvent
) -> None:
    """Batches without a change are no news; a long one shows on the live line how far it is."""
    match event:
        case Watching():
            write(f"{short(event.root)} · {how_watched(event)}{_safety(event)}")
        case Troubled():
            warn(f"clipsearch: {printable(event.message)}\nhint: {printable(event.hint)}")
        case Summary():
            if live:
                live.hide()
            if changes := _changes(event):
                write(f"{time.strftime(clock)}  {changes} · {duration(event.seconds)}")
        case Unlisted() | Waiting():
            report_line(event, write, warn)
        case _:
            if live:
                live.show(event)


def how_watched(watching: Watching) -> str:
    """`watched (inotify, 1,204 folders)`, `polled every 30 s: nfs brings no events`."""
    if watching.backend == "polling":
        return f"polled every {duration(watching.every_s)} ({printable(watching.reason or '')})"
    folders = f"{watching.folders:,} folder{'' if watching.folders == 1 else 's'}"
    return f"watched ({watching.backend}, {folders})"


def _safety(watching: Watching) -> str:
    return "" if watching.backend == "polling" else f"; all of it is compared every {duration(watching.every_s)}"


def _changes(summary: Summary) -> str:
    counts = [
        (summary.indexed, "new"),
        (summary.duplicates, "known"),  # a copy, or a photo that is back
        (summary.moved, "moved"),
        (summary.removed, "gone"),
        (summary.failed, "not readable"),
    ]
    return ", ".join(f"{number:,} {word}" for number, word in counts if number)
