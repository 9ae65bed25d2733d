"""What click refuses, in the words of this program: one sentence with the name of the thing, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

_NOWHERE = click.Context(click.Command("clipsearch"))  # click asks for one to name an argument


def name_of(parameter: click.Parameter) -> str:
    """As it is typed, or as the help calls it."""
    if isinstance(parameter, click.Option):
        return parameter.opts[-1]
    return parameter.make_metavar(_NOWHERE).strip("[].{}")


def complaint(error: click.ClickException, command: str) -> tuple[str, str]:
    """Sentence and hint. `command` is what was asked for, such as `clipsearch search`."""
    page = f"{command} --help"
    match error:
        case click.NoSuchOption(option_name=name, possibilities=near):
            if command == "clipsearch search" and not name.startswith("--"):
                page = 'A query that begins with a minus stands after --: clipsearch search -- "- people"'
            return f"There is no option {name}.{_did_you_mean(near)}", page
        case click.BadOptionUsage(option_name=name):
            takes = "takes no value" if "not take" in error.message else "needs a value"
            return f"{name} {takes}.", page
        case click.MissingParameter(param=click.Parameter() as parameter):
            takes = _takes(parameter.type)
            return f"{command} needs {name_of(parameter)}.", f"It is {takes}." if takes else page
        case click.BadParameter(param=click.Parameter() as parameter):
            said, is_named, _ = error.message.partition(" is not ")
            takes = _takes(parameter.type)
            if is_named and takes:
                value = said.strip("'")
                return f'{name_of(parameter)} is "{value}", which does not fit.', f"It takes {takes}."
    return error.format_message(), page


def _did_you_mean(near: Sequence[str] | None) -> str:
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _takes(kind: click.ParamType[Any]) -> str:
    """What fits, in words; empty where that needs a page."""
    match kind:
        case click.Choice(choices=choices):
            *first, last = map(str, choices)
            return f"{', '.join(first)} or {last}"
        case click.IntRange(min=least, max=most) | click.FloatRange(min=least, max=most):
            number = "a whole number" if isinstance(kind, click.IntRange) else "a number"
            return f"{number} from {least:g} {'on' if most is None else f'to {most:g}'}"
    return ""
