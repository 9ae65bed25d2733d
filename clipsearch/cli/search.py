"""`clipsearch search`: words, pictures, filters -> photos."""

from __future__ import annotations

import textwrap
from functools import partial
from pathlib import Path
from typing import IO

import click

from clipsearch.cli import actions as acting
from clipsearch.cli import answer as answers
from clipsearch.cli import output
from clipsearch.cli.actions import Actions, act, action_options
from clipsearch.cli.arguments import Named, Source
from clipsearch.cli.batch import answer_lines
from clipsearch.cli.forms import chosen_form, form_options, render_form
from clipsearch.cli.options import (
    answering,
    backend_option,
    count_option,
    json_options,
    library_option,
    null_option,
    opened,
    under_option,
    utf8,
)
from clipsearch.cli.sections import Verb
from clipsearch.cli.suggest import query_words
from clipsearch.cli.voice import is_verbose
from clipsearch.errors import Exit, UsageError
from clipsearch.pictures.protocol import Wanted
from clipsearch.query import KEYS, formatted, literal
from clipsearch.types import SORTS, Sort

_FILTERS = "\n".join(
    textwrap.fill(f"{one.example:<21} {one.meaning}", 76, initial_indent="  ", subsequent_indent=" " * 24)
    for one in KEYS
)

EPILOG = f"""\b
QUERY is what you remember, in plain words. In it:
  + more of this        beach + sunset
  - less of this        beach - people
  2: twice as much      2:dog + snow
  "…" keeps together    "black - and - white"
  not:people            drops photos that show it
  like:cat.jpg          looks like that picture
  @name                 a saved search
Operators count only at the start or after a blank, so t-shirt is a word. What
the shell takes for itself stands in single quotes: 'size:>2mp'.

\b
Filters, anywhere in it. The same one twice means one or the other, different
ones must all hold, a minus before one turns it round:
{_FILTERS}

{acting.EPILOG}
\b
--batch answers each line of a file with one line of JSON,
  {{"query": …, "hits": […]}} or {{"query": …, "error": …, "hint": …}}
and ends with 0 when any query found something.

\b
Examples:
  clipsearch search kids in yellow raincoats before:2015
  clipsearch search "harbour at night - boats" -k 5
  clipsearch search --image party.jpg "+ balloons"
  clipsearch search is:portrait year:2019 --sort name -k 0
  clipsearch search sunset --save evenings
  clipsearch search @evenings in:Crete
  clipsearch search snow --show
  clipsearch search snow -k 200 --html snow.html
  clipsearch search receipts year:2024 -k 0 --copy-to ~/receipts
  clipsearch search -0 receipts | xargs -0 exiftool -DateTimeOriginal
"""


@click.command("search", cls=Verb, epilog=EPILOG)
@click.argument("words", nargs=-1, metavar="[QUERY]...", shell_complete=query_words)
@click.option(
    "--image",
    "images",
    multiple=True,
    type=Named(),
    metavar="FILE",
    help="Look for what this picture shows; like:FILE in the query.",
)
@count_option
@under_option
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    help="Order of what was found; without words in the query, date.",
)
@click.option("--all", "everything", is_flag=True, help="Show the nearest photos even if they are far off.")
@click.option("--min-relevance", type=click.FloatRange(0, 1), metavar="0..1", help="Only photos at least as relevant.")
@click.option("--diverse", is_flag=True, help="Prefer photos that are unlike each other.")
@click.option("--exact", is_flag=True, help="Compare with every photo, however many.")
@click.option("--save", "save_as", metavar="NAME", help="Keep this query; search for it again with @NAME.")
@click.option(
    "--literal", "is_literal", is_flag=True, help="Search for the text as it is; no operators, filters or quotes."
)
@click.option("--explain", is_flag=True, help="Show the plan, its timings, and what each term gives to each photo.")
@null_option
@action_options
@click.option(
    "--batch", type=Source(), metavar="FILE", help="Answer each line of FILE, in lines of JSON; - reads stdin."
)
@form_options
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
    sort: Sort | None,
    everything: bool,
    min_relevance: float | None,
    diverse: bool,
    exact: bool,
    save_as: str | None,
    is_literal: bool,
    explain: bool,
    null: bool,
    actions: Actions,
    batch: IO[bytes] | None,
    show: bool,
    pictures: Wanted,
    html: str | None,
    as_json: bool,
    ndjson: bool,
    backend: str,
    library: str | None,
) -> int:
    """Find photos by describing them."""
    text = utf8(" ".join(words), "The query")
    form = chosen_form(show, pictures, html, is_data=as_json or ndjson or null)
    if batch is not None and (text or save_as or explain or actions or form or null or as_json):
        raise UsageError(
            "--batch takes its queries from the file and answers in lines of JSON.",
            "Leave out the query, --save, --explain, --show, --html, --json, -0 and what acts on the photos.",
        )
    actions.check(form_is_asked=form is not None or as_json or ndjson or null)
    if batch is None and not text.strip() and not images:
        raise UsageError(
            "There is nothing to search for.", 'Type what you remember: clipsearch search "dog on a beach"'
        )
    with answering(context, library, backend) as asked_library:
        ask = partial(
            asked_library.search,
            images=images,
            k=count,
            under=under,
            sort=sort,
            min_relevance=min_relevance,
            diverse=diverse,
            exact=exact,
        )
        if batch is not None:
            found = answer_lines(batch, lambda line: ask(formatted(literal(line)) if is_literal else line))
            return Exit.DONE if found else Exit.NOTHING_FOUND
        query = formatted(literal(text)) if is_literal else text
        answer = ask(query)
    if save_as is not None:
        with opened(context, library) as opened_library:
            opened_library.save_search(save_as, query)
            output.narrate(f"Saved. Search for it again: clipsearch search @{save_as}")
    hits = answers.shown_hits(answer, everything=everything)
    if form is not None:
        title = " + ".join([*([query.strip()] if query.strip() else []), *(image.name for image in images)])
        with opened(context, library, backend) as opened_library:  # whoever answered, pictures are made here
            render_form(form, opened_library, answer, hits, title=output.printable(title), verbose=is_verbose())
    answers.tell_truncated(answer)
    if form is None and not actions.command:
        answers.render(answer, as_json=as_json, ndjson=ndjson, null=null, everything=everything)
    if explain:
        answers.explain(answer)
    all_done = act(actions, hits)
    if answers.found_something(answer, as_data=(as_json or ndjson) and not actions, everything=everything):
        return Exit.DONE if all_done else Exit.SYSTEM
    answers.tell_nothing(answer, under)
    return Exit.NOTHING_FOUND
