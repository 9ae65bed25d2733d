"""`clipsearch eval preprocessing`: what becomes of vectors and answers where photos are prepared otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli.arguments import Named
from clipsearch.cli.eval.samples import captions_options, check_one_source, photos_argument
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine, per_class_option, set_option
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit, UsageError

if TYPE_CHECKING:
    from clipsearch.encoding import Engine
    from clipsearch.evaluation.captions import CaptionedPhotos
    from clipsearch.evaluation.labelled import LabelledPhotos
    from clipsearch.evaluation.pixels import Progress
    from clipsearch.lab.preprocessing import PreprocessingSensitivity

EPILOG = """\b
Photos are prepared as other programs do it: without antialiasing, with another
mean, blue for red, turned as they lie, saved as JPEG … and compared with what
the model's card says. Texts stay as they are. With captions or classes it is
measured what that costs. Of more than 200 photos 200 are drawn.

\b
Examples:
  clipsearch eval preprocessing ~/Photos/2024
  clipsearch eval preprocessing --captions captions.tsv --model vit-b-32-laion2b
  clipsearch eval preprocessing --classes ~/data/pets --per-class 20 --output pets.html
"""


@click.command("preprocessing", cls=Verb, epilog=EPILOG)
@photos_argument
@captions_options
@click.option("--classes", type=Named(), metavar="DIR", help="Photos in class folders: accuracy is measured too.")
@set_option
@per_class_option
@model_option
@showing_options
@backend_option
@click.pass_context
def preprocessing(
    context: click.Context,
    targets: tuple[Path, ...],
    captions: Path | None,
    folder: Path | None,
    classes: Path | None,
    set_name: str | None,
    per_class: int | None,
    model: str,
    target: Path | None,
    as_json: bool,
    backend: str,
) -> int:
    """Measure what another preprocessing than the model's own does to its vectors."""
    from clipsearch.evaluation.agreement import MOST_PHOTOS
    from clipsearch.evaluation.captions import captioned_photos
    from clipsearch.evaluation.labelled import labelled_photos
    from clipsearch.lab.preprocessing import finding

    check_one_source(targets, captions, folder)
    if classes is not None and (targets or captions):
        raise UsageError("--classes is given with other photos.", "Name photos, or captions, or class folders.")
    if not (targets or captions or classes):
        raise UsageError("No photos are named.", "Name photos or a folder, or --captions FILE, or --classes DIR.")
    if (per_class or set_name) and classes is None:
        raise UsageError("--per-class and --set go with --classes.", "Name the folder of class folders: --classes DIR")
    captioned = None if captions is None else captioned_photos(captions, folder)
    labelled = None if classes is None else labelled_photos(classes, per_class, set_name)
    with opened_engine(context, model, backend) as engine, meter("photos") as progress:
        found = _measured(engine, targets, captioned, labelled, progress)
    tell_failures(found.failures)
    of = captioned.photos if captioned else labelled.pictures if labelled else ()
    told = finding(found)
    if len(of) > MOST_PHOTOS:
        told = replace(told, notes=(f"{MOST_PHOTOS} of {len(of):,} photos were drawn by chance.", *told.notes))
    show(found, told, target, as_json)
    return Exit.DONE


def _measured(
    engine: Engine,
    targets: tuple[Path, ...],
    captioned: CaptionedPhotos | None,
    labelled: LabelledPhotos | None,
    progress: Progress,
) -> PreprocessingSensitivity:
    """Over so many photos at most: the pixels of all are held at once, and each is decoded in twenty ways."""
    from clipsearch.evaluation.agreement import MOST_PHOTOS
    from clipsearch.evaluation.captions import drawn_captioned
    from clipsearch.evaluation.labelled import drawn_labelled
    from clipsearch.evaluation.pixels import named_photos
    from clipsearch.lab.preprocessing import of_captions, of_classes, of_photos

    if captioned is not None:
        return of_captions(engine, drawn_captioned(captioned, MOST_PHOTOS), progress)
    if labelled is not None:
        return of_classes(engine, drawn_labelled(labelled, MOST_PHOTOS), progress)
    return of_photos(engine, named_photos(targets, MOST_PHOTOS), progress)
