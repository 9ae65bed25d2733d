"""How every experiment is shown: its finding on the terminal, its result as JSON, its page or its plot in a file."""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.columns import Columns
from clipsearch.cli.lab.folded import folded_lines
from clipsearch.cli.left_out import failure_fields
from clipsearch.cli.written import new_file_ending

if TYPE_CHECKING:
    from clipsearch.lab.findings import Finding, Table

Function = TypeVar("Function", bound=Callable[..., Any])


def showing_options(function: Function) -> Function:
    """`--output` and `--json`, as `target` and `as_json`."""
    function = click.option("--json", "as_json", is_flag=True, help="One JSON object.")(function)
    return click.option(
        "--output",
        "target",
        type=Named(),
        metavar="FILE",
        callback=_drawable_target,
        help="Write a page (.html), its first plot (.png), or the figures (.json).",
    )(function)


def page_option(function: Function) -> Function:
    """`--output` of what is always written, as `target`."""
    return click.option(
        "--output",
        "target",
        type=Named(),
        required=True,
        metavar="FILE",
        callback=new_file_ending(".html"),
        help="The page to write (.html).",
    )(function)


def _drawable_target(context: click.Context, parameter: click.Parameter, target: Path | None) -> Path | None:
    """As new_file_ending has it; and pages and pictures need what draws plots, which is also told before the work."""
    checked = new_file_ending(".html", ".png", ".json")(context, parameter, target)
    if checked is not None and checked.suffix != ".json":
        from clipsearch.lab.plots import check_installed

        check_installed()
    return checked


def show(result: object, finding: Finding, target: Path | None, as_json: bool) -> None:
    """The result and what it tells, as the options ask. Raises SystemFault for plots without the extra [lab]."""
    if target is not None:
        _write(target, result, finding)
    if as_json:
        output.write_json(fields(result))
        return
    output.say(output.printable(finding.says), hanging="")
    for table in finding.tables:
        click.echo()
        _show_table(table)
    if finding.ready:
        click.echo()
    for line in finding.ready:
        click.echo(output.printable(line))
    click.echo()
    for note in finding.notes:
        _say_dim(output.printable(note))


def fields(value: Any) -> Any:
    """A result as JSON has it: field by field; what is no number (NaN) is null."""
    import numpy as np

    from clipsearch.types import FailedFile

    if isinstance(value, FailedFile):
        return failure_fields([value])[0]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: fields(getattr(value, one.name)) for one in dataclass_fields(value)}
    if isinstance(value, np.ndarray):
        return fields(value.tolist())
    if isinstance(value, dict):
        return {str(name): fields(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [fields(one) for one in value]
    if isinstance(value, bytes):
        return output.shown(value)
    if isinstance(value, (float, np.floating)):
        return None if value != value else round(float(value), 6)
    return value.item() if isinstance(value, np.generic) else value


def command_line() -> str:
    """What was typed, so that a page tells how to make it again."""
    return output.shown(os.fsencode(shlex.join(["clipsearch", *sys.argv[1:]])))


def _write(target: Path, result: object, finding: Finding) -> None:
    from clipsearch.files import new_file

    if target.suffix == ".json":
        content = (output.json_text(fields(result), indent=2) + "\n").encode()
    elif target.suffix == ".png":
        from clipsearch.lab.plots import png

        content = png(finding.plots[0])
    else:
        from clipsearch.lab.page import page

        content = page(finding.title, command_line(), [finding]).encode()
    with new_file(target) as part:
        part.write_bytes(content)
    output.narrate(f"Written: {output.printable(str(target))}")


def _say_dim(text: str) -> None:
    """In lines first: colours would count as letters."""
    lines = textwrap.wrap(text, output.width(), break_long_words=False, break_on_hyphens=False)
    for line in lines if output.is_terminal() else [text]:
        click.echo(output.dim(line))


def _show_table(table: Table) -> None:
    """The origin stands with each title: on a terminal columns are read one by one."""
    from clipsearch.lab.findings import cell_text, column_title

    output.say(output.printable(table.title), hanging="")
    head = [column_title(one) + (f" ({one.origin})" if one.origin == "published" else "") for one in table.columns]
    rows = [
        [output.printable(cell_text(column, cell)) for column, cell in zip(table.columns, row, strict=True)]
        for row in table.rows
    ]
    numbers = [place for place, column in enumerate(table.columns) if column.origin != "name"]
    for line in folded_lines(Columns(head, numbers=numbers), rows):
        click.echo(line)
