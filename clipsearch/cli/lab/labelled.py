"""Options of experiments on photos whose classes are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from clipsearch.cli.options import utf8

Function = TypeVar("Function", bound=Callable[..., Any])


def labelled_options(function: Function) -> Function:
    """`--per-class` and `--template`, as `per_class` and `templates`."""
    function = click.option(
        "--template",
        "templates",
        multiple=True,
        callback=lambda context, parameter, values: tuple(utf8(one, "A template") for one in values),
        help="A sentence with {} for the class, or the name of published ones; several are averaged.",
    )(function)
    return click.option("--per-class", type=click.IntRange(1), metavar="N", help="The first N photos of each class.")(
        function
    )
