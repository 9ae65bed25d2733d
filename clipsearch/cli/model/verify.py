"""`clipsearch model verify`: whether a model here is whole and works."""

from __future__ import annotations

import click

from clipsearch.cli import output
from clipsearch.cli.options import backend_option, chosen_paths, threads_of
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.engine.store import find_model
from clipsearch.errors import Exit


@click.command("verify", cls=Verb, epilog="\b\nExamples:\n  clipsearch model verify starter")
@click.argument("name", default="starter", shell_complete=model_names)
@backend_option
@click.pass_context
def verify(context: click.Context, name: str, backend: str) -> int:
    """Check the model NAME: the digests of its files, both towers, its golden vectors. Ends with 4 where it fails."""
    from clipsearch.cli.notices import noticed
    from clipsearch.engine.verify import checked_files, checked_towers

    context.with_resource(noticed())
    card = find_model(name, chosen_paths(context, None).models)
    files = list(checked_files(card))
    for what in checked_towers(card, backend, threads_of(context)):
        output.narrate(f"checking: {what}")
    output.narrate(f"{output.printable(card.name)} is whole and works: {len(files)} files, both towers.")
    return Exit.DONE
