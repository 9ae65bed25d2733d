"""The line that says what was found and what is going on."""

from __future__ import annotations

import time

from textual.content import Content

from clipsearch.events import Advanced, Event, Measuring, Planned, Scanning, Summary, Unlisted
from clipsearch.printable import shown
from clipsearch.tui.indexing import Stopped
from clipsearch.tui.widgets.ends import Ends
from clipsearch.tui.wording import duration


class StatusLine(Ends):
    """Counts at the left; at the right the progress of indexing, while it runs."""

    DEFAULT_CSS = """
    StatusLine { background: $surface; color: $text; }
    """

    def __init__(self) -> None:
        super().__init__(id="status")
        self._began = 0.0  # of encoding, on the monotonic clock
        self._done_then = 0

    def told(self, event: Event | Stopped) -> None:
        """An event of the indexer."""
        match event:
            case Scanning():
                self.show(right=Content(f"looking through {shown(event.root)}"))
            case Measuring():
                self.show(right=Content(f"measuring how to run the model, {event.seconds:.0f} s at most, once"))
            case Planned():
                self._began = 0.0
            case Advanced():
                self.show(right=Content(self._progress(event)))
            case Summary() | Stopped():
                self.show(right=Content())
            case Unlisted():
                pass  # a toast says so

    def _progress(self, event: Advanced) -> str:
        now = time.monotonic()
        if not self._began:
            self._began, self._done_then = now, event.done
        done, seconds = event.done - self._done_then, now - self._began
        left = f"  {duration((event.total - event.done) * seconds / done)}" if done and seconds > 1 else ""
        failed = f", {event.failed:,} not readable" if event.failed else ""
        return f"indexing {event.done:,}/{event.total:,}{failed}{left}"
