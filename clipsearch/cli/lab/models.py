"""`clipsearch lab models`: size, shape and work of models, from their graphs."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.options import chosen_paths
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.errors import Exit

EPILOG = """\b
Without a MODEL all that are installed are shown. Nothing is run: parameters and
operations are counted in the graphs.

\b
Examples:
  clipsearch lab models
  clipsearch lab models starter vit-b-32-laion2b --output models.html
"""


@click.command("models", cls=Verb, epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="[MODEL]...", shell_complete=model_names)
@showing_options
@click.pass_context
def models(context: click.Context, names: tuple[str, ...], target: Path | None, as_json: bool) -> int:
    """Count what models are made of: parameters, operations, layers, files."""
    from clipsearch.engine.store import available_models, find_model
    from clipsearch.lab.models import finding, model_sizes

    folder = chosen_paths(context, None).models
    cards = [find_model(name, folder) for name in names]
    if not names:
        cards, broken = available_models(folder)
        for error in broken:
            output.tell(f"clipsearch: {output.printable(error.message)}\nhint: {error.hint}")
    sizes = model_sizes(cards)
    show(sizes, finding(sizes), target, as_json)
    return Exit.DONE
