"""`clipsearch forget`: take a folder out of the library, after saying what that means."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.consent import agreed, dry_run_option, yes_option
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
Examples:
  clipsearch forget /media/old-disk
  clipsearch forget --yes ~/Downloads
"""


@click.command("forget", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named(), metavar="PATH")
@dry_run_option
@yes_option
@library_option
@click.pass_context
def command(context: click.Context, folder: Path, dry_run: bool, yes: bool, library: str | None) -> int:
    """Take a folder out of the library; nothing is deleted on the disk."""
    with opened(context, library) as opened_library:
        root = opened_library.root(folder)
        what = f"{output.shown(root.path)} and its {root.files:,} files"
        kept = "Its vectors are kept: indexing it again encodes nothing."
        if dry_run or not yes:
            output.tell(f"{what} would leave the results. {kept}")
        if dry_run:
            return Exit.DONE
        if not agreed("Forget it?", yes=yes):
            return Exit.USAGE
        opened_library.forget(folder)
    output.narrate(f"Forgotten: {what}. {kept}")
    return Exit.DONE
