"""A line with something at each end: the title and the status."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget


class Ends(Widget):
    """Left and right in one line; where both do not fit, the left one is cut."""

    DEFAULT_CSS = """
    Ends { height: 1; padding: 0 1; text-wrap: nowrap; link-style: underline; link-color: $text-warning; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._left = Content()
        self._right = Content()

    def show(self, *, left: Content | None = None, right: Content | None = None) -> None:
        """Replaces what is given; draws only if that is something new."""
        before = self._left, self._right
        self._left = self._left if left is None else left
        self._right = self._right if right is None else right
        if (self._left, self._right) != before:
            self.refresh()

    def render(self) -> Content:
        room = self.content_size.width - self._right.cell_length
        left = self._left.truncate(max(room - 2, 0), ellipsis=True)
        return left.pad_right(max(room - left.cell_length, 0)) + self._right
