"""Answers to look at: `--show` and `--html`, for every command that answers with hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import filled
from clipsearch.cli.options import Function
from clipsearch.errors import UsageError
from clipsearch.pictures.protocol import WANTED, Protocol, Wanted
from clipsearch.types import Answer, Hit

if TYPE_CHECKING:  # every search imports this module, also those that the service answers
    from clipsearch.library import Library


@dataclass(frozen=True, slots=True)
class Form:
    """What takes the place of the table: pictures by a protocol, or a page."""

    protocol: Protocol | None
    html: str | None


def form_options(function: Function) -> Function:
    function = click.option(
        "--html", metavar="FILE", callback=filled, help="Write a page with the photos; - for stdout."
    )(function)
    function = click.option(
        "--pictures",
        type=click.Choice(WANTED),
        default="auto",
        show_default=True,
        help="How --show draws; auto asks the environment.",
    )(function)
    return click.option("--show", is_flag=True, help="Show the photos themselves, in the terminal.")(function)


def chosen_form(show: bool, pictures: Wanted, html: str | None, *, is_data: bool) -> Form | None:
    """None where neither was asked. Raises UsageError or SystemFault before anything is searched."""
    if show + (html is not None) + is_data > 1:
        raise UsageError("An answer has one form.", "Choose one of --show, --html, --json, --ndjson and -0.")
    if html is not None:
        from clipsearch.cli.sheet import checked_target

        return Form(None, checked_target(html))
    if show:
        from clipsearch.cli.show import chosen_protocol

        protocol = chosen_protocol(pictures)
        return None if protocol == "none" else Form(protocol, None)
    return None


def render_form(
    form: Form, library: Library, answer: Answer, hits: Sequence[Hit], *, title: str, verbose: bool = False
) -> None:
    """Nothing is written where there are no hits: an old page stays."""
    if not hits:
        return
    if form.html is not None:
        from clipsearch.cli.sheet import write_sheet

        write_sheet(library, answer, hits, form.html, title=title)
    elif form.protocol is not None:
        from clipsearch.cli.answer import tell_count
        from clipsearch.cli.show import show

        show(library, hits, form.protocol, verbose=verbose)
        tell_count(answer, hits)
