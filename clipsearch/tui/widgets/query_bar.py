"""The question: its line, its filters as chips, a line of what there is to say about it, what was asked before.

Every key that changes the question changes the text, through `query_text`; the text then asks itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.suggester import Suggester
from textual.widgets import Input, Static

from clipsearch.errors import UsageError
from clipsearch.query import parse
from clipsearch.tui import query_text
from clipsearch.tui.desk import Desk
from clipsearch.tui.screens.filters import FilterScreen
from clipsearch.tui.screens.line import LineScreen
from clipsearch.tui.telling import tell, tell_error
from clipsearch.tui.widgets.chips import Chips
from clipsearch.tui.widgets.query_line import QueryLine
from clipsearch.types import SavedSearch

if TYPE_CHECKING:  # it loads in the thread that opens it
    from clipsearch.library import Library

Noted = TypeVar("Noted")


class PathSuggester(Suggester):
    """Completes the path of a file from the disk, on a thread."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(_completed, value)


class QueryBar(Vertical):
    """What is asked. `QueryLine` and `Chips` speak to the screen through it."""

    DEFAULT_CSS = """
    QueryBar { height: auto; }
    QueryBar Horizontal { height: 1; padding: 0 1; background: $surface; }
    QueryBar #prompt { width: 2; color: $accent; text-style: bold; }
    QueryBar #notice { display: none; height: auto; max-height: 6; padding: 0 1; color: $warning; }
    QueryBar #notice.-any { display: block; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.line = QueryLine(id="query")
        self._chips = Chips()
        self._notice = Static(id="notice", markup=False)
        self._said = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("›", id="prompt")
            yield self.line
        yield self._chips
        yield self._notice

    @property
    def text(self) -> str:
        return self.line.value.strip()

    def ask_for(self, text: str) -> None:
        """Replaces the question."""
        self.line.value = text
        self.line.cursor_position = len(text)

    def say(self, text: str) -> None:
        """One line below the question; none for an empty text."""
        if text != self._said:  # the screen is laid out anew by it
            self._said = text
            self._notice.update(text)
            self._notice.set_class(bool(text), "-any")

    @on(Input.Changed, "#query")
    def _read_chips(self, event: Input.Changed) -> None:
        self._chips.show(query_text.chips(event.value))

    @on(Chips.Removed)
    def _remove_chip(self, event: Chips.Removed) -> None:
        event.stop()
        self._edit(lambda text: query_text.without_chip(text, event.place))

    def remove_last_chip(self) -> None:
        if chips := query_text.chips(self.text):
            self._edit(lambda text: query_text.without_chip(text, len(chips) - 1))

    def add_part(self, part: str) -> None:
        """A filter in the query language."""
        self._edit(lambda text: query_text.with_part(text, part))

    def add_picture(self, path: bytes, weight: float) -> None:
        """More (weight > 0) or less of what a photo shows."""
        self._edit(lambda text: query_text.with_picture(text, path, weight))

    @work
    async def choose_filter(self) -> None:
        if part := await self.app.push_screen_wait(FilterScreen()):
            self.add_part(part)

    @work
    async def choose_picture(self) -> None:
        hint = "The path of any picture, in the library or not. → takes the suggestion over."
        dialog = LineScreen("Search by a picture", hint, value="~/", suggester=PathSuggester())
        if path := await self.app.push_screen_wait(dialog):
            self.add_picture(os.fsencode(os.path.abspath(os.path.expanduser(path))), 1)

    # -- history and saved searches ---------------------------------------------------------------

    @work(exclusive=True, group="notes")
    async def remember(self) -> None:
        """Keeps the question in the history, if it is one."""
        text = self.text
        try:
            parse(text)
        except UsageError:
            return  # what cannot be asked is not worth remembering
        await self._noted(lambda library: library.remember(text) if library.exists() else None)
        self.recall()

    @work(exclusive=True, group="history")
    async def recall(self) -> None:
        """Reads the history."""
        asked = await self._noted(lambda library: library.history() if library.exists() else [])
        self.line.recall(asked or ())

    async def saved_searches(self) -> list[SavedSearch]:
        return await self._noted(lambda library: library.saved_searches() if library.exists() else []) or []

    @work
    async def save(self) -> None:
        """Asks for a name and keeps the question under it."""
        text = self.text
        if not text:
            tell(self.app, "There is no question to save.", "Type one: / goes to the query.")
            return
        name = await self.app.push_screen_wait(LineScreen("Save this search as", f"{text}\nAsk it again with @name."))
        if name is None:
            return

        def call(library: Library) -> str:
            library.save_search(name, text)
            return name

        if await self._noted(call) is not None:
            tell(self.app, f"Saved. @{name} asks it again.")

    @work
    async def forget(self, name: str) -> None:
        await self._noted(lambda library: library.forget_search(name))

    async def _noted(self, call: Callable[[Library], Noted]) -> Noted | None:
        """What `call` returns; None when it fails, which is told."""
        try:
            return await self._desk.ask(call)
        except Exception as error:  # the boundary of these workers
            tell_error(self.app, error)
            return None

    def _edit(self, change: Callable[[str], str]) -> None:
        try:
            self.ask_for(change(self.text))
        except UsageError as error:
            tell_error(self.app, error)


def _completed(value: str) -> str | None:
    """`value` with the first name in its folder that it begins."""
    folder, start = os.path.split(value)
    if not start:
        return None
    try:
        names = sorted(os.listdir(os.path.expanduser(folder or ".")))
    except OSError:
        return None
    return next((os.path.join(folder, name) for name in names if name.startswith(start) and name != start), None)
