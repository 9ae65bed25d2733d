"""`clipsearch lab precision`: accuracy against speed, of every way to run a model."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.arguments import Named
from clipsearch.cli.lab.labelled import labelled_options
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import chosen_paths, model_option, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit, UsageError
from clipsearch.ways import AUTO

EPILOG = """\b
FOLDER has one folder for each class. Every variant of the model is run in every
arithmetic and on every device that this machine has, each in a process of its
own: one that crashes is named, and the others go on.

\b
Examples:
  clipsearch lab precision ~/cifar10/test --per-class 50 --template cifar10
  clipsearch lab precision --captions ~/captions.tsv --output precision.html
"""


@click.command("precision", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named(), required=False)
@labelled_options
@click.option(
    "--captions",
    "file",
    type=Named(),
    metavar="FILE",
    help="Captioned photos, for R@1: a table with the columns file and caption, COCO's JSON, Flickr's token files.",
)
@model_option
@showing_options
@click.pass_context
def precision(
    context: click.Context,
    folder: Path | None,
    set_name: str | None,
    per_class: int | None,
    templates: tuple[str, ...],
    file: Path | None,
    model: str,
    target: Path | None,
    as_json: bool,
) -> int:
    """Measure what fewer bits cost and gain: accuracy against speed."""
    from clipsearch.evaluation.captions import captioned_photos
    from clipsearch.evaluation.labelled import labelled_photos
    from clipsearch.lab import precision as experiment

    if folder is None and file is None:
        raise UsageError("There are no photos to measure on.", "Name a folder of class folders, or --captions FILE.")
    if folder is None and (per_class or set_name):
        raise UsageError("--per-class and --set belong to a folder of classes.", "Leave them out.")
    labelled = labelled_photos(folder, per_class, set_name) if folder else None
    captioned = captioned_photos(file) if file else None
    cache = chosen_paths(context, None).cache
    with opened_engine(context, model, AUTO) as engine, meter("ways") as progress:
        found = experiment.precision(engine, labelled, captioned, templates, cache=cache, progress=progress)
    tell_failures(found.failures)
    show(found, experiment.finding(found), target, as_json)
    return Exit.DONE
