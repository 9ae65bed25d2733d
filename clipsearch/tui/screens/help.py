"""The help screen: every key with what it does, read from the bindings themselves, and the query language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from clipsearch.query import KEYS
from clipsearch.tui.screens.dialog import Dialog

_LANGUAGE = (
    ("+ more of this", "beach + sunset"),
    ("- less of this", "beach - people"),
    ("twice as much", "2:dog + snow"),
    ("kept together", '"black and white"'),
    ("drops what shows it", "beach not:people"),
    ("looks like a picture", "like:cat.jpg"),
    ("a saved search", "@name"),
)
_WIDTH = 20


class HelpScreen(Dialog[None]):
    """Sections of (key, what it does, the action's name in the settings)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1,q", "leave", "back", show=False, id="help.leave"),
        Binding("j", "app.simulate_key('down')", show=False, id="help.down"),
        Binding("k", "app.simulate_key('up')", show=False, id="help.up"),
    ]
    DEFAULT_CSS = """
    HelpScreen > .box { height: 90%; }
    """

    def __init__(self, sections: Sequence[tuple[str, Sequence[tuple[str, str, str]]]]) -> None:
        super().__init__()
        self._sections = sections

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc back"
            for title, rows in self._sections:
                yield self._section(title, rows)
            yield self._section("In a query", [(example, meaning, "") for meaning, example in _LANGUAGE])
            yield self._section("Filters, anywhere in it", [(one.example, one.meaning, "") for one in KEYS])

    @staticmethod
    def _section(title: str, rows: Sequence[tuple[str, str, str]]) -> Static:
        lines = [Content.styled(title, "bold $accent")]
        for left, right, name in rows:
            lines.append(Content.assemble((f"  {left:<{_WIDTH}}", "bold"), right, (f"  {name}", "$text-muted")))
        return Static(Content("\n").join([*lines, Content()]))
