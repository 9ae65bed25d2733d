"""`clipsearch search`: words, pictures, or both -> photos. `similar` renders through here too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from clipsearch.cli import output
from clipsearch.cli.options import backend_option, json_options, library_option, opened, utf8
from clipsearch.errors import Exit, UsageError
from clipsearch.library import Asked
from clipsearch.query import literal, parse
from clipsearch.types import Answer, Hit

EPILOG = """\b
QUERY is what you remember, in plain words. In it:
  + more of this        beach + sunset
  - less of this        beach - people
  2: twice as much      2:dog + snow
  "…" keeps together    "black - and - white"
Operators count only at the start or after a blank, so t-shirt is a word.

\b
Examples:
  clipsearch search kids in yellow raincoats
  clipsearch search "harbour at night - boats" -k 5
  clipsearch search --image party.jpg "+ balloons"
  clipsearch search sunset --under ~/Photos/2019 | head -3
  clipsearch search -0 receipts | xargs -0 cp -t /tmp/receipts
"""


@click.command(
    "search", epilog=EPILOG, context_settings={"ignore_unknown_options": False, "help_option_names": ["-h", "--help"]}
)
@click.argument("words", nargs=-1, metavar="[QUERY]...")
@click.option(
    "--image", "images", multiple=True, type=click.Path(path_type=Path), help="Look for what this picture shows."
)
@click.option("-k", "count", type=click.IntRange(1), default=20, show_default=True, help="How many photos.")
@click.option("--under", type=click.Path(path_type=Path), metavar="DIR", help="Only photos in this folder or below it.")
@click.option(
    "--literal", "is_literal", is_flag=True, help="Search for the text as it is; no operators, weights or quotes."
)
@click.option("-v", "--verbose", is_flag=True, help="Say how the search was done.")
@click.option("-0", "--null", is_flag=True, help="Paths, each ended by a NUL byte.")
@json_options
@backend_option
@library_option
@click.pass_context
def command(
    context: click.Context,
    words: tuple[str, ...],
    images: tuple[Path, ...],
    count: int,
    under: Path | None,
    is_literal: bool,
    verbose: bool,
    null: bool,
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Find photos by describing them."""
    text = utf8(" ".join(words), "The query")
    if not text.strip() and not images:
        raise UsageError(
            "There is nothing to search for.", 'Type what you remember: clipsearch search "dog on a beach"'
        )
    query = (literal(text) if is_literal else parse(text)) if text.strip() else None
    started = time.perf_counter()
    with opened(context, library, backend) as opened_library:
        asked = opened_library.asked(query, images)
        answer = opened_library.search(asked, k=count, under=under)
    tell_truncated(asked)
    render(answer, as_json=as_json, ndjson=ndjson, null=null)
    if under is not None and not answer.searched:
        output.narrate(f"Nothing under {output.printable(str(under))} is indexed; clipsearch status lists the folders.")
    if verbose:
        output.narrate(
            f"{answer.plan} search of {answer.searched:,} photos · {(time.perf_counter() - started) * 1000:.0f} ms"
        )
    return Exit.DONE if answer.hits else Exit.NOTHING_FOUND


def tell_truncated(asked: Asked) -> None:
    for text in asked.truncated:
        start = output.printable(text[:40])
        output.narrate(
            f'clipsearch: the model read only the beginning of "{start}…"\nhint: describe the photo in a sentence'
        )


def render(answer: Answer, *, as_json: bool, ndjson: bool, null: bool) -> None:
    """Table on a terminal, paths in a pipe, or the form asked for."""
    if as_json:
        output.write_json([hit_fields(hit) for hit in answer.hits])
    elif ndjson:
        output.write_ndjson(hit_fields(hit) for hit in answer.hits)
    elif null:
        output.write_paths((hit.path for hit in answer.hits), end=b"\0")
    elif not output.is_terminal():
        output.write_paths(hit.path for hit in answer.hits)
    elif answer.hits:
        _table(answer.hits)
    else:
        output.narrate("No photos here. See what is indexed: clipsearch status")


def hit_fields(hit: Hit) -> dict[str, Any]:
    """A hit in JSON; README documents the fields."""
    return {
        "rank": hit.rank,
        **output.path_fields(hit.path),
        "score": round(hit.score, 6),
        "width": hit.width,
        "height": hit.height,
        "taken_at": hit.taken_at,
        "copies": [output.path_fields(copy)["path"] for copy in hit.copies],
        "offline": hit.offline,
    }


def _table(hits: tuple[Hit, ...]) -> None:
    folder = output.common_folder([hit.path for hit in hits])
    if folder:
        click.echo(output.dim(output.shown(folder)))
    for hit in hits:
        name = output.shown(hit.path[len(folder) :].lstrip(b"/") if folder else hit.path)
        notes = [f"+ {len(hit.copies)} more"] if hit.copies else []
        notes += ["offline"] if hit.offline else []
        note = "  " + " · ".join(notes) if notes else ""
        if output.width() < 50:  # the name is worth more
            note = ""
        room = output.width() - 25 - len(note)
        date = (hit.taken_at or "")[:10]
        click.echo(f"{hit.rank:>3}  {hit.score:.3f}  {date:<10}  {output.fitted(name, room)}{output.dim(note)}")
