"""A dialog for adding a filter: the table of filters, and a line to write the value in."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from clipsearch.errors import UsageError
from clipsearch.query import KEYS, parse
from clipsearch.tui.screens.dialog import Dialog


class FilterScreen(Dialog[str]):
    """Ends with a filter that the query language can read."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Add a filter"
            box.border_subtitle = "⏎ on a line, change its value, ⏎ · esc back"
            yield Input(placeholder="key:value", compact=True, select_on_focus=False)
            yield Static("", classes="hint", markup=False)
            yield OptionList(
                *(Option(Content.assemble(f"{one.example:<22}", (one.meaning, "$text-muted"))) for one in KEYS)
            )

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def begin(self, event: OptionList.OptionSelected) -> None:
        """Writes the example down with its value marked, so that typing replaces it."""
        line, example = self.query_one(Input), KEYS[event.option_index].example
        line.value = example
        line.focus()
        line.selection = type(line.selection)(example.index(":") + 1, len(example))

    @on(Input.Submitted)
    def end(self, event: Input.Submitted) -> None:
        try:
            filters = parse(event.value).filters
        except UsageError as error:
            self.query_one(Static).update(f"{error.message}\n{error.hint}")
            return
        if filters:
            self.dismiss(event.value.strip())
        else:
            self.query_one(Static).update("That is no filter: a key, a colon and a value, as below.")
