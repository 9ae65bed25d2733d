"""`clipsearch zsl`: which of these labels fits each photo (zero-shot labelling)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from clipsearch.cli import output
from clipsearch.cli.options import answering, backend_option, json_options, library_option, utf8
from clipsearch.errors import Exit, UsageError
from clipsearch.types import FailedFile, Labelled

EPILOG = """\b
The labels share 100 %, so name an alternative for what fits none: --labels cat,dog,"something else"

\b
Examples:
  clipsearch zsl ~/Photos/Inbox --labels receipt,screenshot,"a photo of people",landscape
  clipsearch zsl party.jpg --labels-file labels.txt --json
  clipsearch zsl ~/Photos --labels cat,dog --template "a photo of a {}." --template "a drawing of a {}."
"""


@click.command("zsl", epilog=EPILOG)
@click.argument("targets", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--labels", metavar="A,B,C", help="The labels, separated by commas.")
@click.option("--labels-file", type=click.Path(path_type=Path), metavar="FILE", help="One label a line; - reads stdin.")
@click.option("--template", "templates", multiple=True, help="A sentence with {} for the label; several are averaged.")
@json_options
@backend_option
@library_option
@click.pass_context
def command(
    context: click.Context,
    targets: tuple[Path, ...],
    labels: str | None,
    labels_file: Path | None,
    templates: tuple[str, ...],
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Label photos with words of your own."""
    names = [utf8(name, "A label") for name in _labels(labels, labels_file)]
    templates = tuple(utf8(template, "A template") for template in templates)
    folder = _common_folder(targets)
    found: list[Labelled] = []
    failed = 0
    with answering(context, library, backend) as asked_library:
        for result in asked_library.classify(targets, names, templates=templates):
            if isinstance(result, FailedFile):
                failed += 1
                output.narrate(f"clipsearch: {output.shown(result.path)} was left out: {result.reason}")
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
        output.narrate("hint: Name photos, or a folder of them.")
        return Exit.SYSTEM
    return Exit.DONE if found else Exit.NOTHING_FOUND


def _labels(labels: str | None, labels_file: Path | None) -> list[str]:
    names = labels.split(",") if labels is not None else []
    if labels_file is not None:
        try:
            with click.open_file(str(labels_file), encoding="utf-8-sig") as lines:
                names += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{labels_file} cannot be read: {error}", "Write one label a line, in UTF-8.") from error
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
    best, others = result.labels[0], result.labels[1:3]
    name = output.shown(result.path[len(folder) :].lstrip(b"/"))
    room = max(20, output.width() - 62)
    rest = "  ".join(f"{output.printable(one.label)} {one.probability:.0%}" for one in others)
    label = output.padded(output.fitted(output.printable(best.label), 20), 20)
    click.echo(
        f"{output.padded(output.fitted(name, room), room)}  {label} {best.probability:>4.0%}  {output.dim(rest)}"
    )


def _common_folder(targets: tuple[Path, ...]) -> bytes:
    """What all targets share, named once above the lines."""
    return os.fsencode(
        os.path.commonpath([path if path.is_dir() else path.parent for path in map(Path.absolute, targets)])
    )
