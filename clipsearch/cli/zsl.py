"""`clipsearch zsl`: which of these labels fits each photo (zero-shot labelling)."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named, Source
from clipsearch.cli.options import (
    answering,
    backend_option,
    files0_option,
    json_options,
    library_option,
    opened,
    utf8,
)
from clipsearch.cli.sections import Verb
from clipsearch.cli.voice import is_verbose
from clipsearch.errors import Exit, UsageError
from clipsearch.printable import percent
from clipsearch.query import Filter, Query, formatted
from clipsearch.types import FailedFile, Labelled

EPILOG = """\b
The labels share 100 %, so name an alternative for what fits none:
  --labels cat,dog,"something else"

\b
Examples:
  clipsearch zsl ~/Inbox --labels receipt,screenshot,"a photo of people"
  clipsearch zsl ~/Photos --labels receipt,screenshot,"something else" --save
  clipsearch search label:receipt
  clipsearch zsl party.jpg --labels-file labels.txt --json
  clipsearch zsl ~/Art --labels cat,dog --template "a drawing of a {}."
"""


@click.command("zsl", cls=Verb, epilog=EPILOG)
@click.argument("targets", nargs=-1, type=Named(), metavar="PATH...")
@files0_option
@click.option("--labels", metavar="A,B,C", help="The labels, separated by commas.")
@click.option(
    "--labels-file",
    type=Source(),
    metavar="FILE",
    help="One label a line, but those that begin with #; - reads stdin.",
)
@click.option("--template", "templates", multiple=True, help="A sentence with {} for the label; several are averaged.")
@click.option("--save", is_flag=True, help="Write each photo's best label into the library; label:NAME finds it.")
@json_options
@backend_option
@library_option
@click.pass_context
def command(
    context: click.Context,
    targets: tuple[Path, ...],
    listed: tuple[Path, ...] | None,
    labels: str | None,
    labels_file: IO[bytes] | None,
    templates: tuple[str, ...],
    save: bool,
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Label photos with words of your own."""
    names = [utf8(name, "A label") for name in _labels(labels, labels_file)]
    templates = tuple(utf8(template, "A template") for template in templates)
    targets += listed or ()
    if not targets:
        if listed is None:
            raise UsageError("There is nothing to label.", "Name photos, or a folder of them: clipsearch zsl ~/Inbox")
        output.narrate("No path is listed, so nothing is labelled.")
        return Exit.NOTHING_FOUND
    folder = _common_folder(targets)
    found: list[Labelled] = []
    failed = 0
    with (
        answering(context, library, backend) as asked_library,
        _saving(context, library, names, found) if save else nullcontext(),
    ):
        for result in asked_library.classify(targets, names, templates=templates):
            if isinstance(result, FailedFile):
                failed += 1
                output.tell(f"clipsearch: {output.shown(result.path)} was left out: {result.reason}")
                continue
            found.append(result)
            if ndjson:
                output.write_ndjson([_fields(result)])
            elif not as_json and not output.is_terminal():
                _row(result)
            elif not as_json:
                if len(found) == 1:
                    click.echo(output.dim(output.shown(folder)))
                _line(result, folder)
    if as_json:
        output.write_json([_fields(result) for result in found])
    if failed and not found:
        output.tell("hint: Name photos, or a folder of them.")
        return Exit.SYSTEM
    return Exit.DONE if found else Exit.NOTHING_FOUND


@contextmanager
def _saving(context: click.Context, library: str | None, names: list[str], found: list[Labelled]) -> Iterator[None]:
    """Writes the best label of what was found into the library at the end, and also when that comes early."""
    with opened(context, library) as opened_library:
        opened_library.saved_searches()  # a library that cannot be used is told before the work
        try:
            yield
        finally:
            best = [(one.path, one.labels[0].label, one.labels[0].probability) for one in found]
            known = opened_library.set_labels(best, instead_of=names)
            if known:
                example = formatted(Query(filters=(Filter("label", best[0][1]),)))
                count = f"{known:,} photo{'' if known == 1 else 's'}"
                output.narrate(f"Saved the best label of {count}. Find one: clipsearch search {shlex.quote(example)}")
            if known < len(best):
                output.tell(
                    f"clipsearch: {len(best) - known:,} of these photos are not in the library and got no label\n"
                    "hint: clipsearch index takes them in"
                )


def _labels(labels: str | None, labels_file: IO[bytes] | None) -> list[str]:
    names = labels.split(",") if labels is not None else []
    if labels_file is not None:
        try:
            lines = labels_file.read().decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise UsageError(f"{labels_file.name} is not UTF-8.", "Write one label a line, in UTF-8.") from error
        names += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return names


def _fields(result: Labelled) -> dict[str, Any]:
    return {
        **output.path_fields(result.path),
        "labels": [
            {"label": one.label, "probability": round(one.probability, 6), "score": round(one.score, 6)}
            for one in result.labels
        ],
    }


def _row(result: Labelled) -> None:
    """For programs: path, label and probability of the best label, tab-separated; the path in the disk's own bytes."""
    best = result.labels[0]
    sys.stdout.buffer.write(result.path + f"\t{best.label}\t{best.probability:.4f}\n".encode())


def _line(result: Labelled, folder: bytes) -> None:
    """For a person: the name, the best label in its column, the next two dimmed."""
    best, others = result.labels[0], tuple(result.labels[1:3])
    name = output.shown(result.path[len(folder) :].lstrip(b"/"))
    cosine = f"  {best.score:.3f}" if is_verbose() else ""
    room = max(20, output.width() - 64)
    if output.width() < 50:  # the best label is what was asked for
        room, others = output.width() - 28 - len(cosine), ()
    label = output.padded(output.fitted(output.printable(best.label), 20), 20)
    row = f"{output.padded(output.fitted(name, room), room)}  {label} {percent(best.probability)}{cosine}"
    rest = [f"  {output.printable(one.label)} {percent(one.probability).strip()}" for one in others]
    while rest and output.cells(row + "".join(rest)) > output.width():
        rest.pop()
    click.echo(row + output.dim("".join(rest)))


def _common_folder(targets: tuple[Path, ...]) -> bytes:
    """What all targets share, named once above the lines."""
    return os.fsencode(
        os.path.commonpath([path if path.is_dir() else path.parent for path in map(Path.absolute, targets)])
    )
