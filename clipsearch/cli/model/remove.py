"""`clipsearch model remove`: takes a model off this machine; asks where the library searches with it."""

from __future__ import annotations

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import filled
from clipsearch.cli.model.words import agreed
from clipsearch.cli.options import answering, chosen_paths, library_option
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.engine.store import find_model, model_handle, remove_begun, remove_model
from clipsearch.errors import Exit, UsageError


@click.command("remove", cls=Verb, epilog="\b\nExamples:\n  clipsearch model remove vit-b-32-openai")
@click.argument("name", callback=filled, shell_complete=model_names)
@click.option("-y", "--yes", is_flag=True, help="Also when the library searches with it.")
@library_option
@click.pass_context
def remove(context: click.Context, name: str, yes: bool, library: str | None) -> int:
    """Remove the model NAME from this machine, or what has been fetched of it."""
    from clipsearch.opened import is_there  # numpy comes with it

    paths = chosen_paths(context, library)
    if remove_begun(name, paths.models):
        output.narrate(f"What had been fetched of {output.printable(name.strip())} is gone.")
        return Exit.DONE
    card = find_model(name, paths.models)
    handle = model_handle(card, paths.models)
    if is_there(paths) and not yes:
        with answering(context, library) as asked_library:
            status = asked_library.status()
        if status.space and status.model == handle and not _accepted(handle):
            output.narrate("Nothing was removed.")
            return Exit.INTERRUPTED
    remove_model(card, paths.models)
    output.narrate(f"{output.printable(handle)} is gone. Photos and what is known of them are as they were.")
    return Exit.DONE


def _accepted(handle: str) -> bool:
    answer = agreed(f"The library searches with {output.printable(handle)} and finds nothing without it. Remove it?")
    if answer is None:
        raise UsageError(
            f"The library searches with {handle}; it was not removed.",
            "Use another one first: clipsearch model use NAME; or remove it all the same with --yes.",
        )
    return answer
