"""`clipsearch errors`: the files that are not in the results, and why."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from clipsearch.cli import output
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit
from clipsearch.types import FailedFile

EPILOG = """\b
They are tried again when the file changes, by a newer clipsearch, or when
they are named: clipsearch index FILE. What crashed its reader twice, or took
longer than its time, is quarantined: it comes back in the same ways.
"""


@click.command("errors", cls=Verb, epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="An array of {path, reason, attempts}.")
@library_option
@click.pass_context
def command(context: click.Context, as_json: bool, library: str | None) -> int:
    """List files that could not be read, with the reason."""
    with opened(context, library) as opened_library:
        failures = opened_library.failures()
    if as_json:
        output.write_json(
            [{**output.path_fields(one.path), "reason": one.reason, "attempts": one.attempts} for one in failures]
        )
    elif not output.is_terminal():
        for one in failures:
            sys.stdout.buffer.write(one.path + f": {output.printable(one.reason)}\n".encode())
    else:
        _show(failures)
    if not failures and not as_json:
        output.narrate("Every file could be read.")
    return Exit.DONE


def _show(failures: Sequence[FailedFile]) -> None:
    """A line for each, their common folder once above; how many they are and what to do, last, where one looks."""
    folder = output.common_folder([one.path for one in failures])
    if folder:
        click.echo(output.dim(output.shown(folder)))
    for one in failures:
        name = one.path[len(folder) :].lstrip(b"/") if folder else one.path
        click.echo(f"{output.shown(name)}: {output.printable(one.reason)}")
    if failures:
        count = f"{len(failures):,} {'file was' if len(failures) == 1 else 'files were'} not read"
        output.narrate(f"{count}. Mend what the reason says, then: clipsearch index")
