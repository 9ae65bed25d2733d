"""`clipsearch bench`: how many photos of known classes a model recognises, and how fast."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named
from clipsearch.cli.columns import Columns, table_lines
from clipsearch.cli.left_out import failure_fields, tell_failures
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, model_option, opened_engine, per_class_option, set_option, utf8
from clipsearch.cli.sections import Verb
from clipsearch.cli.written import new_file_ending
from clipsearch.errors import Exit

if TYPE_CHECKING:
    from clipsearch.evaluation.zero_shot import Pace, Recognised

EPILOG = """\b
FOLDER has one folder for each class, named as the class is called or by
ImageNet's numbers; or it holds CIFAR-10, CIFAR-100, MNIST or Fashion-MNIST as
they are published. The library is left as it is. To compare a figure with
published ones see: clipsearch eval zero-shot --help

\b
Examples:
  clipsearch bench ~/data/cifar-10-batches-bin
  clipsearch bench ~/data/pets --per-class 50 --model vit-b-32-laion2b
  clipsearch bench ~/data/pets --output pets.html
"""
_SHOWN = 12  # classes in the table of a terminal: the best and the worst half
_CONFUSED = 5


@click.command("bench", cls=Verb, epilog=EPILOG)
@click.argument("folder", type=Named())
@set_option
@per_class_option
@click.option(
    "--template",
    "templates",
    multiple=True,
    help="A sentence with {} for the class, or the name of published ones; several are averaged. By default those "
    "published for the set.",
)
@model_option
@click.option(
    "--output",
    "target",
    type=Named(),
    metavar="FILE",
    callback=new_file_ending(".html", ".json"),
    help="Write a report: .html, or .json.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@backend_option
@click.pass_context
def command(
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
    """Measure how many photos of known classes a model recognises, and how fast."""
    from clipsearch.evaluation.labelled import labelled_photos
    from clipsearch.evaluation.zero_shot import pace, recognised

    photos = labelled_photos(folder, per_class, set_name)
    sentences = tuple(utf8(template, "A template") for template in templates)
    with opened_engine(context, model, backend) as engine:
        with meter("photos") as progress:
            result = recognised(engine, photos, sentences, progress)
        speed = pace(engine, photos)
    tell_failures(result.failures)
    if target is not None:
        command_line = ["clipsearch", "bench", str(folder), *(["--per-class", str(per_class)] if per_class else [])]
        command_line += ["--set", set_name] if set_name else []
        command_line += [part for template in templates for part in ("--template", template)]
        command_line += ["--model", model, "--backend", backend]
        _write(target, folder, result, speed, output.shown(os.fsencode(shlex.join(command_line))))
    if as_json:
        output.write_json(_fields(result, speed))
    else:
        _show(result, speed)
    return Exit.DONE


def _write(target: Path, folder: Path, result: Recognised, speed: Pace, made_by: str) -> None:
    from clipsearch.files import new_file

    is_page = target.suffix == ".html"
    text = (
        _page(folder, result, speed, made_by) if is_page else output.json_text(_fields(result, speed), indent=2) + "\n"
    )
    with new_file(target) as part:
        part.write_text(text, "utf-8")
    output.narrate(f"Written: {output.printable(str(target))}")


def _facts(result: Recognised, speed: Pace) -> list[tuple[str, str]]:
    from clipsearch.evaluation.templates import told_templates

    count = len(result.classes)
    left_out = f", {len(result.failures):,} left out" if result.failures else ""
    return [
        ("Model", f"{result.model} · {result.variant}"),
        ("Photos", f"{result.photos:,} of {count:,} classes{left_out}"),
        ("Templates", output.printable(told_templates(result.templates))),
        ("acc@1", f"{result.acc1.value:.2%}, by chance {1 / count:.2%}"),
        ("acc@5", f"{result.acc5.value:.2%}" if count > 5 else "–"),
        ("A photo", f"{1000 * result.seconds / (result.photos + len(result.failures)):.1f} ms with decoding"),
        ("A text", f"{speed.text_ms:.1f} ms"),
        ("Memory", "–" if speed.peak_mb is None else f"{speed.peak_mb:,.0f} MB at most"),
    ]


def _show(result: Recognised, speed: Pace) -> None:
    for title, text in _facts(result, speed):
        output.say(f"{title:<11}{text}", hanging=" " * 11)
    click.echo()
    rates = [
        (f"{one.batch}", f"{one.images_per_s:,.1f}", f"{1000 * one.batch / one.images_per_s:,.1f}")
        for one in speed.rates
    ]
    for line in table_lines(Columns(("batch", "images/s", "ms a batch"), numbers=(0, 1, 2)), rates):
        click.echo(line)
    click.echo()
    by_class = [one for one in sorted(_by_class(result), key=lambda one: -one[1]) if one[1] == one[1]]
    if len(by_class) > _SHOWN:
        output.say(f"The best and the worst of {len(by_class):,} classes; --json has all.", hanging="")
        by_class = [*by_class[: _SHOWN // 2], *by_class[-_SHOWN // 2 :]]
    rows = [(output.printable(name), f"{share:.1%}") for name, share in by_class]
    for line in table_lines(Columns(("class", "recognised"), numbers=(1,)), rows):
        click.echo(line)
    if confused := _confused(result):
        click.echo()
        for name, other, count in confused:
            output.say(f"{count:,} of {output.printable(name)} taken for {output.printable(other)}")


def _by_class(result: Recognised) -> list[tuple[str, float]]:
    return list(zip(result.classes, map(float, result.class_accuracies), strict=True))


def _confused(result: Recognised) -> list[tuple[str, str, int]]:
    """The pairs of classes that are taken for each other most."""
    wrong = result.confusion.copy()
    for place in range(len(wrong)):
        wrong[place, place] = 0
    places = wrong.ravel().argsort(kind="stable")[::-1][:_CONFUSED]
    rows, columns = places // len(wrong), places % len(wrong)
    names = result.classes
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(names[row], names[column], int(wrong[row, column])) for row, column in pairs if wrong[row, column]]


def _fields(result: Recognised, speed: Pace) -> dict[str, object]:
    return {
        "model": result.model,
        "variant": result.variant,
        "photos": result.photos,
        "failures": failure_fields(result.failures),
        "templates": len(result.templates),
        "acc1": result.acc1.value,
        "acc5": result.acc5.value,
        "classes": [
            {
                "name": name,
                "photos": int(result.confusion[place].sum()),
                "recognised": None if share != share else share,
            }
            for place, (name, share) in enumerate(_by_class(result))
        ],
        "confusion": result.confusion.tolist(),
        "seconds": round(result.seconds, 3),
        "text_ms": round(speed.text_ms, 3),
        "batches": [{"batch": one.batch, "images_per_s": round(one.images_per_s, 2)} for one in speed.rates],
        "peak_mb": None if speed.peak_mb is None else round(speed.peak_mb),
    }


def _page(folder: Path, result: Recognised, speed: Pace, made_by: str) -> str:
    from clipsearch.pages.report import bars, facts, line, matrix, report

    sections = [
        ("In short", facts(_facts(result, speed))),
        ("Classes", bars(sorted(_by_class(result), key=lambda one: -one[1] if one[1] == one[1] else 1))),
        (
            "Images a second, by batch",
            line([(one.batch, one.images_per_s) for one in speed.rates], "batch"),
        ),
    ]
    if len(result.classes) <= 30:
        sections.insert(
            2, ("What was taken for what", matrix(result.classes, result.confusion.tolist(), "the class", "taken for"))
        )
    shown = output.shown(os.fsencode(folder))
    return report(f"{result.model} on {Path(shown).name}", f"Made by: {made_by}", sections)
