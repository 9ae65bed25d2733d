"""`clipsearch config`: each setting, what it is and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.options import library_option
from clipsearch.cli.sections import Verb
from clipsearch.cli.voice import color_flag
from clipsearch.config import SETTINGS, resolved_settings, settings_file
from clipsearch.errors import Exit


@click.group("config")
def command() -> None:
    """Show the settings and where each comes from."""


@command.command("path", cls=Verb)
def path() -> int:
    """Print where the settings file is looked for; it need not be there."""
    click.echo(settings_file())
    return Exit.DONE


@command.command(
    "show",
    cls=Verb,
    epilog="""\b
A flag wins over an environment variable, that over the settings file, that
over the default.

\b
Examples:
  clipsearch config show
  clipsearch config show --json | jq '.[] | select(.name == "library")'
""",
)
@click.option("--json", "as_json", is_flag=True, help="An array of {name, value, origin}.")
@library_option
@click.pass_context
def show(context: click.Context, as_json: bool, library: str | None) -> int:
    """Print each setting, its value and where it comes from."""
    flags = {"library": library or context.find_root().params["library"], "color": color_flag(context)}
    settings = resolved_settings(flags)
    rows = [(one.name, getattr(settings, one.name), settings.origins[one.name]) for one in SETTINGS]
    if as_json:
        output.write_json([{"name": name, "value": _data(value), "origin": origin} for name, value, origin in rows])
        return Exit.DONE
    texts = [_text(value) for _, value, _ in rows]
    widths = max(len(name) for name, _, _ in rows), max(map(output.cells, texts))
    for (name, _, origin), text in zip(rows, texts, strict=True):
        click.echo(f"{name:<{widths[0]}}  {output.padded(text, widths[1])}  {output.dim(output.printable(origin))}")
    return Exit.DONE


def _data(value: object) -> object:
    """As JSON says it."""
    return str(value) if isinstance(value, Path) else dict(value) if isinstance(value, Mapping) else value


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return output.json_text(dict(value))
    return output.printable(str(value))
