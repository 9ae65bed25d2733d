"""One photo large, with all that the library knows of it; beside the results where there is room."""

from __future__ import annotations

import os
from textwrap import wrap

from rich.segment import ControlType, Segment
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from clipsearch.printable import printable, shown
from clipsearch.tui.picture import Picture, Wanted
from clipsearch.tui.wording import described
from clipsearch.types import Hit, PhotoDetails

COLUMNS, ROWS = 42, 15  # of the picture
_LABEL = 9


class PictureBox(Widget):
    """The lines of a picture, or why there is none."""

    DEFAULT_CSS = """
    PictureBox { color: $text-muted; }
    """
    picture: Picture | None = None

    def show(self, picture: Picture | None) -> None:
        self.picture = picture
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        if self.picture is None or not self.picture.lines or self.app.no_color:
            return super().render_lines(crop)
        strips = list(self.picture.lines[crop.y : crop.bottom])
        if self.picture.overlay and crop == self.size.region and self.app.screen is self.screen:
            overlay = f"\x1b7\x1b[{ROWS - 1}A\x1b[{COLUMNS}D{self.picture.overlay}\x1b8"
            control = Segment(overlay, None, ((ControlType.CURSOR_FORWARD, 0),))
            strips[-1] = Strip([*strips[-1], control], strips[-1].cell_length)
        return strips if crop.column_span == (0, COLUMNS) else [strip.crop(*crop.column_span) for strip in strips]

    def render_line(self, y: int) -> Strip:
        lines = self.picture.lines if self.picture else ()
        return lines[y] if y < len(lines) else super().render_line(y)

    def render(self) -> Content:
        return Content(printable(self.picture.failure) if self.picture else "")


class Preview(Vertical):
    """The photo under the cursor."""

    DEFAULT_CSS = f"""
    Preview {{ width: {COLUMNS + 4}; padding: 0 1; display: none; }}
    Preview PictureBox {{ height: {ROWS}; width: {COLUMNS}; margin-bottom: 1; }}
    Preview Static {{ height: 1fr; }}
    """

    class Lacking(Message):
        """The picture and the details of this photo are wanted. `on_preview_lacking`."""

        def __init__(self, hit: Hit) -> None:
            super().__init__()
            self.hit = hit
            self.wanted = Wanted(hit.path, COLUMNS, ROWS)

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Preview.Lacking)

    def __init__(self, *, shows_pictures: bool) -> None:
        super().__init__()
        self._box = PictureBox()
        self._box.display = shows_pictures
        self._words = Static()
        self._hit: Hit | None = None
        self._filled: Hit | None = None  # the last one whose picture and details came

    def compose(self) -> ComposeResult:
        yield self._box
        yield self._words

    def show(self, hit: Hit | None) -> None:
        """Takes a photo; its words at once, its picture when it comes."""
        self._hit = hit
        if hit is None:
            self._box.show(None)
            self._words.update("", layout=False)
        elif self.display:
            self._describe(hit, None, is_gone=False)
            self.post_message(self.Lacking(hit))

    def on_show(self) -> None:
        self.show(self._hit)

    @property
    def is_complete(self) -> bool:
        """Whether all that is to be seen is there."""
        return not self.display or self._hit is None or self._filled == self._hit

    def fill(self, hit: Hit, details: PhotoDetails | None, picture: Picture, *, is_gone: bool) -> None:
        """What is known of `hit`; dropped when another photo is shown by now."""
        if hit == self._hit:
            self._describe(hit, details, is_gone=is_gone)
            self._box.show(picture)
            self._filled = hit

    def _describe(self, hit: Hit, details: PhotoDetails | None, *, is_gone: bool) -> None:
        name = Content.styled(shown(os.path.basename(hit.path)), "bold")
        rows = [
            Content.assemble(
                (f"{what:<{_LABEL}}", "$text-muted"), f"\n{' ' * _LABEL}".join(wrap(value, COLUMNS - _LABEL))
            )
            for what, value in described(hit, details, is_gone=is_gone)
        ]
        # Its size is fixed: a layout of the whole screen at each key would be half of what the key costs.
        self._words.update(Content("\n").join([name, Content(), *rows]), layout=False)
