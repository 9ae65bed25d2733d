"""How far a long deed is, where somebody looks: a line on a terminal that goes again, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clipsearch.cli.output import colored
from clipsearch.cli.voice import is_quiet


@contextmanager
def meter(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, of all)."""
    if is_quiet() or not sys.stderr.isatty():
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, color_system="auto" if colored(sys.stderr) else None)
    columns = (TextColumn(f" {what}"), BarColumn(bar_width=24), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _unseen(done: int, total: int) -> None:
    """Nobody looks."""
