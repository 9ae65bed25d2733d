"""`clipsearch similar`: photos like one photo, from its stored vector when it is indexed."""

from __future__ import annotations

import os
from pathlib import Path

import click

from clipsearch.cli import actions as acting
from clipsearch.cli import output
from clipsearch.cli.actions import Actions, act, action_options
from clipsearch.cli.answer import render, tell_nothing
from clipsearch.cli.arguments import Named
from clipsearch.cli.forms import chosen_form, form_options, render_form
from clipsearch.cli.options import (
    answering,
    backend_option,
    count_option,
    json_options,
    library_option,
    null_option,
    opened,
    under_option,
)
from clipsearch.cli.sections import Verb
from clipsearch.cli.voice import is_verbose
from clipsearch.errors import Exit
from clipsearch.pictures.protocol import Wanted

EPILOG = f"""\b
A photo of the library is its own nearest one and comes first. Nothing is held
back as too far off: -k says how many are shown, opened or copied.

{acting.EPILOG}
\b
Examples:
  clipsearch similar ~/Photos/2019/cat.jpg
  clipsearch similar cat.jpg -k 5 --json
  clipsearch similar cat.jpg --show
"""


@click.command("similar", cls=Verb, epilog=EPILOG)
@click.argument("photo", type=Named())
@count_option
@under_option
@null_option
@action_options
@form_options
@json_options
@backend_option
@library_option
@click.pass_context
def command(
    context: click.Context,
    photo: Path,
    count: int,
    under: Path | None,
    null: bool,
    actions: Actions,
    show: bool,
    pictures: Wanted,
    html: str | None,
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Find photos that look like PHOTO."""
    form = chosen_form(show, pictures, html, is_data=as_json or ndjson or null)
    actions.check(form_is_asked=form is not None or as_json or ndjson or null)
    with answering(context, library, backend) as asked_library:
        answer = asked_library.similar(photo, k=count, under=under)
    if form is not None:
        title = f"Like {output.shown(os.fsencode(photo.name))}"
        with opened(context, library, backend) as opened_library:  # whoever answered, pictures are made here
            render_form(form, opened_library, answer, answer.hits, title=title, verbose=is_verbose())
    elif not actions.command:
        render(answer, as_json=as_json, ndjson=ndjson, null=null)
    all_done = act(actions, answer.hits)
    if answer.hits:
        return Exit.DONE if all_done else Exit.SYSTEM
    tell_nothing(answer, under)
    return Exit.NOTHING_FOUND
