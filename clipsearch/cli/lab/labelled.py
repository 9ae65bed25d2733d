"""Options of experiments on photos whose classes are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from clipsearch.cli.options import per_class_option, set_option, utf8

Function = TypeVar("Function", bound=Callable[..., Any])


def labelled_options(function: Function) -> Function:
    """`--set`, `--per-class` and `--template`, as `set_name`, `per_class` and `templates`."""
    function = click.option(
        "--template",
        "templates",
        multiple=True,
        callback=lambda context, parameter, values: tuple(utf8(one, "A template") for one in values),
        help="A sentence with {} for the class, or the name of published ones; several are averaged.",
    )(function)
    return set_option(per_class_option(function))
