"""`clipsearch merge`: bundles of `index --bundle` and `cluster encode`, into a library."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.consent import dry_run_option
from clipsearch.cli.meter import meter
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
Photos are known by their bytes: what the library has stays as it is, the same
bundle twice adds nothing, and bundles come in any order. A bundle is merged
whole or not at all; one that is unfinished, damaged or of another model is
refused. On the machine that has the photos, index then encodes nothing.

\b
Examples:
  clipsearch merge /mnt/shared/bundles/*
  clipsearch merge --dry-run usb/1-of-4    reads and checks all of it
  clipsearch merge --root ~/Photos part1 part2
"""


@click.command("merge", cls=Verb, epilog=EPILOG)
@click.argument("bundles", nargs=-1, required=True, type=Named(), metavar="BUNDLE...")
@click.option(
    "--root",
    type=Named(),
    metavar="DIR",
    help="Where the folder that was encoded lies on this machine; as there if not.",
)
@dry_run_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object: what was added, which folders are not here.")
@library_option
@click.pass_context
def command(
    context: click.Context, bundles: tuple[Path, ...], root: Path | None, dry_run: bool, as_json: bool,
    library: str | None,
) -> int:  # fmt: skip
    """Add the photos of bundles to the library."""
    try:
        with opened(context, library) as opened_library, meter("checking" if dry_run else "merging") as progress:
            done = opened_library.merge(bundles, root=root, dry_run=dry_run, progress=progress)
    except KeyboardInterrupt:
        stay = "" if dry_run else " Bundles that were merged whole stay; the same command goes on with the others."
        output.narrate(f"Stopped.{stay}")
        raise
    if as_json:
        output.write_json({**asdict(done), "offline": [output.path_fields(path) for path in done.offline]})
        return Exit.DONE
    if dry_run:
        whole = "It is whole" if done.bundles == 1 else f"All {done.bundles:,} are whole"
        output.narrate(
            f"{whole}: {done.photos:,} photos, {done.files:,} files, {done.unread:,} of them not readable. "
            "Nothing was changed."
        )
        return Exit.DONE
    known = f"; known already: {done.known:,}" if done.known else ""
    unread = f"; not readable where they were encoded: {done.unread:,} (clipsearch errors)" if done.unread else ""
    output.narrate(f"{done.photos:,} photos added with {done.files:,} files{known}{unread}.")
    for path in done.offline:
        shown = output.shown(path)
        output.narrate(f"{shown} is not on this machine. To say where it lies: clipsearch relocate {shown} FOLDER")
    return Exit.DONE
