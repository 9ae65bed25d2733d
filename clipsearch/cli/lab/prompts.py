"""`clipsearch lab prompts`: which templates recognise most photos."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import click

from clipsearch.cli.arguments import Named, Source
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine, per_class_option, set_option, utf8
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit, UsageError

EPILOG = """\b
FOLDER has one folder for each class. Templates are chosen on half of the
photos and measured on the other half. What was chosen is printed as options
for zsl and bench, and as lines for a label file.

\b
Examples:
  clipsearch lab prompts ~/data/cifar10/test --per-class 100
  clipsearch lab prompts ~/data/pets --template imagenet --template "a phone picture of a {}."
  clipsearch lab prompts ~/data/pets --templates-file mine.txt --output prompts.html
"""


@click.command("prompts", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named())
@set_option
@per_class_option
@click.option(
    "--template",
    "templates",
    multiple=True,
    help="Choose from these: sentences with {}, or names of published ones.  [default: imagenet, and the set's own]",
)
@click.option(
    "--templates-file",
    "file",
    type=Source(),
    metavar="FILE",
    help="The same from a file, one a line, but those that begin with #; - reads stdin.",
)
@model_option
@showing_options
@backend_option
@click.pass_context
def prompts(
    context: click.Context,
    folder: Path,
    set_name: str | None,
    per_class: int | None,
    templates: tuple[str, ...],
    file: IO[bytes] | None,
    model: str,
    target: Path | None,
    as_json: bool,
    backend: str,
) -> int:
    """Find the templates that recognise most photos in class folders."""
    from clipsearch.evaluation.encoded import encoded_photos
    from clipsearch.evaluation.labelled import labelled_photos
    from clipsearch.lab.prompts import finding, prompt_choice, prompt_plan

    asked = [*(utf8(template, "A template") for template in templates), *(_lines(file) if file else ())]
    photos = labelled_photos(folder, per_class, set_name)
    plan = prompt_plan(photos, asked)
    with opened_engine(context, model, backend) as engine:
        with meter("photos") as progress:
            encoded = encoded_photos(engine, photos, progress)
        with meter("templates") as progress:
            choice = prompt_choice(engine, photos, encoded, plan, progress)
    tell_failures(choice.failures)
    show(choice, finding(choice), target, as_json)
    return Exit.DONE


def _lines(file: IO[bytes]) -> list[str]:
    """Raises UsageError for a file without a template."""
    try:
        lines = [line.strip() for line in file.read().decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.name} is not UTF-8.", "Write one template a line, in UTF-8.") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise UsageError(f"{file.name} has no template.", "Write one a line, as: a photo of a {}.")
    return found
