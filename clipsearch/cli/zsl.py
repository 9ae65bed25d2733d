"""`clipsearch zsl`: which of these labels fits each photo, or that none does (zero-shot labelling)."""

from __future__ import annotations

import csv
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

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
from clipsearch.types import FailedFile, Labelled, LabelSet

if TYPE_CHECKING:
    from clipsearch.library import Library

UNKNOWN = "unknown"  # what stands where a label would
EPILOG = """\b
Without a PATH all photos of the library are labelled, from their vectors. The
labels share 100 %, so one of them is always best; --unknown lets none fit. A
label file may be TOML, with other words, templates, thresholds and kinds:
docs/labels.md.

\b
Examples:
  clipsearch zsl ~/Inbox --labels receipt,screenshot,"people" --unknown
  clipsearch zsl --set everyday --unknown --save
  clipsearch search label:receipt
  clipsearch zsl party.jpg --labels-file labels.toml --json
  clipsearch zsl ~/Art --labels cat,dog --template "a drawing of a {}."
  clipsearch zsl ~/Zoo --labels lion,tiger --template imagenet --csv
"""
_MANY_TEXTS = 5_000  # half a minute of the starter, on two cores


def _set_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    from clipsearch.labels.sets import builtin_names

    return [name for name in builtin_names() if name.startswith(typed)]


@click.command("zsl", cls=Verb, epilog=EPILOG)
@click.argument("targets", nargs=-1, type=Named(), metavar="[PATH]...")
@files0_option
@click.option("--labels", metavar="A,B,C", help="The labels, separated by commas.")
@click.option(
    "--labels-file",
    type=Source(),
    metavar="FILE",
    help="One label a line, but those that begin with #, or TOML; - reads stdin.",
)
@click.option("--set", "named", metavar="NAME", shell_complete=_set_names, help="Labels that ship with clipsearch.")
@click.option(
    "--template",
    "templates",
    multiple=True,
    help="A sentence with {} for the label, or the name of published ones; several are averaged.",
)
@click.option("--unknown", is_flag=True, help="Say so where none of the labels fits.")
@click.option(
    "--margin",
    type=click.FloatRange(0, 100),
    default=0.0,
    metavar="PERCENT",
    help="Give no label unless the best is so far above the next.",
)
@click.option(
    "--top", type=click.IntRange(1), metavar="N", help="How many labels to list.  [default: 3, all with --json]"
)
@click.option("--save", is_flag=True, help="Write each photo's label into the library; label:NAME finds it.")
@click.option("--csv", "as_csv", is_flag=True, help="One row a photo: path, label, then the labels listed.")
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
    named: str | None,
    templates: tuple[str, ...],
    unknown: bool,
    margin: float,
    top: int | None,
    save: bool,
    as_csv: bool,
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Label photos with words of your own."""
    asked = _label_set(labels, labels_file, named, templates)
    _tell_long(asked)
    targets += listed or ()
    if not targets and listed is not None:
        output.narrate("No path is listed, so nothing is labelled.")
        return Exit.NOTHING_FOUND
    if top is None and not (as_json or ndjson):
        top = 3
    if as_csv and (as_json or ndjson):
        raise UsageError("--csv and --json exclude each other.", "Choose one of them.")
    found: list[Labelled] = []
    failed = 0
    with (
        answering(context, library, backend) as asked_library,
        _saving(context, library, asked, found) if save else nullcontext(),
    ):
        tell = _teller(as_csv, as_json, ndjson, targets)
        for result in asked_library.classify(targets, asked, unknown=unknown, margin=margin / 100, top=top):
            if isinstance(result, FailedFile):
                failed += 1
                output.tell(f"clipsearch: {output.shown(result.path)} was left out: {result.reason}")
            else:
                found.append(result)
                tell(result)
    if as_json:
        output.write_json([_fields(result) for result in found])
    if failed and not found:
        output.tell("hint: Name photos, or a folder of them.")
        return Exit.SYSTEM
    return Exit.DONE if found else Exit.NOTHING_FOUND


def _tell_long(asked: LabelSet) -> None:
    """ImageNet's labels are 80,000 texts: minutes of which nothing is seen."""
    texts = sum(len(label.words) * len(label.templates) for label in asked.labels)
    if texts >= _MANY_TEXTS:
        output.narrate(
            f"{len(asked.labels):,} labels are {texts:,} texts to encode, which can take minutes; "
            'with one template they are fewer: --template "a photo of a {}."'
        )


def _label_set(
    labels: str | None, labels_file: IO[bytes] | None, named: str | None, templates: tuple[str, ...]
) -> LabelSet:
    from clipsearch.labels.sets import builtin_set, label_set, read_label_set

    templates = tuple(utf8(template, "A template") for template in templates)
    names = [utf8(name, "A label") for name in labels.split(",")] if labels is not None else []
    if named is not None or (labels_file is not None and labels_file.name.endswith(".toml")):
        if names or (named is not None and labels_file is not None):
            raise UsageError(
                "A label set stands alone.", "Put all labels into one file; docs/labels.md has an example."
            )
        if named is not None:
            return builtin_set(named, templates)
    if labels_file is not None:
        read = read_label_set(labels_file.read(), labels_file.name, templates)
        return label_set([*names, *read.names], templates) if names else read
    return label_set(names, templates)


@contextmanager
def _saving(context: click.Context, library: str | None, asked: LabelSet, found: list[Labelled]) -> Iterator[None]:
    """Writes the label of what was found into the library at the end, and also when that comes early."""
    with opened(context, library) as opened_library:
        opened_library.saved_searches()  # a library that cannot be used is told before the work
        try:
            yield
        finally:
            _save(opened_library, asked, found)


def _save(library: Library, asked: LabelSet, found: list[Labelled]) -> None:
    known = library.set_labels([(one.path, one.label, one.probability or 0.0) for one in found], instead_of=asked.names)
    clear = [one.label for one in found if one.label is not None]
    if known:
        example = formatted(Query(filters=(Filter("label", clear[0]),)))
        count = f"{known:,} photo{'' if known == 1 else 's'}"
        output.narrate(f"Saved the best label of {count}. Find one: clipsearch search {shlex.quote(example)}")
    if known < len(clear):
        output.tell(
            f"clipsearch: {len(clear) - known:,} of these photos are not in the library and got no label\n"
            "hint: clipsearch index takes them in"
        )


# -- what is shown --------------------------------------------------------------------------------


def _teller(as_csv: bool, as_json: bool, ndjson: bool, targets: tuple[Path, ...]) -> Callable[[Labelled], None]:
    """What is done with each result as it comes."""
    if as_json:
        return lambda result: None
    if ndjson:
        return lambda result: output.write_ndjson([_fields(result)])
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["path", "label", "probability", "score", "others"])
        return partial(_csv_row, writer)
    if output.is_terminal():
        folder = _common_folder(targets)
        if folder:
            click.echo(output.dim(output.shown(folder)))
        return partial(_line, folder)
    return _row


def _fields(result: Labelled) -> dict[str, Any]:
    return {
        **output.path_fields(result.path),
        "label": result.label,
        "probability": None if result.probability is None else round(result.probability, 6),
        "labels": [
            {"label": one.label, "probability": round(one.probability, 6), "score": round(one.score, 6)}
            for one in result.labels
        ],
    }


def _csv_row(writer: Any, result: Labelled) -> None:
    """The numbers are the label's: none where it is a broader one, or none fits; the best is among the others then."""
    best = result.labels[0]
    is_best = result.label == best.label
    numbers = [f"{best.probability:.4f}", f"{best.score:.4f}"] if is_best else ["", ""]
    rest = "; ".join(f"{one.label} {one.probability:.4f}" for one in result.labels[is_best:])
    path = result.path.decode("utf-8", "backslashreplace")
    writer.writerow([path, result.label or UNKNOWN, *numbers, rest])


def _row(result: Labelled) -> None:
    """For programs: path, label and its probability, tab-separated; the path in the disk's own bytes."""
    label = result.label or UNKNOWN
    share = "" if result.probability is None else f"{result.probability:.4f}"
    sys.stdout.buffer.write(result.path + f"\t{label}\t{share}\n".encode())


def _line(folder: bytes, result: Labelled) -> None:
    """For a person: the name, the label in its column, and dimmed what else it could be."""
    best, others = result.labels[0], result.labels[1:]
    is_best = result.label == best.label
    name = output.shown(result.path[len(folder) :].lstrip(b"/"))
    cosine = f"  {best.score:.3f}" if is_verbose() else ""
    room = max(20, output.width() - 64)
    if output.width() < 50:  # the label is what was asked for
        room, others = output.width() - 28 - len(cosine), ()
    label = output.padded(output.fitted(output.printable(result.label or UNKNOWN), 20), 20)
    share = "     " if result.probability is None else percent(result.probability)
    row = f"{output.padded(output.fitted(name, room), room)}  {label} {share}{cosine}"
    rest = [
        f"  {output.printable(one.label)} {percent(one.probability).strip()}"
        for one in (others if is_best else (best, *others))
    ]
    while rest and output.cells(row + "".join(rest)) > output.width():
        rest.pop()
    click.echo(row + output.dim("".join(rest)))


def _common_folder(targets: tuple[Path, ...]) -> bytes:
    """What all targets share, named once above the lines; nothing for a whole library."""
    if not targets:
        return b""
    return os.fsencode(
        os.path.commonpath([path if path.is_dir() else path.parent for path in map(Path.absolute, targets)])
    )
