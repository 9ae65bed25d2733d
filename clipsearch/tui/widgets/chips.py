"""The filters of a query as chips; a click takes one out."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from clipsearch.printable import printable


class Chips(Static):
    """One line of chips, not there while there is none."""

    DEFAULT_CSS = """
    Chips { height: auto; max-height: 2; padding: 0 1 0 3; display: none; color: $text-accent;
        link-style: none; link-color: $text-accent; link-background: $accent-muted;
    }
    Chips.-any { display: block; }
    """

    class Removed(Message):
        """A chip was clicked. `on_chips_removed`."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self) -> None:
        super().__init__()
        self.texts: tuple[str, ...] = ()

    def show(self, texts: Sequence[str]) -> None:
        if tuple(texts) == self.texts:
            return
        self.texts = tuple(texts)
        chips = [
            Content.styled(
                f" {printable(text)} ✕ ", Style(reverse=False) + Style.from_meta({"@click": f"remove({place})"})
            )
            for place, text in enumerate(self.texts)
        ]
        self.update(Content("  ").join(chips))
        self.set_class(bool(self.texts), "-any")

    def action_remove(self, place: int) -> None:
        self.post_message(self.Removed(place))
