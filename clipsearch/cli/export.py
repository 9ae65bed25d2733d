"""`clipsearch export`: photos, words and vectors in one file for other programs, or as a library that many read."""

from __future__ import annotations

import os
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import NamedOrURI
from clipsearch.cli.meter import meter
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.config import SHARED_PREFIX
from clipsearch.errors import Exit

EPILOG = """\b
One row a photo: digest, paths, metadata, labels, its vector; and files that
could not be read. .parquet needs pip install "clipsearch[parquet]"; .npz has
the vectors and JSON lines and needs nothing.

\b
--to lance writes the same with an index, on a disk or an object store, as a
library that many read at once; doing it again is its new version. It needs
pip install "clipsearch[lance]". Readers name it with --library lance:URI.

\b
Examples:
  clipsearch export photos.parquet
  duckdb -c "SELECT camera, count(*) FROM 'photos.parquet' GROUP BY 1"
  clipsearch export photos.npz
  clipsearch --library ~/elsewhere import photos.npz
  clipsearch export --to lance /mnt/share/archive
  clipsearch search --library lance:/mnt/share/archive harbour at night
  clipsearch export --to lance s3://newsroom/archive
"""


@click.command("export", cls=Verb, epilog=EPILOG)
@click.argument("target", type=NamedOrURI(), metavar="FILE")
@click.option(
    "--to",
    "form",
    type=click.Choice(["parquet", "npz", "lance"]),
    help="The format, where the name of the file does not say it; lance: FILE is a folder or a URI.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object: path, photos, vectors, failures, bytes; with lance library, version, index.",
)
@library_option
@click.pass_context
def command(context: click.Context, target: str, form: str | None, as_json: bool, library: str | None) -> int:
    """Write photos, labels and vectors into one file."""
    if form == "lance" or (form is None and target.startswith(SHARED_PREFIX)):
        _share(context, target, as_json, library)
    else:
        _write(context, Path(target), form, as_json, library)
    return Exit.DONE


def _write(context: click.Context, target: Path, form: str | None, as_json: bool, library: str | None) -> None:
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


def _share(context: click.Context, target: str, as_json: bool, library: str | None) -> None:
    with opened(context, library) as opened_library, meter("exporting") as progress:
        done = opened_library.share(target, progress=progress)
    if as_json:
        output.write_json(
            {
                "library": str(done.library), "version": done.version, "photos": done.photos, "vectors": done.vectors,
                "failures": done.failures, "index": done.has_index,
            }
        )  # fmt: skip
    elif output.is_terminal():
        click.echo(f"{output.printable(str(done.library))}  {done.photos:,} photos, version {done.version}")
    else:
        output.write_paths([os.fsencode(str(done.library))])
