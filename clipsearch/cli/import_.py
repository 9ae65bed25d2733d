"""`clipsearch import`: what a file of `clipsearch export` holds, into a library."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.meter import meter
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
Photos are known by their bytes: what the library has stays as it is, and the
same file twice adds nothing. All of the file is imported, or nothing. Where
the photos lie elsewhere on this machine, say so with clipsearch relocate.

\b
Examples:
  clipsearch import photos.parquet
  clipsearch --library ~/elsewhere import photos.npz
  clipsearch relocate /Users/me/Photos /home/me/Photos
"""


@click.command("import", cls=Verb, epilog=EPILOG)
@click.argument("source", type=Named(), metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: what was added, which folders are not here.")
@library_option
@click.pass_context
def command(context: click.Context, source: Path, as_json: bool, library: str | None) -> int:
    """Add the photos of an exported file to the library."""
    with opened(context, library) as opened_library, meter("importing") as progress:
        done = opened_library.import_(source, progress=progress)
    if as_json:
        output.write_json({**asdict(done), "offline": [output.path_fields(path) for path in done.offline]})
        return Exit.DONE
    known = f", {done.known:,} were known" if done.known else ""
    output.narrate(f"{done.photos:,} photos added with {done.files:,} files{known}.")
    for path in done.offline:
        output.narrate(f"{output.shown(path)} is not on this machine. Where it is: clipsearch relocate OLD NEW")
    return Exit.DONE
