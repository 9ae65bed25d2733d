"""The photos found: what keys and the mouse do to the cursor and to what is selected."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from clipsearch.tui.widgets.grid import PICTURE_SIZES
from clipsearch.tui.widgets.photo_view import PhotoView
from clipsearch.types import Hit

_WITHOUT_PHOTOS = {"toggle_view", "zoom"}  # the only actions there are then


class Results(PhotoView, can_focus=True):
    """Photos to move over, select and open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,b", "move(-1, 0)", "left", show=False, id="move.left"),
        Binding("right,w", "move(1, 0)", "right", show=False, id="move.right"),
        Binding("up,k", "move(0, -1)", "up", show=False, id="move.up"),
        Binding("down,j", "move(0, 1)", "down", show=False, id="move.down"),
        Binding("pageup,ctrl+b", "page(-1)", "a page up", show=False, id="move.page-up"),
        Binding("pagedown,ctrl+f", "page(1)", "a page down", show=False, id="move.page-down"),
        Binding("home,g", "to(0)", "the first", show=False, id="move.first"),
        Binding("end,G", "to(-1)", "the last", show=False, id="move.last"),
        Binding("space", "select", "select", key_display="␣", id="select.one"),
        Binding("v", "range", "select a range", show=False, id="select.range"),
        Binding("ctrl+a", "select_all", "select all", show=False, id="select.all"),
        Binding("enter", "open", "open", key_display="⏎", id="photo.open"),
        Binding("t", "toggle_view", "grid or list", show=False, id="view.toggle"),
        Binding("plus,equals_sign", "zoom(1)", "larger pictures", show=False, id="view.larger"),
        Binding("minus", "zoom(-1)", "smaller pictures", show=False, id="view.smaller"),
    ]

    class Opened(Message):
        """Enter or a second click on a photo."""

    class Selected(Message):
        """What is selected has changed."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Results.Selected)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.hits) or action in _WITHOUT_PHOTOS

    @property
    def chosen(self) -> tuple[Hit, ...]:
        """What an action is about: the selected photos, or the one under the cursor."""
        return self.selection.hits or ((self.hit,) if self.hit else ())

    def clear_selection(self) -> None:
        self.selection.clear()
        self._selection_changed()

    # -- moving -----------------------------------------------------------------------------------

    def move_to(self, index: int) -> None:
        """Puts the cursor on a photo and brings it into sight."""
        if not self.hits:
            return
        before, self.cursor = self.cursor, max(0, min(index, len(self.hits) - 1))
        stretched = self.selection.stretch(self.hits, before, self.cursor)
        for changed in {before, self.cursor, *stretched}:
            self.refresh_cell(changed)
        if stretched:
            self.post_message(self.Selected())
        self.keep_cursor_in_sight()
        self.post_message(self.Moved(self.hit))

    def action_move(self, columns: int, rows: int) -> None:
        self.move_to(self.grid.moved(self.cursor, columns, rows))

    def action_page(self, pages: int) -> None:
        rows = max(1, self.size.height // self.grid.cell_height)
        self.move_to(self.grid.moved(self.cursor, 0, pages * rows))

    def action_to(self, index: int) -> None:
        self.move_to(index % max(len(self.hits), 1))

    def action_toggle_view(self) -> None:
        self.view = "list" if self.view == "grid" else "grid"

    def action_zoom(self, steps: int) -> None:
        self.picture_size = max(0, min(len(PICTURE_SIZES) - 1, self.picture_size + steps))

    # -- selecting and opening --------------------------------------------------------------------

    def action_select(self) -> None:
        """Selects the photo under the cursor or takes it out, and goes on to the next."""
        if self.hit is not None:
            self.selection.end_range()
            self._toggle(self.cursor)
            self.move_to(self.cursor + 1)

    def action_range(self) -> None:
        """Begins a range here, or ends it."""
        if self.selection.is_ranging:
            self.selection.end_range()
        elif self.hit is not None:
            self.selection.begin_range(self.cursor, self.hit)
            self.refresh_cell(self.cursor)
        self.post_message(self.Selected())

    def action_select_all(self) -> None:
        self.selection.take(self.hits)
        self._selection_changed()

    def action_open(self) -> None:
        if self.hit is not None:
            self.post_message(self.Opened())

    def _toggle(self, index: int) -> None:
        self.selection.toggle(self.hits[index])
        self.refresh_cell(index)
        self.post_message(self.Selected())

    def _selection_changed(self) -> None:
        self.redraw()
        self.post_message(self.Selected())

    def on_click(self, event: events.Click) -> None:
        """A click moves; with Shift it selects up to there, with Ctrl this one; a second one opens."""
        offset = event.get_content_offset(self)
        index = None if offset is None else self.grid.at(offset.x, offset.y + self.scroll_offset.y)
        if index is None:
            return
        if event.shift and self.hit is not None:
            self.selection.begin_range(self.cursor, self.hit)
        self.move_to(index)
        self.selection.end_range()
        if event.ctrl or event.meta:
            self._toggle(index)
        elif event.chain > 1 and not event.shift:
            self.post_message(self.Opened())
