"""`clipsearch export`: photos, words and vectors in one file for other programs and other machines."""

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
One row a photo: digest, paths, metadata, labels, its vector in f16; and files
that could not be read. .parquet needs pip install "clipsearch[parquet]";
.npz holds the vectors and JSON lines and needs nothing.

\b
Examples:
  clipsearch export photos.parquet
  duckdb -c "SELECT camera, count(*) FROM 'photos.parquet' GROUP BY 1"
  clipsearch export photos.npz
  clipsearch --library ~/elsewhere import photos.npz
"""


@click.command("export", cls=Verb, epilog=EPILOG)
@click.argument("target", type=Named(), metavar="FILE")
@click.option(
    "--to",
    "form",
    type=click.Choice(["parquet", "npz"]),
    help="The format, where the name of the file does not say it.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: path, photos, vectors, failures, bytes.")
@library_option
@click.pass_context
def command(context: click.Context, target: Path, form: str | None, as_json: bool, library: str | None) -> int:
    """Write photos, labels and vectors into one file."""
    with opened(context, library) as opened_library, meter("exporting") as progress:
        done = opened_library.export(target, form=form, progress=progress)
    file = os.fsencode(done.file)
    if as_json:
        output.write_json(
            {
                **output.path_fields(file), "photos": done.photos, "vectors": done.vectors,
                "failures": done.failures, "bytes": done.bytes,
            }
        )  # fmt: skip
    elif output.is_terminal():
        click.echo(f"{output.shown(file)}  {done.photos:,} photos, {output.size_text(done.bytes)}")
    else:
        output.write_paths([file])
    return Exit.DONE
