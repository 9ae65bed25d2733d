"""`clipsearch tui`: search in a full-screen terminal interface; what `clipsearch` alone opens too."""

from __future__ import annotations

import os

import click

from clipsearch.cli import output
from clipsearch.cli.options import backend_option, chosen_paths, library_option, threads_of
from clipsearch.cli.output import on_terminal
from clipsearch.errors import Exit, UsageError
from clipsearch.pictures.protocol import WANTED, Wanted, chosen

EPILOG = """\b
Type what you remember; Enter goes to the photos, ? shows all keys, q leaves.
On a terminal, clipsearch without a command opens this.
"""


@click.command("tui", epilog=EPILOG)
@click.option(
    "--pictures",
    type=click.Choice(WANTED),
    default="auto",
    show_default=True,
    help="How pictures are shown; half blocks work everywhere.",
)
@backend_option
@library_option
@click.pass_context
def command(context: click.Context, pictures: Wanted, backend: str, library: str | None) -> int:
    """Search in a full-screen terminal interface."""
    if not on_terminal():
        raise UsageError("The interface needs a terminal.", 'In a script: clipsearch search "dog on a beach" --json')
    protocol = chosen(pictures, os.environ, is_terminal=True)
    from clipsearch.tui.app import ClipsearchApp

    keys = context.obj.keys
    paths, threads = chosen_paths(context, library), threads_of(context)
    app = ClipsearchApp(paths, backend=backend, threads=threads, pictures=protocol, keys=keys)
    app.run()
    if app.indexing is not None and app.indexing.is_running:
        output.narrate("Indexing stops after the photos in hand; all of them are kept.")
        app.indexing.stop()
        app.indexing.wait()
    if app.failure is not None:
        raise app.failure
    return Exit.DONE
