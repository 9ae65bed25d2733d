"""`clipsearch lab compare`: models beside one another on the same photos."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from clipsearch.cli.arguments import Named
from clipsearch.cli.lab.labelled import labelled_options
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.errors import Exit, UsageError

EPILOG = """\b
FOLDER has one folder for each class.

\b
Examples:
  clipsearch lab compare ~/cifar10/test starter vit-b-32-laion2b --per-class 100
  clipsearch lab compare ~/pets starter vit-b-16-datacomp --output compare.html
"""


@click.command("compare", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named())
@click.argument("names", nargs=-1, required=True, metavar="MODEL MODEL...", shell_complete=model_names)
@labelled_options
@showing_options
@backend_option
@click.pass_context
def compare(
    context: click.Context,
    folder: Path,
    names: tuple[str, ...],
    set_name: str | None,
    per_class: int | None,
    templates: tuple[str, ...],
    target: Path | None,
    as_json: bool,
    backend: str,
) -> int:
    """Compare models on photos whose classes are known: accuracy, speed, agreement."""
    from clipsearch.evaluation.labelled import labelled_photos
    from clipsearch.lab.compare import compared_models, finding

    if len(names) < 2:
        raise UsageError(f"{names[0]} alone is no comparison.", "Name two models or more: clipsearch model list")
    photos = labelled_photos(folder, per_class, set_name)
    with ExitStack() as stack, meter("photos") as progress:
        engines = [stack.enter_context(opened_engine(context, name, backend)) for name in names]
        found = compared_models(engines, photos, templates, progress)
    tell_failures(found.failures)
    show(found, finding(found), target, as_json)
    return Exit.DONE
