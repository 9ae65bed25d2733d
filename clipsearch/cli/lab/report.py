"""`clipsearch lab report`: all experiments in one page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.lab.labelled import labelled_options
from clipsearch.cli.lab.showing import command_line, page_option
from clipsearch.cli.left_out import tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, chosen_paths, opened_engine
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import model_names
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.lab.findings import Finding

EPILOG = """\b
FOLDER is what clipsearch eval zero-shot takes: a published set, or one folder
for each class. With more than one --model they are compared; all else is about
the first. An experiment that fails is named in the page, and the others go on;
Ctrl-C ends the run, and the page has what was found until then.
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
    from clipsearch.lab.plots import check_installed
    from clipsearch.lab.report import Material, experiments, left_out, not_done

    check_installed()  # before hours of measuring
    photos = labelled_photos(folder, per_class, set_name)
    captioned = captioned_photos(captions) if captions else None
    findings: list[Finding] = []
    failed = 0
    with ExitStack() as stack:
        engines = [stack.enter_context(opened_engine(context, name, backend)) for name in names]
        material = Material(engines, photos, captioned, templates, chosen_paths(context, None).cache)
        asked = experiments(material)
        try:
            for experiment in asked:
                with meter(experiment.title) as progress:
                    finding, done = experiment.found(progress)
                failed += not done
                findings.append(finding)
                output.say(output.printable(f"{finding.title}: {finding.says}"))
        finally:  # an interruption, and a mistake of ours, goes on its way after it: hours of measuring are not lost
            if findings:
                findings += not_done(asked[len(findings) :])
                if material.failures:
                    tell_failures(material.failures, "the page names them all")
                    findings.append(left_out(material.failures))
                _write(target, f"{', '.join(names)} on {photos.name}", findings)
    if failed:
        output.tell(f"clipsearch: {failed} of {len(asked)} experiments could not be done\nhint: the page says why")
        return Exit.SYSTEM
    return Exit.DONE


def _write(target: Path, title: str, findings: Sequence[Finding]) -> None:
    from clipsearch.files import new_file
    from clipsearch.lab.page import page

    text = page(output.printable(title), command_line(), findings)
    with new_file(target) as part:
        part.write_text(text, "utf-8")
    output.narrate(f"Written: {output.printable(str(target))}")
