"""`clipsearch lab report`: all experiments in one page."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.lab.labelled import labelled_options
from clipsearch.cli.lab.showing import command_line, page_option, tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, chosen_paths, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.errors import Exit

EPILOG = """\b
FOLDER is what clipsearch eval zero-shot takes: a published set, or one folder
for each class. With more than one --model they are compared; all else is about
the first. An experiment that fails is named in the page, and the others go on.
The map of a library is a page of its own: clipsearch lab map --help

\b
Examples:
  clipsearch lab report ~/data/cifar10/test --per-class 100 --output cifar10.html
  clipsearch lab report ~/data/pets --captions captions.tsv --model starter --model vit-b-32-laion2b --output pets.html
"""


@click.command("report", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named())
@labelled_options
@click.option(
    "--captions",
    type=Named(),
    metavar="FILE",
    help="Captioned photos too: a table with the columns file and caption, COCO's JSON, Flickr's token files.",
)
@click.option(
    "--model",
    "names",
    metavar="NAME",
    multiple=True,
    default=("starter",),
    show_default=True,
    shell_complete=model_names,
    help="The model to ask; several are compared.",
)
@page_option
@backend_option
@click.pass_context
def report(
    context: click.Context,
    folder: Path,
    set_name: str | None,
    per_class: int | None,
    templates: tuple[str, ...],
    captions: Path | None,
    names: tuple[str, ...],
    target: Path,
    backend: str,
) -> int:
    """Run all experiments on one folder and write one page."""
    from clipsearch.evaluation.captions import captioned_photos
    from clipsearch.evaluation.labelled import labelled_photos
    from clipsearch.files import new_file
    from clipsearch.lab.page import page
    from clipsearch.lab.plots import check_installed
    from clipsearch.lab.report import Material, experiments

    check_installed()  # before hours of measuring
    photos = labelled_photos(folder, per_class, set_name)
    captioned = captioned_photos(captions) if captions else None
    findings, failed = [], 0
    with ExitStack() as stack:
        engines = [stack.enter_context(opened_engine(context, name, backend)) for name in names]
        material = Material(engines, photos, captioned, templates, chosen_paths(context, None).cache)
        for experiment in experiments(material):
            with meter(experiment.title) as progress:
                finding, done = experiment.found(progress)
            failed += not done
            findings.append(finding)
            output.say(f"{finding.title}: {finding.says}")
        tell_failures(material.encoded(lambda done, total: None).failures)
    with new_file(target) as part:
        part.write_text(page(f"{', '.join(names)} on {photos.name}", command_line(), findings), "utf-8")
    output.narrate(f"Written: {output.printable(str(target))}")
    if failed:
        output.tell(f"clipsearch: {failed} of {len(findings)} experiments could not be done\nhint: the page says why")
        return Exit.SYSTEM
    return Exit.DONE
