"""`clipsearch backup`: the library in one file."""

from __future__ import annotations

import os
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.meter import meter
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
TARGET is a new file, or a folder, in which it is named after the time. An
index run may go on meanwhile. The photos are not in it; everything else is
that cannot be made again.

\b
Examples:
  clipsearch backup /media/usb
  clipsearch backup library-before-the-move.db
To restore it, put it alone into a folder:
  mkdir ~/restored && cp library-before-the-move.db ~/restored/catalog.db
  clipsearch --library ~/restored status
"""


@click.command("backup", cls=Verb, epilog=EPILOG)
@click.argument("target", type=Named())
@click.option("--json", "as_json", is_flag=True, help="One JSON object: path, photos, files, bytes.")
@library_option
@click.pass_context
def command(context: click.Context, target: Path, as_json: bool, library: str | None) -> int:
    """Copy the library into one file, also while it is written."""
    with opened(context, library) as opened_library, meter("copying") as progress:
        done = opened_library.backup(target, progress=progress)
    file = os.fsencode(done.file)
    if as_json:
        output.write_json({**output.path_fields(file), "photos": done.photos, "files": done.files, "bytes": done.bytes})
    elif output.is_terminal():
        click.echo(f"{output.shown(file)}  {done.photos:,} photos, {output.size_text(done.bytes)}, checked")
    else:
        output.write_paths([file])
    return Exit.DONE
