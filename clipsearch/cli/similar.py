"""`clipsearch similar`: photos like one photo, from its stored vector when it is indexed."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.answer import render, tell_nothing
from clipsearch.cli.options import answering, backend_option, json_options, library_option
from clipsearch.errors import Exit

EPILOG = """\b
A photo of the library is its own nearest one and comes first.

\b
Examples:
  clipsearch similar ~/Photos/2019/cat.jpg
  clipsearch similar cat.jpg -k 5 --json
"""


@click.command("similar", epilog=EPILOG)
@click.argument("photo", type=click.Path(path_type=Path))
@click.option("-k", "count", type=click.IntRange(0), default=20, show_default=True, help="How many photos; 0 for all.")
@click.option("--under", type=click.Path(path_type=Path), metavar="DIR", help="Only photos in this folder or below it.")
@click.option("-0", "--null", is_flag=True, help="Paths, each ended by a NUL byte.")
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
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Find photos that look like PHOTO."""
    with answering(context, library, backend) as asked_library:
        answer = asked_library.similar(photo, k=count, under=under)
    render(answer, as_json=as_json, ndjson=ndjson, null=null)
    if answer.hits:
        return Exit.DONE
    tell_nothing(answer)
    return Exit.NOTHING_FOUND
