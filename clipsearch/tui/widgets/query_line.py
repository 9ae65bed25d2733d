"""The line where the question is typed; up and down bring back what was asked before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class QueryLine(Input):
    """An Input with a history. Its text is the one truth about what is asked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "history(1)", "asked before", show=False, id="query.before"),
        Binding("down", "history(-1)", "asked after", show=False, id="query.after"),
        Binding("escape,tab", "leave", "to the photos", key_display="esc", id="query.leave"),
    ]
    DEFAULT_CSS = """
    QueryLine, QueryLine:focus { background: transparent; background-tint: transparent; width: 1fr; }
    """

    class Left(Message):
        """Esc or Tab: the photos are wanted. `on_query_line_left`."""

    def __init__(self, *, id: str) -> None:
        super().__init__(
            id=id,
            compact=True,
            select_on_focus=False,
            placeholder="what do you remember? kids in yellow raincoats before:2015",
        )
        self.asked: tuple[str, ...] = ()  # the latest first
        self._place = -1  # in asked; -1 is what is being typed
        self._draft = ""

    def recall(self, asked: Sequence[str]) -> None:
        """Takes the history, the latest first."""
        self.asked, self._place = tuple(asked), -1

    def action_history(self, steps: int) -> None:
        place = max(-1, min(len(self.asked) - 1, self._place + steps))
        if place == self._place:
            return
        if self._place == -1:
            self._draft = self.value
        self._place = place
        self.value = self._draft if place == -1 else self.asked[place]
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        self.post_message(self.Left())
