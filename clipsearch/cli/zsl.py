"""`clipsearch zsl`: which of these labels fits each photo, or that none does (zero-shot labelling)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from clipsearch.cli import output
from clipsearch.cli.arguments import Named, Source
from clipsearch.cli.asked import asked_labels, check_label_file, fitted_labels, write_labels
from clipsearch.cli.consent import yes_option
from clipsearch.cli.labelled import UNKNOWN, labelled_fields, teller
from clipsearch.cli.meter import Line, metered
from clipsearch.cli.options import (
    answering,
    backend_option,
    files0_option,
    json_options,
    library_option,
    opened,
)
from clipsearch.cli.sections import Verb
from clipsearch.cli.sidecars import write_sidecars
from clipsearch.errors import Exit, UsageError
from clipsearch.query import Filter, Query, formatted
from clipsearch.types import FailedFile, Labelled, LabelSet, LibraryAPI

if TYPE_CHECKING:
    from clipsearch.library import Library

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
  clipsearch zsl --examples ~/Examples --write-labels mine.toml
  clipsearch zsl ~/Inbox --labels-file mine.toml --unknown --write-xmp
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
@click.option(
    "--examples",
    type=Named(),
    metavar="DIR",
    help="A few photos of each label, in a folder of its name; in one named unknown, photos that are none.",
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
@click.option(
    "--write-labels",
    "kept",
    type=Named(),
    metavar="FILE",
    help="Write the labels, and what examples have taught, into a new TOML file; without a PATH only that.",
)
@click.option(
    "--write-xmp", is_flag=True, help="Write labels as keywords into XMP sidecars, never into photos; asks first."
)
@yes_option
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
    examples: Path | None,
    unknown: bool,
    margin: float,
    top: int | None,
    save: bool,
    kept: Path | None,
    write_xmp: bool,
    yes: bool,
    as_csv: bool,
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Label photos with words of your own."""
    if as_csv and (as_json or ndjson):
        raise UsageError("--csv and --json exclude each other.", "Choose one of them.")
    if yes and not write_xmp:
        raise UsageError("--yes agrees to nothing here.", "It belongs to --write-xmp.")
    if kept is not None:
        check_label_file(kept)
    asked = asked_labels(labels, labels_file, named, templates, examples)
    if unknown and UNKNOWN in asked.names:
        raise UsageError(f'"{UNKNOWN}" is what is said where no label fits.', "Call that label something else.")
    _tell_long(asked)
    targets += listed or ()
    if not targets and listed is not None:
        output.narrate("No path is listed, so nothing is labelled.")
        return Exit.NOTHING_FOUND
    if examples is not None:
        with opened(context, library, backend) as opened_library:
            asked = fitted_labels(opened_library, asked, examples)
    if kept is not None:
        write_labels(asked, kept)
        if not targets:
            return Exit.DONE
    top = 3 if top is None and not (as_json or ndjson) else top
    found: list[Labelled] = []
    with (
        answering(context, library, backend) as answerer,
        _saving(context, library, asked, found) if save else nullcontext(),
        metered() as line,
    ):
        tell = teller(as_csv, as_json, ndjson, _places(targets, answerer))
        results = answerer.classify(targets, asked, unknown=unknown, margin=margin / 100, top=top, progress=line.show)
        failed = _gather(results, found, tell, line)
    if as_json:
        output.write_json([labelled_fields(result) for result in found])
    if failed and not found:
        output.tell("hint: Name photos, or a folder of them.")
        return Exit.SYSTEM
    if write_xmp and not write_sidecars(found, asked, yes=yes):
        return Exit.USAGE
    return Exit.DONE if found else Exit.NOTHING_FOUND


def _places(targets: tuple[Path, ...], answerer: LibraryAPI) -> list[bytes]:
    """Where the photos lie; only a table asks."""
    if targets or not output.is_terminal():
        return [os.fsencode(path) for path in targets]
    return [root.path for root in answerer.status().roots]


def _gather(
    results: Iterable[Labelled | FailedFile], found: list[Labelled], tell: Callable[[Labelled], None], line: Line
) -> int:
    """Tells of each as it comes and puts it to those found; how many could not be read."""
    failed = 0
    for result in results:
        with line.aside():
            if isinstance(result, FailedFile):
                failed += 1
                output.tell(f"clipsearch: {output.shown(result.path)} was left out: {result.reason}")
            else:
                found.append(result)
                tell(result)
    return failed


def _tell_long(asked: LabelSet) -> None:
    """ImageNet's labels are 80,000 texts: minutes of work."""
    texts = sum(len(label.words) * len(label.templates) for label in asked.labels)
    if texts >= _MANY_TEXTS:
        output.narrate(
            f"{len(asked.labels):,} labels are {texts:,} texts to encode, which can take minutes; "
            'with one template they are fewer: --template "a photo of a {}."'
        )


@contextmanager
def _saving(context: click.Context, library: str | None, asked: LabelSet, found: list[Labelled]) -> Iterator[None]:
    """Writes the label of what was found into the library at the end, and also when that comes early."""
    with opened(context, library) as opened_library:
        opened_library.set_labels([])  # a library that cannot be used, or not be changed, is told before the work
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
        none = f"; {len(found) - len(clear):,} fit none" if len(clear) < len(found) else ""
        output.narrate(f"Saved the best label of {count}{none}. Find one: clipsearch search {shlex.quote(example)}")
    if known < len(clear):
        output.tell(
            f"clipsearch: {len(clear) - known:,} of these photos are not in the library and got no label\n"
            "hint: clipsearch index takes them in"
        )
