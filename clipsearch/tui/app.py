"""The program around the screens: modes, bindings, the handles on the library and the indexer.

What a key does to a query or to photos is the screens'; this knows only what concerns all of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.dom import DOMNode
from textual.message import Message

from clipsearch.config import Paths
from clipsearch.events import Event
from clipsearch.pictures.blocks import depth
from clipsearch.pictures.protocol import Protocol
from clipsearch.pictures.window import cell_size
from clipsearch.tui.commands import Commands
from clipsearch.tui.desk import Desk
from clipsearch.tui.indexing import Indexing, Stopped
from clipsearch.tui.keys import described_bindings, shown_keys, unknown_action
from clipsearch.tui.picture import Medium
from clipsearch.tui.quiet import CHECK_S, QuietCollector
from clipsearch.tui.screens.help import HelpScreen
from clipsearch.tui.screens.search import SearchScreen
from clipsearch.tui.telling import tell

_SCREEN = 2  # the descriptor that Textual draws on
DARK, LIGHT = "textual-dark", "textual-light"


class ClipsearchApp(App[None]):
    """clipsearch in a terminal."""

    TITLE = "clipsearch"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {Commands}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012  # no ClassVar in App
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("T", "toggle_theme", "light or dark", show=False, id="app.theme"),
        Binding("question_mark,f1", "help", "help", id="app.help"),
        Binding("q", "quit", "quit", show=False, id="app.quit"),
        Binding("ctrl+z", "suspend_process", "back to the shell, until fg", show=False, id="app.suspend"),
    ]

    class Told(Message):
        """The indexer has something to tell."""

        def __init__(self, event: Event | Stopped) -> None:
            super().__init__()
            self.event = event

    def __init__(
        self,
        paths: Paths,
        *,
        backend: str = "auto",
        threads: int = 0,
        pictures: Protocol = "blocks",
        keys: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        # Without colours Textual's own would be greys; its ansi theme leaves those of the terminal as they are.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        self.indexing: Indexing | None = None
        self._paths = paths
        self._backend = backend
        self._threads = threads
        colors = depth(os.environ | ({"NO_COLOR": "1"} if self.no_color else {}))
        self.desk = Desk(paths, backend, threads, Medium(pictures, colors, cell_size(_SCREEN)))
        self.search_screen = SearchScreen(self.desk, shows_pictures=pictures != "none", keys=keys)

    def on_mount(self) -> None:
        if sys.platform != "win32":
            # Its default would leave the terminal as it is while we draw: another screen, no echo, the mouse taken.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.push_screen(self.search_screen)
        self.set_keymap(dict(self.search_screen.keys))
        if unknown := unknown_action([node for _, node in self._described()], self.search_screen.keys):
            tell(self, *unknown, is_error=True)
        self._collector = QuietCollector()
        self.set_interval(CHECK_S, self._collector.collect_if_quiet)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.InputEvent):
            self._collector.touch()
        await super().on_event(event)

    async def on_unmount(self) -> None:
        self._collector.close()
        await self.desk.close()

    # -- mistakes of ours -------------------------------------------------------------------------

    @property
    def failure(self) -> Exception | None:
        """The exception that nobody caught and that ended the program."""
        return self._exception

    def _fatal_error(self) -> None:
        # Textual would print pages of frames with their locals; the command line has one sentence for a mistake of
        # ours, and a file with the traceback.
        self._close_messages_no_wait()

    # -- indexing ---------------------------------------------------------------------------------

    @on(SearchScreen.IndexWanted)
    def start_indexing(self, event: SearchScreen.IndexWanted) -> None:
        if self.indexing is not None and self.indexing.is_running:
            tell(self, "Indexing runs already.", "Wait for it, or stop it: Ctrl+P, stop indexing.")
            return
        self.indexing = Indexing(
            self._paths, self._backend, event.folders, lambda told: self.post_message(self.Told(told)), self._threads
        )

    @on(SearchScreen.StopWanted)
    def stop_indexing(self) -> None:
        if self.indexing is not None:
            self.indexing.stop()

    @on(Told)
    def show_progress(self, told: Told) -> None:
        self.search_screen.told(told.event)

    # -- keys -------------------------------------------------------------------------------------

    def action_toggle_theme(self) -> None:
        self.theme = LIGHT if self.current_theme.dark else DARK

    def action_help(self) -> None:
        sections = [
            (
                title,
                [
                    (shown_keys(self, binding, keys), binding.description, binding.id or "")
                    for binding, keys in described_bindings(node, self.search_screen.keys)
                ],
            )
            for title, node in self._described()
        ]
        self.push_screen(HelpScreen(sections))

    def _described(self) -> list[tuple[str, DOMNode]]:
        """What has keys of its own, in the order of the help."""
        screen = self.search_screen
        return [
            ("Photos", screen.results),
            ("With a photo or what is selected", screen.browser),
            ("Searching", screen),
            ("In the query line", screen.bar.line),
            ("Everywhere", self),
        ]
