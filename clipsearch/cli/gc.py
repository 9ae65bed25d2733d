"""`clipsearch gc`: removes what no photo needs any more."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.consent import agreed, dry_run_option, yes_option
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.upkeep.collect import Collected

EPILOG = """\b
A photo that was deleted or changed keeps its vector, so that it comes back
without encoding. This removes such vectors, and labels and thumbnails with
them. Photos of a disk that is away are kept, and so is every photo itself.

\b
Examples:
  clipsearch gc --dry-run
  clipsearch gc --former-models --yes
"""


@click.command("gc", cls=Verb, epilog=EPILOG)
@dry_run_option
@yes_option
@click.option("--former-models", is_flag=True, help="Also remove the vectors of models that are not used any more.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: what is removed, how much, what stays.")
@library_option
@click.pass_context
def command(
    context: click.Context, dry_run: bool, yes: bool, former_models: bool, as_json: bool, library: str | None
) -> int:
    """Remove what no photo needs any more."""
    with opened(context, library) as opened_library:
        found = opened_library.gc(dry_run=True)
        needed = bool(found.photos or (former_models and found.former))
        if not as_json:
            _tell(found, former_models=former_models)
        removes = needed and not dry_run and agreed("Remove them?", yes=yes)
        if removes:
            found = opened_library.gc(former_models=former_models)
    if as_json:
        output.write_json({**asdict(found), "removed": removes})
    elif removes:
        freed = f" {output.size_text(found.freed_bytes)} are free again." if found.freed_bytes else ""
        output.narrate(f"Removed.{freed}" + (f" Note: {found.remark}." if found.remark else ""))
    return Exit.DONE if removes or dry_run or not needed else Exit.USAGE


def _tell(found: Collected, *, former_models: bool) -> None:
    if found.photos:
        click.echo(
            f"{found.photos:,} photo{'' if found.photos == 1 else 's'} that no file shows any more: "
            f"{found.vectors:,} vectors, {found.labels:,} labels, {found.thumbnails:,} thumbnails"
        )
    for former in found.former:
        hint = "" if former_models else " (kept; --former-models removes them)"
        click.echo(f"{former.vectors:,} vectors of the former model {output.printable(former.model)}{hint}")
    if not found.photos and not found.former:
        output.narrate("Everything is needed.")
