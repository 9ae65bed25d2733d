"""`clipsearch eval zero-shot`: how many photos of known classes a model recognises, as CLIP-benchmark counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.eval.beside import against_option, beside_fields, show_beside
from clipsearch.cli.left_out import failure_fields, tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine, per_class_option, set_option, utf8
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.evaluation.intervals import Interval
    from clipsearch.evaluation.labelled import LabelledPhotos
    from clipsearch.evaluation.published import Beside
    from clipsearch.evaluation.zero_shot import Recognised

EPILOG = """\b
FOLDER holds CIFAR-10, CIFAR-100, MNIST or Fashion-MNIST as they are published,
or one folder for each class, named as the class is called or by ImageNet's
numbers. Of a published set the test part is taken, with its published names
and templates. In brackets: the 95 % interval, photos drawn anew.

\b
Examples:
  clipsearch eval zero-shot ~/data/cifar-10-batches-bin --against published
  clipsearch eval zero-shot ~/data/imagenet/val --per-class 5 --model vit-b-32-openai
  clipsearch eval zero-shot ~/data/pets --template oxford-pets
"""
_KINDS = ("acc@1",)  # what others publish


@click.command("zero-shot", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named())
@set_option
@click.option(
    "--template",
    "templates",
    multiple=True,
    help="A sentence with {} for the class, or the name of published ones; several are averaged. By default those "
    "published for the set.",
)
@per_class_option
@against_option
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@backend_option
@click.pass_context
def zero_shot(
    context: click.Context,
    folder: Path,
    set_name: str | None,
    templates: tuple[str, ...],
    per_class: int | None,
    against: str | None,
    model: str,
    as_json: bool,
    backend: str,
) -> int:
    """Measure how many photos of known classes a model recognises."""
    from clipsearch.evaluation.known_sets import known_set
    from clipsearch.evaluation.labelled import labelled_photos
    from clipsearch.evaluation.published import published_beside
    from clipsearch.evaluation.zero_shot import recognised

    photos = labelled_photos(folder, per_class, set_name)
    sentences = tuple(utf8(template, "A template") for template in templates)
    with opened_engine(context, model, backend) as engine:
        with meter("photos") as progress:
            result = recognised(engine, photos, sentences, progress)
        beside = published_beside(engine.card, photos.published) if against else None
    if as_json:
        output.write_json(_fields(photos, result, beside))
        return Exit.DONE
    _show(photos, result)
    if beside is not None:
        title = known_set(photos.published).title if photos.published else output.printable(photos.name)
        show_beside(result.model, title, photos.published, _KINDS, (result.acc1.value,), beside)
    return Exit.DONE


def _show(photos: LabelledPhotos, result: Recognised) -> None:
    from clipsearch.evaluation.templates import told_templates

    count = len(result.classes)
    facts = [
        ("Set", f"{output.printable(photos.name)} · {result.photos:,} photos of {count:,} classes"),
        ("Model", f"{result.model} · {result.variant}"),
        ("Templates", output.printable(told_templates(result.templates))),
        ("acc@1", f"{_share(result.acc1)}, by chance {1 / count:.1%}"),
        ("acc@5", _share(result.acc5) if count > 5 else "–, of so few classes"),
        ("By class", f"{_share(result.class_recall)}, mean of the classes' recall"),
        ("Left out", f"{len(result.failures):,}"),
    ]
    if photos.differences:
        facts.append(("Note", f"no figure like the published ones: {'; '.join(photos.differences)}"))
    for title, text in facts:
        output.say(f"{title:<11}{text}", hanging=" " * 11)
    tell_failures(result.failures)


def _share(found: Interval) -> str:
    return f"{found.value:.2%} [{found.low:.2%}, {found.high:.2%}]"


def _fields(photos: LabelledPhotos, result: Recognised, beside: Beside | None) -> dict[str, Any]:
    many = len(result.classes) > 5
    fields: dict[str, Any] = {
        "set": photos.name,
        "published_set": photos.published,
        "unlike_published": list(photos.differences),
        "model": result.model,
        "variant": result.variant,
        "photos": result.photos,
        "failures": failure_fields(result.failures),
        "classes": len(result.classes),
        "templates": list(result.templates),
        "acc1": result.acc1.value,
        "acc1_interval": [result.acc1.low, result.acc1.high],
        "acc5": result.acc5.value if many else None,
        "acc5_interval": [result.acc5.low, result.acc5.high] if many else None,
        "mean_class_recall": result.class_recall.value,
        "mean_class_recall_interval": [result.class_recall.low, result.class_recall.high],
    }
    if beside is not None:
        fields["published"] = beside_fields(photos.published, _KINDS, beside)
    return fields
