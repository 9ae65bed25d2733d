"""Photos as a grid or a list with a cursor: draws the visible lines only, however many photos there are.

Owns what is drawn and the pictures at hand; what keys and the mouse do is `results`. Knows no library: it says which
pictures it lacks (`PhotoView.Lacking`) and is given them. Nothing that comes late moves what is under the cursor.
"""

from __future__ import annotations

import os
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.segment import ControlType, Segment
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from clipsearch.tui.picture import Picture, Wanted
from clipsearch.tui.widgets.cell import Cell, Look, Palette, grid_cell, list_cell
from clipsearch.tui.widgets.grid import Grid, View, grid
from clipsearch.tui.widgets.selection import Selection
from clipsearch.types import Hit

_PICTURES_KEPT = 128  # some screens; each is a thousand small objects, which the collector of garbage walks over
_LINES_KEPT = 512


class PhotoView(ScrollView):
    """Photos, one of them under the cursor, some of them selected."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"photos--faint", "photos--accent", "photos--cursor", "photos--empty"}
    DEFAULT_CSS = """
    PhotoView {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        & > .photos--faint { color: $text-muted; }
        & > .photos--accent { color: $accent; }
        & > .photos--cursor { background: $block-cursor-blurred-background; text-style: bold; }
        & > .photos--empty { color: $text-muted; background: $surface; }
        &:focus > .photos--cursor { background: $accent; color: $background; text-style: bold; }
    }
    """

    view: reactive[View] = reactive("grid")
    picture_size: reactive[int] = reactive(0)  # a place in grid.PICTURE_SIZES

    class Moved(Message):
        """The photo under the cursor is another one, or there is none."""

        def __init__(self, hit: Hit | None) -> None:
            super().__init__()
            self.hit = hit

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, PhotoView.Moved)

    class Lacking(Message):
        """Pictures to draw are not there, those nearest to the cursor first."""

        def __init__(self, wanted: tuple[Wanted, ...]) -> None:
            super().__init__()
            self.wanted = wanted

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, PhotoView.Lacking)

    class Exhausted(Message):
        """The last photos are in sight; there may be more to ask for."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, PhotoView.Exhausted)

    def __init__(self, *, shows_pictures: bool) -> None:
        super().__init__()
        self.hits: tuple[Hit, ...] = ()
        self._folded: dict[int, list[Hit]] = {}  # by the rank of the hit that they stand behind
        self.cursor = 0
        self.selection = Selection()
        self._shows_pictures = shows_pictures
        self._gate: float | None = None
        self.is_stale = False
        self._folder = b""  # that all hits share; a list names what is below it
        self._pictures: OrderedDict[Wanted, Picture] = OrderedDict()
        self._cells: dict[int, Cell] = {}
        self._lines: dict[int, Strip] = {}
        self._palette: Palette | None = None
        self._is_restyled = False
        self._has_overlays = False

    @property
    def hit(self) -> Hit | None:
        """The photo under the cursor."""
        return self.hits[self.cursor] if self.cursor < len(self.hits) else None

    @property
    def grid(self) -> Grid:
        view = self.view if self._shows_pictures else "list"
        return grid(view, len(self.hits), self.scrollable_content_region.width, self.picture_size)

    def behind(self, hit: Hit) -> list[tuple[bytes, str]]:
        """(path, what it shares with `hit`) of the files that have no cell of their own."""
        same = [(path, "the same content") for path in hit.copies]
        for other in self._folded.get(hit.rank, ()):
            same += [(path, "the same picture or moment") for path in (other.path, *other.copies)]
        return same

    # -- what is shown ----------------------------------------------------------------------------

    def show(self, hits: Sequence[Hit], gate: float | None, *, keep_place: bool) -> None:
        """Takes these hits; those below the gate are dimmed. `keep_place` leaves the cursor on its photo.

        Of a moment the first one has a cell, the others stand behind it.
        """
        hits, folded = _folded(hits)
        before, offset = self.hit, self.grid.top(self.cursor) - self.scroll_offset.y
        if keep_place and not self.is_stale and (self.hits, self._folded, self._gate) == (hits, folded, gate):
            return
        self.hits, self._folded, self._gate, self.is_stale = hits, folded, gate, False
        self._folder = _common_folder([hit.path for hit in self.hits])
        places = {hit.path: place for place, hit in enumerate(self.hits)} if keep_place else {}
        self.cursor = places.get(before.path, 0) if before else 0
        self.selection.end_range()
        self.redraw()
        top = self.grid.top(self.cursor) - offset if keep_place else 0
        self.scroll_to(y=top, animate=False, immediate=True)
        if (self.hit.path if self.hit else None) != (before.path if before else None):
            self.post_message(self.Moved(self.hit))

    def dim(self) -> None:
        """Shows that what is on the screen answers an older question."""
        if not self.is_stale and self.hits:
            self.is_stale = True
            self.redraw()

    def picture(self, wanted: Wanted) -> Picture | None:
        """A picture that is at hand."""
        return self._pictures.get(wanted)

    def put(self, wanted: Wanted, picture: Picture) -> None:
        """A picture that was lacking."""
        self._pictures[wanted] = picture
        self._pictures.move_to_end(wanted)
        self._has_overlays = self._has_overlays or bool(picture.overlay)
        while len(self._pictures) > _PICTURES_KEPT:
            self._pictures.popitem(last=False)
        for index in self._near():
            if self.hits[index].path == wanted.path:
                self.refresh_cell(index)

    # -- drawing ----------------------------------------------------------------------------------

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines in sight, from our own cache of them.

        Textual asks for all of them whenever anything on the screen changes; its cache is by place on the screen and
        empty after a scroll, and it sends every line through filters that change nothing here. With pictures, whose
        every character has a style of its own, that is 20 ms a key press; this is one.
        """
        if self._is_restyled:
            self._restyle()
        first, shape = self.scroll_offset.y, self.grid
        strips = [self._overlaid(first + y, shape) or self._line(first + y, shape) for y in crop.line_range]
        if self.app.no_color:
            for line_filter in self.get_line_filters():
                strips = [strip.apply_filter(line_filter, self.background_colors[1]) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _overlaid(self, line: int, shape: Grid) -> Strip | None:
        """The line below pictures that are drawn over the characters (iTerm2, Sixel), and the pictures with it.

        Text erases them, so they come after all of their lines; and only where they are in sight as a whole, for they
        know no edge. Elsewhere, and below a dialog, the half blocks are seen.
        """
        row, inside = divmod(line, shape.cell_height)
        if shape.picture is None or inside != shape.picture[1] or not self._has_overlays:
            return None
        if self.app.screen is not self.screen:
            return None
        overlays = [(index, self._overlay(index, shape)) for index in shape.row(row)]
        if not any(overlay for _, overlay in overlays) or line - inside < self.scroll_offset.y:
            return None
        # Before the last blank of the line: Textual cuts lines by the characters of all that stands before a place.
        strip = self._line(line, shape).crop(0, shape.width - 1)
        drawn = "".join(
            f"\x1b[{self.region.x + shape.left(index) + 2}G\x1b[{shape.picture[1]}A{overlay}\x1b8"
            for index, overlay in overlays
            if overlay
        )
        control = Segment(f"\x1b7{drawn}", None, ((ControlType.CURSOR_FORWARD, 0),))
        return Strip(
            [*strip, control, Segment(" " * (self.size.width - shape.width + 1), self._styles().text)], self.size.width
        )

    def _overlay(self, index: int, shape: Grid) -> str:
        assert shape.picture  # only a grid has overlays
        picture = self.picture(Wanted(self.hits[index].path, *shape.picture))
        return picture.overlay if picture else ""

    def _line(self, line: int, shape: Grid) -> Strip:
        if line not in self._lines:
            row, inside = divmod(line, shape.cell_height)
            palette = self._styles()
            segments = [segment for index in shape.row(row) for segment in self._cell(index, shape, palette)[inside]]
            strip = Strip(segments).adjust_cell_length(self.size.width, palette.text)
            while len(self._lines) >= _LINES_KEPT:
                del self._lines[next(iter(self._lines))]
            self._lines[line] = strip
        return self._lines[line]

    def _cell(self, index: int, shape: Grid, palette: Palette) -> Cell:
        if index not in self._cells:
            hit = self.hits[index]
            look = Look(
                is_cursor=index == self.cursor,
                is_selected=hit.path in self.selection,
                is_dimmed=self.is_stale or (self._gate is not None and (hit.relevance or 0.0) < self._gate),
                behind=len(self.behind(hit)),
            )
            if shape.picture is None:
                cell = list_cell(hit, look, self._folder, shape.cell_width, palette)
            else:
                picture = self.picture(Wanted(hit.path, *shape.picture))
                cell = grid_cell(hit, look, picture, shape.picture, shape.cell_width, palette)
            while len(self._cells) >= _LINES_KEPT:
                del self._cells[next(iter(self._cells))]
            self._cells[index] = cell
        return self._cells[index]

    def _styles(self) -> Palette:
        if self._palette is None:
            names = ("photos--faint", "photos--accent", "photos--cursor", "photos--empty")
            self._palette = Palette(self.rich_style, *map(self.get_component_rich_style, names))
        return self._palette

    def redraw(self) -> None:
        """Draws everything anew, at a size that may have changed."""
        self._cells.clear()
        self._lines.clear()
        self.virtual_size = Size(self.size.width, self.grid.height)
        self.refresh()
        self._ask_for_pictures()

    def refresh_cell(self, index: int) -> None:
        """Draws one photo anew."""
        self._forget_cell(index)
        shape = self.grid
        top = shape.top(index) - self.scroll_offset.y
        # A picture over the characters is drawn at the end of its line.
        left, width = (0, self.size.width) if self._has_overlays else (shape.left(index), shape.cell_width)
        self.refresh(Region(left, top, width, shape.cell_height))

    def _forget_cell(self, index: int) -> None:
        self._cells.pop(index, None)
        top = self.grid.top(index)
        for line in range(top, top + self.grid.cell_height):
            self._lines.pop(line, None)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._is_restyled = True  # the new styles themselves are known when it is drawn

    def _restyle(self) -> None:
        """Takes new colours over; a new focus changes no more than the cell under the cursor."""
        before, self._palette, self._is_restyled = self._palette, None, False
        now = self._styles()
        if before is None or now == before:
            return
        if now == replace(before, cursor=now.cursor):
            self._forget_cell(self.cursor)
            return
        self._cells.clear()
        self._lines.clear()
        self._pictures.clear()  # they are painted on the ground of the theme before
        self.call_after_refresh(self._ask_for_pictures)

    def _near(self) -> list[int]:
        return list(self.grid.near(self.scroll_offset.y, self.size.height, self.cursor))

    @property
    def lacking(self) -> tuple[Wanted, ...]:
        """The pictures in and near the window that are not at hand, those nearest to the cursor first."""
        if (size := self.grid.picture) is None:
            return ()
        wanted = [Wanted(self.hits[index].path, *size) for index in self._near()]
        return tuple(one for one in wanted if one not in self._pictures)

    def _ask_for_pictures(self) -> None:
        if lacking := self.lacking:
            self.post_message(self.Lacking(lacking))

    # -- scrolling --------------------------------------------------------------------------------

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._ask_for_pictures()
            if new_value + 2 * self.size.height >= self.grid.height:
                self.post_message(self.Exhausted())

    def on_resize(self) -> None:
        self._reshaped()

    def watch_view(self) -> None:
        self._reshaped()

    def watch_picture_size(self) -> None:
        self._reshaped()

    def _reshaped(self) -> None:
        self.redraw()
        self.keep_cursor_in_sight()

    def keep_cursor_in_sight(self) -> None:
        shape = self.grid
        top, bottom = shape.top(self.cursor), shape.top(self.cursor) + shape.cell_height
        first, lines = self.scroll_offset.y, self.size.height
        if top < first or shape.cell_height > lines:
            self.scroll_to(y=top, animate=False, immediate=True)
        elif bottom > first + lines:
            self.scroll_to(y=bottom - lines, animate=False, immediate=True)


def _folded(hits: Sequence[Hit]) -> tuple[tuple[Hit, ...], dict[int, list[Hit]]]:
    """The first hit of each moment, and by its rank the others."""
    ranks = {hit.rank for hit in hits}
    first, folded = [], defaultdict[int, list[Hit]](list)
    for hit in hits:
        if hit.same_as in ranks:
            folded[hit.same_as].append(hit)
        else:
            first.append(hit)
    return tuple(first), dict(folded)


def _common_folder(paths: Sequence[bytes]) -> bytes:
    """The folder that all paths share: what the first and the last of them share, all in between do too."""
    if not paths:
        return b""
    return os.path.commonpath([os.path.dirname(min(paths)), os.path.dirname(max(paths))])
