"""`clipsearch eval recall`: what the usual search finds of what an exact one finds, in the user's own library."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import click

from clipsearch.cli.arguments import Source
from clipsearch.cli.lab.showing import show, showing_options
from clipsearch.cli.meter import meter
from clipsearch.cli.options import backend_option, library_option, opened, utf8
from clipsearch.cli.sections import Verb
from clipsearch.errors import Exit, UsageError

EPILOG = """\b
Asks the library the same questions as usual and with --exact: texts that were
asked before and everyday ones, and photos of its own. docs/scale.md says which
plan is taken when: a library of up to 200,000 photos is searched exactly.
clipsearch doctor --recall is the short form: 50 questions, 20 hits, a verdict.

\b
Examples:
  clipsearch eval recall
  clipsearch eval recall -k 100 --questions 200 --output recall.html
  clipsearch eval recall --queries my-queries.txt
"""


@click.command("recall", cls=Verb, epilog=EPILOG)
@click.option(
    "--questions",
    type=click.IntRange(1),
    metavar="N",
    default=50,
    show_default=True,
    help="Texts and photos that are asked, so many of each.",
)
@click.option(
    "--queries",
    "file",
    type=Source(),
    metavar="FILE",
    help="Ask these in place of the texts: a query a line, as clipsearch search takes them; - reads stdin.",
)
@click.option(
    "-k", type=click.IntRange(1), metavar="N", default=20, show_default=True, help="Hits of each that are compared."
)
@showing_options
@backend_option
@library_option
@click.pass_context
def recall(
    context: click.Context,
    questions: int,
    file: IO[bytes] | None,
    k: int,
    target: Path | None,
    as_json: bool,
    backend: str,
    library: str | None,
) -> int:
    """Measure what searches find of what an exact search finds, and how much faster they are."""
    from clipsearch.lab.recall import finding

    queries = None if file is None else _queries(file)
    with opened(context, library, backend) as opened_library, meter("questions") as progress:
        found = opened_library.recall(k=k, questions=questions, queries=queries, progress=progress)
    show(found, finding(found), target, as_json)
    return Exit.DONE


def _queries(file: IO[bytes]) -> list[str]:
    lines = file.read().decode("utf-8", "surrogateescape").splitlines()
    queries = [utf8(line.strip(), f"Line {number} of the queries") for number, line in enumerate(lines, 1)]
    if not any(queries):
        raise UsageError("There is no query in the file.", "Write a query a line: a dog on a beach")
    return [query for query in queries if query]
