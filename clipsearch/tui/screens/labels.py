"""The zero-shot panel: labels in words of one's own, and the photos found sorted into columns by them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from clipsearch.errors import ClipsearchError
from clipsearch.printable import printable, shown
from clipsearch.query import Filter, Query, formatted
from clipsearch.tui.desk import Desk
from clipsearch.tui.screens.dialog import Dialog
from clipsearch.tui.telling import tell, tell_error
from clipsearch.types import Labelled

if TYPE_CHECKING:
    from clipsearch.library import Library

UNKNOWN = "unknown"

Column = list[tuple[bytes, float]]  # (path, probability), the most certain first


def sorted_into_columns(labels: Sequence[str], found: Sequence[Labelled], paths: Sequence[bytes]) -> dict[str, Column]:
    """Label -> its photos, in the order of `labels`; `unknown` is last: what no label fits, or cannot be read."""
    columns: dict[str, Column] = {label: [] for label in labels}
    labelled = {one.path: one for one in found}
    unknown: Column = []
    for path in paths:
        one = labelled.get(path)
        column = columns[one.label] if one and one.label is not None else unknown
        column.append((path, (one.probability or one.labels[0].probability) if one else 0.0))
    for column in columns.values():
        column.sort(key=lambda one: -one[1])
    return {**columns, UNKNOWN: unknown}


class LabelsScreen(Dialog[tuple[str, str]]):
    """Ends with (labels as typed, the filter of the column on which Enter was pressed)."""

    DEFAULT_CSS = """
    LabelsScreen > .box { width: 96%; height: 90%; }
    LabelsScreen #columns { height: 1fr; margin-top: 1; }
    LabelsScreen .column { width: 1fr; margin-right: 2; }
    LabelsScreen .column OptionList, LabelsScreen .column OptionList:focus { max-height: 100%; height: 1fr; }
    LabelsScreen .head { text-style: bold; color: $accent; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, desk: Desk, paths: Sequence[bytes], labels: str) -> None:
        super().__init__()
        self._desk = desk
        self._paths = tuple(paths)
        self._typed = labels
        self._columns: dict[str, Column] = {}

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = f"Label the {len(self._paths):,} photos found"
            box.border_subtitle = "⏎ sorts · ⏎ on a column makes it a filter · tab the next column · esc back"
            yield Input(self._typed, placeholder="receipt, screenshot, a photo of people, landscape", compact=True)
            yield Static("", classes="hint", markup=False, id="said")
            yield Horizontal(id="columns")

    @on(Input.Submitted)
    def begin(self, event: Input.Submitted) -> None:
        self._typed = event.value
        self._sort([label.strip() for label in event.value.split(",") if label.strip()])

    @work(exclusive=True, group="labels")
    async def _sort(self, labels: list[str]) -> None:
        said = self.query_one("#said", Static)
        said.update("sorting …")

        def call(library: Library) -> list[Labelled]:
            # What is not there now cannot be looked at; it belongs to no label.
            there = [Path(os.fsdecode(path)) for path in self._paths if os.path.exists(path)]
            return (
                [one for one in library.classify(there, labels, unknown=True) if isinstance(one, Labelled)]
                if there
                else []
            )

        try:
            found = await self._desk.ask(call)
        except ClipsearchError as error:
            said.update(f"{error.message} {error.hint}")
            return
        except Exception as error:  # the boundary of this worker
            tell_error(self.app, error)
            return
        said.update("")
        self._columns = sorted_into_columns(labels, found, self._paths)
        await self._show()

    async def _show(self) -> None:
        place = self.query_one("#columns", Horizontal)
        await place.remove_children()
        await place.mount_all(self._column(label, column) for label, column in self._columns.items())
        lists = list(place.query(OptionList))
        if lists:
            lists[0].focus()

    @staticmethod
    def _column(label: str, column: Column) -> Vertical:
        head = Static(f"{printable(label)}  {len(column):,}", classes="head", markup=False)
        lines = [
            Option(Content.assemble((f"{probability:4.0%} ", "$text-muted"), shown(os.path.basename(path))))
            for path, probability in column
        ]
        return Vertical(head, OptionList(*lines), classes="column")

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        lists = list(self.query("#columns OptionList"))
        label = list(self._columns)[lists.index(event.option_list)]
        if label == UNKNOWN:
            tell(self.app, "No label fits these, so there is nothing to filter by.", "Name what they might be.")
        else:
            self._keep(label)

    @work
    async def _keep(self, label: str) -> None:
        """Gives the photos of a column their label, by which they can be asked for from now on."""
        rows = [(path, label, probability) for path, probability in self._columns[label]]
        try:
            await self._desk.ask(lambda library: library.set_labels(rows))
        except Exception as error:  # the boundary of this worker
            tell_error(self.app, error)
            return
        self.dismiss((self._typed, formatted(Query(filters=(Filter("label", label),)))))
