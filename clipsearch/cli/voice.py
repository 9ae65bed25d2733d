"""How loud and how coloured the program speaks: `--quiet`, `--verbose` and `--color`, on the program and on every verb.

The choices lie in click's context, so that nothing has to hand them down. What they do to a text is output.py's.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from clipsearch.config import COLORS

_QUIET, _VERBOSE, _COLOR = "clipsearch.quiet", "clipsearch.verbose", "clipsearch.color"


def is_quiet() -> bool:
    """Whether only answers and errors are wanted."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def is_verbose() -> bool:
    """Whether more is wanted: scores, names of the files that were left out or written."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_VERBOSE))


def color_flag(context: click.Context) -> str | None:
    """What `--color` said, wherever it stood."""
    said: str | None = context.meta.get(_COLOR)
    return said


def choose_color(context: click.Context, choice: str) -> None:
    """Sets whether this context and those below it write colours; a terminal decides where nobody else does."""
    by_itself = False if os.environ.get("NO_COLOR") else None  # https://no-color.org
    context.color = {"always": True, "never": False}.get(choice, by_itself)


def voice_options() -> list[click.Option]:
    """Fresh options for one command; they act by themselves and give its function no argument."""
    return [
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_remember(_QUIET),
            help="Say nothing on stderr but errors.",
        ),
        click.Option(
            ["-v", "--verbose"], is_flag=True, expose_value=False, callback=_remember(_VERBOSE),
            help="Say more: scores, and files by name.",
        ),
        click.Option(
            ["--color"], type=click.Choice(COLORS), metavar="WHEN", expose_value=False, callback=_color,
            help="Use colours: auto (on a terminal), always or never; also CLIPSEARCH_COLOR.",
        ),
    ]  # fmt: skip


def give_voice(command: click.Command) -> None:
    """Adds these options to a verb, and to its own verbs if it has some; once."""
    known = {param.name for param in command.params}
    command.params += [option for option in voice_options() if option.name not in known]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            give_voice(inner)


def _remember(key: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            context.meta[key] = True

    return callback


def _color(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta[_COLOR] = value
        choose_color(context, value)
