"""`clipsearch saved`: the searches that `clipsearch search --save NAME` has kept."""

from __future__ import annotations

import difflib

import click

from clipsearch.cli import output
from clipsearch.cli.options import library_option, opened
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import saved_names
from clipsearch.errors import Exit, UsageError

EPILOG = """\b
Examples:
  clipsearch search sunset is:landscape --save evenings
  clipsearch search @evenings after:2020
  clipsearch saved
  clipsearch saved remove evenings
"""


@click.group("saved", invoke_without_command=True, epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="An array of {name, query}.")
@library_option
@click.pass_context
def command(context: click.Context, as_json: bool, library: str | None) -> int:
    """List saved searches, or remove one."""
    if context.invoked_subcommand is not None:
        return Exit.DONE
    with opened(context, library) as opened_library:
        searches = opened_library.saved_searches()
    if as_json:
        output.write_json([{"name": one.name, "query": one.query} for one in searches])
    elif not output.is_terminal():
        output.write_paths(f"{one.name}\t{one.query}".encode() for one in searches)
    else:
        width = max((output.cells(one.name) for one in searches), default=0)
        for one in searches:
            click.echo(
                f"@{output.padded(output.printable(one.name), width)}  {output.dim(output.printable(one.query))}"
            )
    if not searches:
        output.narrate("No search is saved. Save one: clipsearch search sunset --save evenings")
    return Exit.DONE


@command.command("remove", cls=Verb)
@click.argument("name", shell_complete=saved_names)
@library_option
@click.pass_context
def remove(context: click.Context, name: str, library: str | None) -> int:
    """Remove the saved search NAME."""
    assert context.parent is not None  # the group
    library = library or context.parent.params["library"]
    name = name.removeprefix("@")
    with opened(context, library) as opened_library:
        if not opened_library.forget_search(name):
            near = difflib.get_close_matches(name, [one.name for one in opened_library.saved_searches()], n=1)
            known = f"Did you mean {near[0]}?" if near else "clipsearch saved lists them."
            raise UsageError(f'There is no saved search "{name}".', known)
    output.narrate("Removed. The photos it found are as they were.")
    return Exit.DONE
