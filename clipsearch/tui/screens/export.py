"""A dialog for taking photos elsewhere: what to make, and in which folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, RadioButton, RadioSet, Static

from clipsearch.deeds import LIST_NAME, PlaceKind
from clipsearch.tui.screens.dialog import Dialog

ExportKind = PlaceKind | Literal["list"]

_KINDS: tuple[tuple[ExportKind, str], ...] = (
    ("copy", "Copies of the photos"),
    ("link", "Symbolic links to them"),
    ("list", f"A list of their paths, {LIST_NAME}"),
)


@dataclass(frozen=True, slots=True)
class Export:
    """A wish: photos as copies, as symbolic links or as a list of their paths, in a folder."""

    kind: ExportKind
    folder: Path


class _Kind(RadioButton):
    """A radio button whose state is a character too: Textual's own tells it by a colour alone."""

    def render(self) -> Content:
        self.BUTTON_INNER = "●" if self.value else " "
        return super().render()


class ExportScreen(Dialog[Export]):
    """Ends with what is wanted; it does nothing itself."""

    DEFAULT_CSS = """
    ExportScreen RadioSet { border: none; background: transparent; padding: 0; margin-bottom: 1; }
    ExportScreen Horizontal { height: auto; margin-top: 1; }
    ExportScreen Button { margin-right: 2; }
    """

    def __init__(self, photos: int) -> None:
        super().__init__()
        self._photos = photos

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = f"Export {self._photos:,} photo{'' if self._photos == 1 else 's'}"
            yield RadioSet(*(_Kind(words, value=kind == "copy") for kind, words in _KINDS), compact=True)
            yield Static("into the folder", classes="hint")
            yield Input("~/found-photos", compact=True)
            yield Static("It is made if it is not there. Nothing in it is written over.", classes="hint")
            with Horizontal():
                yield Button("Export", variant="primary", compact=True, id="go")
                yield Button("Back", compact=True, id="back")

    @on(Input.Submitted)
    @on(Button.Pressed, "#go")
    def end(self) -> None:
        folder = self.query_one(Input).value.strip()
        if folder:
            self.dismiss(Export(_KINDS[max(self.query_one(RadioSet).pressed_index, 0)][0], Path(folder)))

    @on(Button.Pressed, "#back")
    def leave(self) -> None:
        self.dismiss(None)
