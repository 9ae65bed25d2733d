"""`clipsearch duplicates`: groups of photos that are one content, one picture or one moment. It changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from clipsearch.cli import output
from clipsearch.cli.options import json_options, library_option, opened, under_option
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit
from clipsearch.types import BURST_S, DUPLICATE_KINDS, DuplicateFile, DuplicateGroup, DuplicateKind

EPILOG = """\b
Three kinds of groups:
  exact        files with the same bytes
  perceptual   one picture in other sizes, compressions or formats
  burst        one moment: the same camera, seconds apart, and alike
In each the best one comes first: the most pixels, then the largest file,
then the oldest. Nothing is ever deleted. In a pipe an empty line ends a
group.

\b
Examples:
  clipsearch duplicates
  clipsearch duplicates --kind burst --within 10
  clipsearch duplicates --kind exact --ndjson | jq -r '.files[1:][].path'
"""


@click.command("duplicates", cls=Verb, epilog=EPILOG)
@click.option(
    "--kind", "kinds", type=click.Choice(DUPLICATE_KINDS), multiple=True, help="Only this kind; may be repeated."
)
@under_option
@click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0),
    metavar="SECONDS",
    default=BURST_S,
    show_default=True,
    help="Longest time between two frames of a burst.",
)
@click.option("-0", "--null", is_flag=True, help="Paths, each ended by a NUL byte, and one more after each group.")
@json_options
@library_option
@click.pass_context
def command(
    context: click.Context,
    kinds: tuple[DuplicateKind, ...],
    under: Path | None,
    within_s: float,
    null: bool,
    as_json: bool,
    ndjson: bool,
    library: str | None,
) -> int:
    """Find photos that you have more than once, and bursts."""
    with opened(context, library) as opened_library:
        groups = opened_library.duplicates(kinds or DUPLICATE_KINDS, under=under, within_s=within_s)
        counts: Counter[str] = Counter()
        counted = _counted(groups, counts)
        if as_json:
            output.write_json([_fields(group) for group in counted])
        elif ndjson:
            output.write_ndjson(_fields(group) for group in counted)
        elif null or not output.is_terminal():
            _pipe(counted, b"\0" if null else b"\n")
        else:
            _table(list(counted))
    if counts:
        if output.is_terminal() and not (as_json or ndjson or null):
            output.narrate(output.dim(_summary(counts), to_stderr=True))
        return Exit.DONE
    output.narrate("No photo is there more than once.")
    return Exit.NOTHING_FOUND


def _counted(groups: Iterator[DuplicateGroup], counts: Counter[str]) -> Iterator[DuplicateGroup]:
    for group in groups:
        counts[group.kind] += 1
        yield group


def _fields(group: DuplicateGroup) -> dict[str, Any]:
    """A group in JSON; README documents the fields."""
    return {"kind": group.kind, "files": [_file_fields(file) for file in group.files]}


def _file_fields(file: DuplicateFile) -> dict[str, Any]:
    return {
        **output.path_fields(file.path),
        "width": file.width,
        "height": file.height,
        "size": file.size,
        "taken_at": file.taken_at,
        "modified_at": file.modified_at,
        "copies": [output.path_fields(copy)["path"] for copy in file.copies],
        "offline": file.offline,
    }


def _pipe(groups: Iterator[DuplicateGroup], end: bytes) -> None:
    for group in groups:
        output.write_paths([*(file.path for file in group.files), b""], end=end)


def _table(groups: list[DuplicateGroup]) -> None:
    folder = output.common_folder([file.path for group in groups for file in group.files])
    if folder:
        click.echo(output.dim(output.shown(folder)))
    for group in groups:
        click.echo(f"{group.kind} · {len(group.files)} {'files' if group.kind == 'exact' else 'photos'}")
        for file in group.files:
            mark = "*" if file is group.files[0] else " "
            # In an exact group all were taken at once; when each was written is what tells them apart.
            at = file.modified_at if group.kind == "exact" or file.taken_at is None else file.taken_at
            notes = [f"+ {len(file.copies)} more"] if file.copies else []
            notes += ["offline"] if file.offline else []
            note = "  " + " · ".join(notes) if notes else ""
            size = f"{file.width} x {file.height}"
            head = f"  {mark} {size:>13}  {output.size_text(file.size):>7}  {at.replace('T', ' ')}  "
            name = output.shown(file.path[len(folder) :].lstrip(b"/") if folder else file.path)
            room = output.width() - len(head) - len(note)
            click.echo(f"{head}{output.fitted(name, room)}{output.dim(note)}")


def _summary(counts: Counter[str]) -> str:
    each = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    return f"{counts.total():,} group{'' if counts.total() == 1 else 's'}: {each}. Nothing was changed."
