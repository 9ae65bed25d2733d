"""How far a long deed is, where somebody looks: a line on a terminal that goes again, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from clipsearch.cli.output import colored
from clipsearch.cli.voice import is_quiet

if TYPE_CHECKING:
    from rich.progress import TaskID


_SOON_S = 0.5  # what is over by then needs no line


@contextmanager
def meter(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, of all)."""
    with meters() as progress:
        yield partial(progress, what)


@contextmanager
def meters() -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with (what, done, of all) of deeds that follow each other: one line, the time left of each.

    Rows that are written to a terminal meanwhile stand above the line.
    """
    if is_quiet() or not sys.stderr.isatty():
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, color_system="auto" if colored(sys.stderr) else None)
    columns = (TextColumn(" {task.description}"), BarColumn(bar_width=24), TaskProgressColumn(), TimeRemainingColumn())
    line = Progress(
        *columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty(), redirect_stderr=False
    )
    began: dict[str, tuple[TaskID, float]] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in began:
            for other, _ in began.values():
                line.update(other, visible=False)
            began[what] = line.add_task(what, total=None), time.monotonic()
        task, since = began[what]
        line.update(task, completed=done, total=total, visible=done < total)
        if not line.live.is_started and time.monotonic() - since > _SOON_S:
            line.start()

    try:
        yield show
    finally:
        line.stop()


def _unseen(what: str, done: int, total: int) -> None:
    """Nobody looks."""
