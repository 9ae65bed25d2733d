"""The screen one lives in: the question, the photos found, what is going on.

Owns the way of a question: typed text -> debounced, exclusive worker -> answer -> results and sentences. A newer
question cancels the older worker, and with it the answer that would come too late.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Input

from clipsearch.errors import ClipsearchError, UsageError
from clipsearch.events import Advanced, Event, Summary, Unlisted
from clipsearch.printable import shown
from clipsearch.query import Query, formatted, parse
from clipsearch.tui import query_text
from clipsearch.tui.desk import Desk
from clipsearch.tui.indexing import Stopped
from clipsearch.tui.screens.folder import FURTHER, WELCOME, FolderScreen
from clipsearch.tui.screens.labels import LabelsScreen
from clipsearch.tui.screens.listing import ListingScreen
from clipsearch.tui.telling import tell, tell_error
from clipsearch.tui.widgets.browser import Browser
from clipsearch.tui.widgets.ends import Ends
from clipsearch.tui.widgets.key_line import KeyLine
from clipsearch.tui.widgets.query_bar import QueryBar
from clipsearch.tui.widgets.query_line import QueryLine
from clipsearch.tui.widgets.results import Results
from clipsearch.tui.widgets.status_line import StatusLine
from clipsearch.tui.wording import NO_PHOTOS, told_answer, told_filters, told_nothing, told_summary
from clipsearch.types import Answer, Sort, Status

DEBOUNCE_S = 0.12  # between two keys of somebody who types on
HALF_TYPED_S = 1.0  # without a key, after which a query that cannot be read is a mistake and not half a word
REFRESH_S = 2.0  # between two looks at what indexing has added
LOOK_S = 3.0  # between two looks for what another process has written
PAGE = 400  # hits asked for first; more when the last of them come into sight
_MORE = 5  # times as many
_OF_PHOTOS = {"like", "labels"}  # actions that do nothing where there is no photo
_ORDERS: tuple[tuple[Sort | None, str], ...] = (
    (None, "the best first"),
    ("date", "the newest first"),
    ("name", "by name"),
)


class SearchScreen(Screen[None]):
    """Query line, chips, photos, status, keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "query", "query", key_display="/", id="query.focus"),
        Binding("m", "like(1)", "more like", id="query.more-like"),
        Binding("l", "like(-1)", "less like", id="query.less-like"),
        Binding("z", "labels", "label", id="photos.label"),
        Binding("f", "filter", "filter", id="query.filter"),
        Binding("x", "unfilter", "take the last filter out", show=False, id="query.unfilter"),
        Binding("i", "picture", "search by a picture", show=False, id="query.picture"),
        Binding("s", "save", "save search", show=False, id="query.save"),
        Binding("O", "order", "change the order", show=False, id="view.order"),
        Binding("U", "failures", "files that could not be read", show=False, id="library.failures"),
        Binding("I", "index", "index a folder", show=False, id="library.index"),
        Binding("escape", "back", "back one step", show=False, id="view.back"),
    ]

    class IndexWanted(Message):
        """Folders are to be indexed; all that are known if there are none. `on_search_screen_index_wanted`."""

        def __init__(self, folders: tuple[bytes, ...]) -> None:
            super().__init__()
            self.folders = folders

    class StopWanted(Message):
        """Indexing is to stop."""

    def __init__(self, desk: Desk, *, shows_pictures: bool, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._desk = desk
        self.keys = keys
        self.browser = Browser(desk, shows_pictures=shows_pictures)
        self.bar = QueryBar(desk)
        self.title_line = Ends(id="title")
        self.status_line = StatusLine()
        self.answer: Answer | None = None
        self.answered = ""  # the text that `answer` answers
        self._order = 0
        self._asked_for = PAGE
        self._labels = ""  # typed last
        self._counted = ""
        self._is_indexing = False
        self._welcome: FolderScreen | None = None  # the dialog of an empty library, while it is open
        self._refreshed_at = 0.0  # on the monotonic clock, while indexing runs
        self._revision = 0  # of the library, as last shown

    @property
    def results(self) -> Results:
        return self.browser.results

    def compose(self) -> ComposeResult:
        yield self.title_line
        yield self.bar
        yield self.browser
        yield self.status_line
        yield KeyLine()

    def on_mount(self) -> None:
        self.title_line.show(left=Content.styled("clipsearch", "bold $accent"))
        self.bar.line.focus()
        self.refresh_all()
        self.set_interval(LOOK_S, self.follow_others)

    # -- asking -----------------------------------------------------------------------------------

    @on(Input.Changed, "#query")
    def _typed(self, event: Input.Changed) -> None:
        self._asked_for = PAGE
        if event.value.strip() != self.answered:
            self.results.dim()
        self.search(wait_s=DEBOUNCE_S)

    @work(exclusive=True, group="search")
    async def search(self, *, wait_s: float = 0.0, keep_place: bool = False) -> None:
        """Asks what stands in the query line. `keep_place` is for the same question asked again."""
        text, count, order = self.bar.text, self._asked_for, _ORDERS[self._order][0]
        try:
            await asyncio.sleep(wait_s)
            if not await self._desk.ask(lambda library: library.exists()):
                return
            question = text or query_text.EVERYTHING
            answer = await self._desk.ask(lambda library: library.search(question, k=count, sort=order))
            self._show(text, answer, keep_place=keep_place)
            if answer.library and not answer.searched and (parts := query_text.unfiltered(question)):
                await self._explain_filters(question, parts)
        except UsageError as error:
            await asyncio.sleep(HALF_TYPED_S if wait_s else 0.0)
            self._say_error(error)
        except ClipsearchError as error:
            self._say_error(error)
        except Exception as error:  # the boundary of this worker
            tell_error(self.app, error)

    def _say_error(self, error: ClipsearchError) -> None:
        """Below the question, where it stays until there is an answer: a toast would leave a blank screen behind."""
        self.bar.say(f"{error.message}\n{error.hint}")

    def _show(self, text: str, answer: Answer, *, keep_place: bool) -> None:
        self.answer, self.answered = answer, text
        hits = answer.hits
        if self._order and answer.fitting:
            hits = answer.fitting  # in another order than the best first, those far off would stand in between
        self.results.show(hits, answer.gate, keep_place=keep_place)
        self.refresh_bindings()  # without photos fewer keys work
        is_coming = self._is_indexing and not answer.library
        self.bar.say("" if is_coming else told_nothing(answer) or "")
        self._counted = told_answer(answer, is_asked=bool(text))
        self._show_counts()

    async def _explain_filters(self, text: str, parts: tuple[str, ...]) -> None:
        """Says which filters leave nothing, and how many photos fit without each."""
        counts = await self._desk.ask(lambda library: [library.search(part, k=1).searched for part in parts])
        self.bar.say(told_filters([formatted(Query(filters=(one,))) for one in parse(text).filters], counts))

    @on(Results.Exhausted)
    def _ask_for_more(self) -> None:
        if self.answer is not None and len(self.answer.hits) == self._asked_for:
            self._asked_for *= _MORE
            self.search(keep_place=True)

    @on(Results.Selected)
    def _show_counts(self) -> None:
        selection = self.results.selection
        selected = f"{len(selection):,} selected · " if selection else ""
        ranging = "range · " if selection.is_ranging else ""
        order = f" · {_ORDERS[self._order][1]}" if self._order else ""
        self.status_line.show(left=Content(ranging + selected + self._counted + order))

    # -- what the library holds -------------------------------------------------------------------

    @work(exclusive=True, group="follow")
    async def follow_others(self) -> None:
        """Shows what a watcher, or another index run, has written meanwhile."""
        try:
            revision = await self._desk.ask(lambda library: library.revision())
        except ClipsearchError:  # it is being replaced, or was made by another version: the next question says so
            return
        if revision != self._revision and not self._is_indexing:  # our own indexer tells us itself
            self.refresh_all()

    @work(exclusive=True, group="refresh")
    async def refresh_all(self) -> None:
        """Brings counts, history and results up to date."""
        try:
            self._revision = await self._desk.ask(lambda library: library.revision())
            status = await self._desk.ask(lambda library: library.status() if library.exists() else None)
            if status is None or not (status.photos or status.roots):
                self.title_line.show(right=Content("no photos yet"))
                if not self._is_indexing and self._welcome is None:
                    self._welcome_to_empty()
                return
            if self._welcome is not None and status.photos:  # another process has indexed them meanwhile
                self._welcome.say(FURTHER)
            self._show_status(status)
            self.bar.recall()
            self.search(keep_place=True)
        except ClipsearchError as error:
            self._say_error(error)
        except Exception as error:  # the boundary of this worker
            tell_error(self.app, error)

    def told(self, event: Event | Stopped) -> None:
        """Takes an event of the indexer: progress at once, counts and results every few seconds, the end as a toast."""
        self.status_line.told(event)
        self._is_indexing = not isinstance(event, Summary | Stopped)
        match event:
            case Advanced() if time.monotonic() - self._refreshed_at >= REFRESH_S:
                self._refreshed_at = time.monotonic()
                self.refresh_all()
            case Unlisted():
                tell(
                    self.app,
                    f"{shown(event.path)} cannot be listed ({event.reason}).",
                    "What is known of it stays searchable.",
                )
            case Summary():
                tell(self.app, told_summary(event))
                self.refresh_all()
            case Stopped():
                tell(self.app, event.message, event.hint, is_error=True)
                self.refresh_all()
            case _:
                pass

    def want_indexing(self, folders: tuple[bytes, ...]) -> None:
        self.post_message(self.IndexWanted(folders))

    def stop_indexing(self) -> None:
        self.post_message(self.StopWanted())

    @work
    async def action_index(self) -> None:
        """Offers to index a folder."""
        self._index(await self.app.push_screen_wait(FolderScreen(FURTHER)))

    @work
    async def _welcome_to_empty(self) -> None:
        """Offers to index the first folder; says how to come back here where that is left for later."""
        self._welcome = FolderScreen(WELCOME)
        folder = await self.app.push_screen_wait(self._welcome)
        self._welcome = None
        self._index(folder)
        if folder is None and not (self.answer and self.answer.library):
            self.bar.say(NO_PHOTOS)

    def _index(self, folder: Path | None) -> None:
        if folder is not None:
            self.want_indexing((os.fsencode(folder),))

    def _show_status(self, status: Status) -> None:
        offline = sum(not root.online for root in status.roots)
        parts = [f"{status.photos:,} photo{'' if status.photos == 1 else 's'}", status.model]
        parts += [status.variant.rpartition("/")[2]] if status.variant else []
        parts += ["watched"] if status.watcher else []
        parts += [f"{offline} folder{'' if offline == 1 else 's'} offline"] if offline else []
        title = Content(" · ".join(parts))
        if status.failed:
            click = Style.from_meta({"@click": "screen.failures"})
            title += Content.assemble(" · ", (f"{status.failed:,} not readable", click))
        self.title_line.show(right=title)

    # -- keys -------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.results.hits) or action not in _OF_PHOTOS

    @on(Input.Submitted, "#query")
    @on(QueryLine.Left)
    def _leave_query(self) -> None:
        self.results.focus()
        self.bar.remember()

    def action_query(self) -> None:
        self.bar.line.focus()

    def action_back(self) -> None:
        """Ends a range, then the selection, then goes back to the query."""
        if self.results.selection or self.results.selection.is_ranging:
            self.results.clear_selection()
        else:
            self.bar.line.focus()

    def action_like(self, weight: int) -> None:
        if hit := self.results.hit:
            self.bar.add_picture(hit.path, weight)

    def action_filter(self) -> None:
        self.bar.choose_filter()

    def action_unfilter(self) -> None:
        self.bar.remove_last_chip()

    def action_picture(self) -> None:
        self.bar.choose_picture()

    def action_order(self) -> None:
        self._order = (self._order + 1) % len(_ORDERS)
        self.search()

    @work
    async def action_labels(self) -> None:
        """Sorts the photos found by labels; a column comes back as a filter."""
        paths = [hit.path for hit in self.results.hits]
        if not paths:
            return
        chosen = await self.app.push_screen_wait(LabelsScreen(self._desk, paths, self._labels))
        if chosen is not None:
            self._labels, part = chosen
            self.bar.add_part(part)

    def action_save(self) -> None:
        self.bar.save()

    @work
    async def action_failures(self) -> None:
        """The files that could not be read, with the reason; Enter copies a path."""
        try:
            failures = await self._desk.ask(lambda library: library.failures())
        except Exception as error:  # the boundary of this worker
            tell_error(self.app, error)
            return
        if not failures:
            tell(self.app, "Every file could be read.")
            return
        rows = [
            (one.path, f"{one.reason}, tried {one.attempts} time{'' if one.attempts == 1 else 's'}") for one in failures
        ]
        path = await self.app.push_screen_wait(
            ListingScreen(
                f"{len(rows):,} file{'' if len(rows) == 1 else 's'} that could not be read", rows, enter="copy path"
            )
        )
        if path is not None:
            self.app.copy_to_clipboard(path.decode("utf-8", "backslashreplace"))
