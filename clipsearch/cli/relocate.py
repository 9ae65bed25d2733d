"""`clipsearch relocate`: photos that lie at another place now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.consent import agreed, dry_run_option, yes_option
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.upkeep.relocate import Relocation

EPILOG = """\b
OLD is an indexed folder, or a folder above several. No photo is read or
encoded again. A sample of the files is looked for in NEW first.

\b
Examples:
  clipsearch relocate /media/old-disk /media/new-disk --dry-run
  clipsearch relocate ~/Pictures /mnt/nas/Pictures
  clipsearch relocate /Volumes/Photos /media/me/Photos --yes
"""


@click.command("relocate", cls=Verb, epilog=EPILOG)
@click.argument("old", type=Named())
@click.argument("new", type=Named())
@dry_run_option
@yes_option
@click.option("--force", is_flag=True, help="Even though most files are not there: the disk comes later.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: roots, files, what was looked at and found.")
@library_option
@click.pass_context
def command(
    context: click.Context, old: Path, new: Path, dry_run: bool, yes: bool, force: bool, as_json: bool,
    library: str | None,
) -> int:  # fmt: skip
    """Tell the library that photos lie at another place now."""
    from clipsearch.upkeep.relocate import check_found

    with opened(context, library) as opened_library:
        found = opened_library.relocate(old, new, dry_run=True)
        if not as_json:
            _tell(found)
        check_found(found, os.path.abspath(os.fsencode(new)), force=force)
        goes_on = not dry_run and agreed("Move them in the library?", yes=yes)
        if goes_on:
            found = opened_library.relocate(old, new, force=force)
    if as_json:
        output.write_json({**_fields(found), "changed": goes_on})
    elif goes_on:
        output.narrate("Done. Bring the library up to date: clipsearch index")
    return Exit.DONE if goes_on or dry_run else Exit.USAGE


def _tell(found: Relocation) -> None:
    for root in found.roots:
        joined = f" (joins {output.shown(root.into)}, which is indexed)" if root.into is not None else ""
        click.echo(f"{output.shown(root.old)} -> {output.shown(root.new)}  {root.files:,} files{joined}")
    if found.looked_at:
        later = found.same - found.unread
        reread = f"; {later:,} with another time, which the next index reads again" if later else ""
        output.narrate(f"{found.same:,} of {found.looked_at:,} files looked for are there{reread}.")


def _fields(found: Relocation) -> dict[str, object]:
    return {
        "roots": [
            {
                **output.path_fields(root.old, "old"),
                **output.path_fields(root.new, "new"),
                "files": root.files,
                **({} if root.into is None else output.path_fields(root.into, "into")),
            }
            for root in found.roots
        ],
        "files": found.files,
        "looked_at": found.looked_at,
        "same": found.same,
        "unread": found.unread,
    }
