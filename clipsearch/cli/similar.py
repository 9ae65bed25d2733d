"""`clipsearch similar`: photos like one photo, from its stored vector when it is indexed."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli import actions as acting
from clipsearch.cli.actions import Actions, act, action_options
from clipsearch.cli.answer import render, tell_nothing
from clipsearch.cli.options import backend_option, count_option, json_options, library_option, opened
from clipsearch.errors import Exit, UsageError

EPILOG = f"""\b
A photo of the library is its own nearest one and comes first.

{acting.EPILOG}
\b
Examples:
  clipsearch similar ~/Photos/2019/cat.jpg
  clipsearch similar cat.jpg -k 5 --json
"""


@click.command("similar", epilog=EPILOG)
@click.argument("photo", type=click.Path(path_type=Path))
@count_option
@click.option("--under", type=click.Path(path_type=Path), metavar="DIR", help="Only photos in this folder or below it.")
@click.option("-0", "--null", is_flag=True, help="Paths, each ended by a NUL byte.")
@action_options
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
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Find photos that look like PHOTO."""
    if actions.command and (null or as_json or ndjson):
        raise UsageError("The output of --exec takes the place of the list.", "Leave out --json, --ndjson and -0.")
    with opened(context, library, backend) as opened_library:
        answer = opened_library.similar(photo, k=count, under=under)
    if not actions.command:
        render(answer, as_json=as_json, ndjson=ndjson, null=null)
    all_done = act(actions, answer.hits)
    if answer.hits:
        return Exit.DONE if all_done else Exit.SYSTEM
    tell_nothing(answer)
    return Exit.NOTHING_FOUND
