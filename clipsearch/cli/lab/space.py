"""`clipsearch lab space`: how photos, classes and texts lie in a model's space."""

from __future__ import annotations

from pathlib import Path

import click

from clipsearch.cli.arguments import Named
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine, per_class_option, set_option
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit, UsageError

EPILOG = """\b
FOLDER has one folder for each class, as for clipsearch bench. Instead of it
--captions takes what clipsearch eval retrieval takes; --photos says where
the photos lie that the captions are about.

\b
Examples:
  clipsearch lab space ~/data/cifar10/test --per-class 100 --output space.html
  clipsearch lab space --captions ~/data/captions.tsv
"""


@click.command("space", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named(), required=False)
@click.option("--captions", type=Named(), metavar="FILE", help="Captioned photos, in the place of a folder.")
@click.option("--photos", "photos_folder", type=Named(), metavar="DIR", help="Where the captioned photos lie.")
@set_option
@per_class_option
@model_option
@showing_options
@backend_option
@click.pass_context
def space(
    context: click.Context,
    folder: Path | None,
    captions: Path | None,
    photos_folder: Path | None,
    set_name: str | None,
    per_class: int | None,
    model: str,
    target: Path | None,
    as_json: bool,
    backend: str,
) -> int:
    """Measure how classes and captions lie in a model's space."""
    if (folder is None) == (captions is None):
        raise UsageError(
            "One of a folder and --captions is measured.",
            "Name one: clipsearch lab space ~/data/cifar10/test, or --captions FILE",
        )
    if photos_folder is not None and captions is None:
        raise UsageError("--photos belongs to --captions.", "Leave it out, or name a file with captions.")
    if folder is None and (per_class or set_name):
        raise UsageError("--per-class and --set belong to a folder of classes.", "Leave them out.")
    if per_class == 1:
        raise UsageError("One photo of a class has no other to lie near.", "--per-class 2, or more")
    result: object
    with opened_engine(context, model, backend) as engine, meter("photos") as progress:
        if captions is not None:
            from clipsearch.evaluation.captions import captioned_photos
            from clipsearch.lab import captioned_space

            asked = captioned_photos(captions, photos_folder)
            of_captions = captioned_space.captioned_space(engine, asked, progress)
            result, told, failures = of_captions, captioned_space.finding(of_captions), of_captions.failures
        else:
            from clipsearch.evaluation.labelled import labelled_photos
            from clipsearch.lab import space as measured

            assert folder is not None  # or captions would be
            of_classes = measured.labelled_space(engine, labelled_photos(folder, per_class, set_name), progress)
            result, told, failures = of_classes, measured.finding(of_classes), of_classes.failures
    tell_failures(failures)
    show(result, told, target, as_json)
    return Exit.DONE
