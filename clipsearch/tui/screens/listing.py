"""A dialog with lines to read and to choose from: files that could not be read, copies of a photo."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from clipsearch.printable import fitted, printable, shown
from clipsearch.tui.screens.dialog import Dialog

_WIDTH = 68  # columns of a line in the box


class ListingScreen(Dialog[bytes]):
    """(path, what there is to say of it) for each; ends with the path on which Enter was pressed."""

    DEFAULT_CSS = """
    ListingScreen OptionList, ListingScreen OptionList:focus { text-wrap: wrap; }
    """

    def __init__(self, title: str, rows: Sequence[tuple[bytes, str]], *, enter: str) -> None:
        super().__init__()
        self._title = title
        self._rows = tuple(rows)
        self._enter = enter

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = f"⏎ {self._enter} · esc back"
            yield OptionList(*(Option(self._line(*row)) for row in self._rows))

    @staticmethod
    def _line(path: bytes, note: str) -> Content:
        lines = [Content(fitted(shown(path), _WIDTH))]
        if note:
            lines.append(Content.styled(f"  {printable(note)}", "$text-muted"))
        return Content("\n").join(lines)

    @on(OptionList.OptionSelected)
    def end(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._rows[event.option_index][0])
