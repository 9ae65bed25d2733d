"""What dialogs share: a box over the screen that Esc leaves without an answer."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer | None]):
    """Ends with a typed value, or with None for "rather not"."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back", key_display="esc", id="dialog.leave")]
    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > .box {
        width: 76; max-width: 96%; height: auto; max-height: 90%; padding: 1 2; background: $surface;
        border: round $accent; border-title-color: $accent; border-title-style: bold;
        border-subtitle-color: $text-muted;
    }
    Dialog .hint { color: $text-muted; height: auto; }
    Dialog Input { background: $boost; }
    Dialog OptionList, Dialog OptionList:focus {
        background: transparent; background-tint: transparent; border: none; padding: 0; max-height: 14; height: auto;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def action_leave(self) -> None:
        self.dismiss(None)
