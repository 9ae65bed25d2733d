"""Events of an index run as a progress line, as NDJSON, or as plain lines where there is no terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from clipsearch.cli.output import colored, narrate, path_fields, printable, shown, tell, write_ndjson
from clipsearch.cli.voice import is_quiet
from clipsearch.events import Advanced, Measuring, Planned, Scanning, Summary, Troubled, Unlisted, Waiting, WatchEvent
from clipsearch.types import Watching

_PLAIN_EVERY_S = 10.0

Report = Callable[[WatchEvent], None]


@contextmanager
def reporter(kind: str) -> Iterator[Report]:
    """The way to report: `json` on stdout; `auto` is a live line on a terminal, a line every ten seconds elsewhere.

    --quiet leaves what went wrong.
    """
    if kind == "json":
        yield report_json
    elif kind == "none":
        yield _report_end
    elif is_quiet():
        yield report_line
    elif sys.stderr.isatty():
        with live_line() as live:
            yield partial(_report_live, live)
    else:
        yield _plain()


def report_json(event: WatchEvent) -> None:
    write_ndjson([_fields(event)])


def _fields(event: WatchEvent) -> dict[str, object]:
    match event:
        case Waiting():
            return {"event": "waiting", "holder": event.holder}
        case Troubled():
            return {"event": "troubled", "message": event.message, "hint": event.hint}
        case Watching():
            return {
                "event": "watching", **path_fields(event.root), "backend": event.backend, "folders": event.folders,
                "every_s": event.every_s, "reason": event.reason,
            }  # fmt: skip
        case Scanning():
            return {"event": "scanning", **path_fields(event.root), "files": event.files}
        case Measuring():
            return {"event": "measuring", "seconds": event.seconds}
        case Planned():
            return {
                "event": "planned", **path_fields(event.root), "files": event.files, "unchanged": event.unchanged,
                "fresh": event.fresh, "moved": event.moved, "gone": event.gone,
                "held": event.held,
            }  # fmt: skip
        case Unlisted():
            return {"event": "unlisted", **path_fields(event.path), "reason": event.reason}
        case Advanced():
            waiting = path_fields(event.waiting_for)["path"] if event.waiting_for else None
            return {
                "event": "advanced",
                "done": event.done,
                "total": event.total,
                "failed": event.failed,
                "waiting_for": waiting,
            }
        case Summary():
            return {
                "event": "stopped" if event.interrupted else "done", "indexed": event.indexed,
                "unchanged": event.unchanged, "moved": event.moved, "removed": event.removed, "failed": event.failed,
                "seconds": event.seconds, "duplicates": event.duplicates,
                "timings": {name: round(spent, 3) for name, spent in asdict(event.timings).items()},
                **({} if event.bundle is None else {"bundle": path_fields(event.bundle)["path"]}),
            }  # fmt: skip


def _report_end(event: WatchEvent) -> None:
    if isinstance(event, (Unlisted, Summary)):
        report_line(event)


def report_line(event: WatchEvent, write: Callable[[str], None] = narrate, warn: Callable[[str], None] = tell) -> None:
    """What is worth a line of its own."""
    match event:
        case Planned():
            if not event.files and not event.gone:
                warn(
                    f"clipsearch: {shown(event.root)} holds no photos that clipsearch knows by name "
                    "(.jpg, .png, .webp, …).\n"
                    "hint: Name a folder with photos; a photo named by itself is tried whatever it is called."
                )
                return
            counts = [
                (event.unchanged, "known"),
                (event.fresh, "to read"),
                (event.moved, "moved"),
                (event.gone, "gone"),
            ]
            told = " · ".join(f"{number:,} {word}" for number, word in counts if number)
            write(f"{short(event.root)} · {event.files:,} files" + (f" · {told}" if told else ""))
        case Waiting():
            write(f"Waiting for {printable(event.holder)}, which writes to the library.")
        case Measuring():
            write(f"Measuring the ways to run the model on this machine, {event.seconds:.0f} s at most, once")
        case Unlisted():
            warn(
                f"clipsearch: {shown(event.path)} cannot be listed ({event.reason}); "
                "what is known of it stays searchable"
            )
        case Summary():
            write(_summary(event))
        case _:
            pass


def _summary(summary: Summary) -> str:
    if summary.interrupted:
        kept = "all of them are searchable" if summary.bundle is None else f"all of them are in {shown(summary.bundle)}"
        return f"Stopped after {summary.indexed:,} photos; {kept}. Run the same command to go on."
    parts = [f"{summary.indexed:,} indexed"]
    parts += [f"{summary.unchanged:,} unchanged"] if summary.unchanged else []
    parts += [f"{summary.moved:,} moved"] if summary.moved else []
    parts += [f"{summary.removed:,} removed"] if summary.removed else []
    parts += (
        [f"{summary.duplicates:,} duplicate{'' if summary.duplicates == 1 else 's'} linked"]
        if summary.duplicates
        else []
    )
    told_by = "clipsearch errors" if summary.bundle is None else "the bundle has the reasons"
    parts += [f"{summary.failed:,} not readable ({told_by})"] if summary.failed else []
    return f"Done in {duration(summary.seconds)}: {', '.join(parts)}."


def _plain() -> Report:
    last = time.monotonic()

    def report(event: WatchEvent) -> None:
        nonlocal last
        if isinstance(event, (Advanced, Scanning)):
            if time.monotonic() - last >= _PLAIN_EVERY_S:
                last = time.monotonic()
                narrate(
                    f"{event.done:,} of {event.total:,} files"
                    if isinstance(event, Advanced)
                    else f"{short(event.root)} · {event.files:,} files found so far"
                )
        else:
            report_line(event)

    return report


@dataclass(frozen=True, slots=True)
class Live:
    """A line at the bottom of a terminal that shows how far a run is, and lines that stay above it."""

    show: Callable[[WatchEvent], None]  # moves the line, where the event says how far
    above: Callable[[str], None]
    hide: Callable[[], None]  # until something moves it again


def _report_live(live: Live, event: WatchEvent) -> None:
    live.show(event)
    if not isinstance(event, (Advanced, Scanning)):
        report_line(event, live.above, live.above)


@contextmanager
def live_line() -> Iterator[Live]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from clipsearch.cli.notices import noticed

    console = Console(stderr=True, color_system="auto" if colored(sys.stderr) else None)
    # Wide lines go above the live one whole; rich would wrap what it intercepts.
    above = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    room = max(0, console.width - 68)  # what bar, counts and rate leave for the name of the file
    columns = (
        TextColumn(" encoding"), BarColumn(bar_width=16), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[waiting]}", style="dim", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, refresh_per_second=8, redirect_stderr=False) as progress:
        task = progress.add_task("encode", total=None, visible=False, rate="", waiting="")
        started = time.monotonic()

        def show(event: WatchEvent) -> None:
            nonlocal started
            match event:
                case Planned():
                    started = time.monotonic()
                case Scanning() if event.files:
                    progress.update(
                        task, completed=event.files, total=None, visible=True, rate="files found", waiting=""
                    )
                case Advanced():
                    rate = event.done / max(time.monotonic() - started, 1e-3)
                    left = f" · {duration((event.total - event.done) / rate)} left" if rate else ""
                    progress.update(
                        task, completed=event.done, total=event.total, visible=True,
                        rate=f"{rate:.0f} photos/s{left}" if rate else "", waiting=_waiting_for(event, room),
                    )  # fmt: skip
                case _:
                    pass

        with noticed(above, above):
            yield Live(show, above, partial(progress.update, task, visible=False))


def _waiting_for(event: Advanced, room: int) -> str:
    """The file and its folder; a name without room has its end, and a sign that it is cut."""
    if event.waiting_for is None or room < 8:
        return ""
    name = shown(os.sep.encode().join(event.waiting_for.split(os.sep.encode())[-2:]))
    return name if len(name) <= room else "…" + name[1 - room :]


def short(path: bytes) -> str:
    home = str(Path.home())
    text = shown(path)
    return "~" + text[len(home) :] if text.startswith(home + "/") else text


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not rest and minutes < 60:
        return f"{minutes} min"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
