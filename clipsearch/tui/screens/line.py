"""A dialog for one line of text: the name of a search, the path of a picture."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input, Static

from clipsearch.tui.screens.dialog import Dialog


class LineScreen(Dialog[str]):
    """Ends with the line, stripped; an empty one is no answer."""

    def __init__(self, title: str, hint: str, *, value: str = "", suggester: Suggester | None = None) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._value = value
        self._suggester = suggester

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            yield Input(self._value, suggester=self._suggester, compact=True)
            yield Static(self._hint, classes="hint", markup=False)

    @on(Input.Submitted)
    def end(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)
