"""`clipsearch lab temperature`: whether probabilities are right as often as they say."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.arguments import Named
from clipsearch.cli.lab.labelled import labelled_options
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

EPILOG = """\b
FOLDER has one folder for each class. The temperature is fitted on half of the
photos and measured on the other half. No model is changed.

\b
Examples:
  clipsearch lab temperature ~/data/cifar10/test --template cifar10 --per-class 100
  clipsearch lab temperature ~/data/pets --model vit-b-32-laion2b --output temperature.html
"""


@click.command("temperature", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named())
@labelled_options
@model_option
@showing_options
@backend_option
@click.pass_context
def temperature(
    context: click.Context,
    folder: Path,
    set_name: str | None,
    per_class: int | None,
    templates: tuple[str, ...],
    model: str,
    target: Path | None,
    as_json: bool,
    backend: str,
) -> int:
    """Measure whether probabilities are right as often as they say."""
    from clipsearch.evaluation.labelled import labelled_photos
    from clipsearch.lab.temperature import finding, temperature_fit

    photos = labelled_photos(folder, per_class, set_name)
    with opened_engine(context, model, backend) as engine, meter("photos") as progress:
        fit = temperature_fit(engine, photos, templates, progress)
    tell_failures(fit.failures)
    show(fit, finding(fit), target, as_json)
    return Exit.DONE
