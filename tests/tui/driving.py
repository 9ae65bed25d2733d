"""The interface driven without a terminal: keys go in, and a test waits for what must come of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from textual.pilot import Pilot

from clipsearch.config import Paths
from clipsearch.pictures.protocol import Protocol
from clipsearch.tui.app import ClipsearchApp
from clipsearch.tui.screens.search import SearchScreen
from clipsearch.tui.widgets.results import Results

LIMIT_S = 30.0  # a promise that takes longer is broken; nothing waits that long when it holds


class Driver:
    """One running interface."""

    def __init__(self, app: ClipsearchApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> SearchScreen:
        return self.app.search_screen

    @property
    def results(self) -> Results:
        return self.screen.results

    @property
    def names(self) -> list[str]:
        """The file names of the photos shown."""
        return [hit.path.rpartition(b"/")[2].decode() for hit in self.results.hits]

    @property
    def lines(self) -> list[str]:
        """What stands on the screen."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def toasts(self) -> str:
        return "\n".join(note.message for note in self.app._notifications)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Returns when `condition` holds; fails, saying what was awaited and what is there instead."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"never happened: {what}\n{self.text}\n{self.toasts}")
            await self.pilot.pause(0.01)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Types into whatever has the focus."""
        await self.pilot.press(*("space" if character == " " else character for character in text))

    async def ask(self, text: str) -> None:
        """Puts a question and waits for its answer."""
        self.screen.bar.ask_for(text)
        await self.answered(text)

    async def answered(self, text: str) -> None:
        await self.until(lambda: self.screen.answer and self.screen.answered == text, f"an answer to {text!r}")

    async def ready(self) -> None:
        """The first photos are there, and keys go to them."""
        await self.until(lambda: self.results.hits, "the first photos")
        self.results.focus()
        await self.until(lambda: self.results.has_focus, "the focus on the photos")


def drive(
    paths: Paths,
    scenario: Callable[[Driver], Awaitable[None]],
    *,
    size: tuple[int, int] = (80, 24),
    pictures: Protocol = "blocks",
    keys: Mapping[str, str] = MappingProxyType({}),
) -> ClipsearchApp:
    """Runs the interface through `scenario`."""
    app = ClipsearchApp(paths, pictures=pictures, keys=keys)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await scenario(Driver(app, pilot))

    asyncio.run(run())
    return app
