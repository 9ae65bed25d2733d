"""How far a long deed is, where somebody looks: a line on a terminal that goes again, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from clipsearch.cli.output import colored
from clipsearch.cli.voice import is_quiet
from clipsearch.types import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID


_SOON_S = 0.5  # what is over by then needs no line
_REDRAWN_S = 0.1
_ERASED = "\r\x1b[2K"


@dataclass(frozen=True, slots=True)
class Line:
    """One line at the bottom of a terminal for deeds that follow each other, with the time left of each."""

    show: Progress
    aside: Callable[[], AbstractContextManager[None]]  # while other text is written, which stands above the line


@contextmanager
def meter(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, of all)."""
    with metered() as line:
        yield partial(line.show, what)


@contextmanager
def metered() -> Iterator[Line]:
    if is_quiet() or not sys.stderr.isatty():
        yield Line(_unseen, nullcontext)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichLine

    console = Console(stderr=True, color_system="auto" if colored(sys.stderr) else None)
    columns = (TextColumn(" {task.description}"), BarColumn(bar_width=24), TaskProgressColumn(), TimeRemainingColumn())
    # Drawn by hand: a thread that draws would draw between a row and its end.
    line = RichLine(
        *columns, console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    )
    began: dict[str, tuple[TaskID, float]] = {}
    drawn = 0.0

    def show(what: str, done: int, total: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if what not in began:
            for other, _ in began.values():
                line.update(other, visible=False)
            began[what] = line.add_task(what, total=None), now
        task, since = began[what]
        line.update(task, completed=done, total=total, visible=done < total)
        if now - since > _SOON_S and now - drawn > _REDRAWN_S:
            drawn = now
            line.start()
            line.refresh()

    @contextmanager
    def aside() -> Iterator[None]:
        if line.live.is_started:
            console.file.write(_ERASED)
            console.file.flush()
        yield
        if line.live.is_started:
            line.refresh()

    try:
        yield Line(show, aside)
    finally:
        line.stop()


def _unseen(what: str, done: int, total: int) -> None:
    """Nobody looks."""
