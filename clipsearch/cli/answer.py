"""How an answer of `search` and `similar` looks: a table on a terminal, paths in a pipe, JSON.

A person and a pipe see the hits that fit; JSON is data and has all of them, each with its relevance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from clipsearch.cli import output
from clipsearch.cli.voice import is_verbose
from clipsearch.printable import dots
from clipsearch.types import Answer, Hit

NAME_CELLS = 24  # of a path that a row shows at least, where its terminal has them


def shown_hits(answer: Answer, *, everything: bool) -> Sequence[Hit]:
    """The hits that a table or a pipe shows; `everything` is --all."""
    return answer.hits if everything else answer.fitting


def render(answer: Answer, *, as_json: bool, ndjson: bool, null: bool, everything: bool = False) -> None:
    """Table on a terminal, paths in a pipe, or the form asked for."""
    hits = shown_hits(answer, everything=everything)
    if as_json:
        output.write_json([hit_fields(hit) for hit in answer.hits])
    elif ndjson:
        output.write_ndjson(hit_fields(hit) for hit in answer.hits)
    elif null:
        output.write_paths((hit.path for hit in hits), end=b"\0")
    elif not output.is_terminal():
        output.write_paths(hit.path for hit in hits)
    elif hits:
        _table(hits, verbose=is_verbose())
        tell_count(answer, hits)


def found_something(answer: Answer, *, as_data: bool, everything: bool) -> bool:
    """Whether the exit code is 0: data counts every hit, a person those that are shown."""
    return bool(answer.hits if as_data else shown_hits(answer, everything=everything))


def tell_nothing(answer: Answer, under: Path | None) -> None:
    """One line on stderr when no hit is shown: why, and what to do."""
    if not answer.library:
        output.narrate("No photos here. See what is indexed: clipsearch status")
    elif not answer.searched and under is not None:
        output.narrate(f"Nothing under {output.printable(str(under))} fits; clipsearch status lists the folders.")
    elif not answer.searched:
        output.narrate(f"None of {answer.library:,} photos fits the filters.")
    elif answer.hits:
        nearest = output.shown(answer.hits[0].path)
        output.narrate(f"Nothing here looks like that. Nearest (far off): {nearest}. Show anyway: --all")
    else:
        output.narrate(f"Nothing among {answer.searched:,} photos is left.")


def tell_truncated(answer: Answer) -> None:
    for text in answer.truncated:
        start = output.printable(text[:40])
        output.tell(
            f'clipsearch: the model read only the beginning of "{start}…"\nhint: describe the photo in a sentence'
        )


def tell_count(answer: Answer, hits: Sequence[Hit]) -> None:
    spent = sum(step.milliseconds for step in answer.steps)
    fit = f"{len(hits):,} of {answer.searched:,} photos" if answer.gate is None else _fit(answer, hits)
    output.narrate(output.dim(f"{fit} · {spent:.0f} ms", to_stderr=True))


def _fit(answer: Answer, hits: Sequence[Hit]) -> str:
    fitting = len(answer.fitting)
    # More may fit than were asked for; then their number is not known.
    more = " or more" if fitting and fitting == len(answer.hits) < answer.searched else ""
    return f"{fitting:,}{more} of {answer.searched:,} photos fit"


def explain(answer: Answer) -> None:
    """The plan, its counts and timings, and what each term gives to each hit; on stderr."""
    output.narrate(f"plan      {answer.plan}, {answer.searched:,} of {answer.library:,} photos")
    output.narrate("time      " + " · ".join(f"{step.name} {step.milliseconds:.1f} ms" for step in answer.steps))
    if answer.gate is not None:
        output.narrate(
            f"gate      relevance {answer.gate:.2f}: {len(answer.fitting):,} of {len(answer.hits):,} hits fit"
        )
    for hit in answer.hits:
        if hit.score is None or hit.relevance is None:
            continue
        shares = zip(answer.terms, hit.contributions, strict=True)
        parts = "  ".join(f"{share:+.3f} {output.printable(term)}" for term, share in shares)
        output.narrate(f"{hit.rank:>4}  {hit.score:+.3f} (relevance {hit.relevance:.2f}) = {parts}")


def hit_fields(hit: Hit) -> dict[str, Any]:
    """A hit in JSON; README documents the fields."""
    return {
        "rank": hit.rank,
        **output.path_fields(hit.path),
        "score": None if hit.score is None else round(hit.score, 6),
        "relevance": None if hit.relevance is None else round(hit.relevance, 4),
        "width": hit.width,
        "height": hit.height,
        "taken_at": hit.taken_at,
        "copies": [output.path_fields(copy)["path"] for copy in hit.copies],
        "offline": hit.offline,
        "same_as": hit.same_as,
    }


def _table(hits: Sequence[Hit], *, verbose: bool) -> None:
    folder = output.common_folder([hit.path for hit in hits])
    if folder:
        click.echo(output.dim(output.shown(folder)))
    columns = output.width()
    ranks = {hit.rank for hit in hits}
    dated = any(hit.taken_at for hit in hits)  # else the room is the names'
    folded = Counter(hit.same_as for hit in hits if not verbose and hit.same_as in ranks)
    for hit in hits:
        if not verbose and hit.same_as in ranks:
            continue
        name = output.shown(hit.path[len(folder) :].lstrip(b"/") if folder else hit.path)
        # What matters most comes first: where room is short, the last is left out.
        notes = ["offline"] if hit.offline else []
        notes += [f"+ {len(hit.copies)} more"] if hit.copies else []
        notes += [f"+ {folded[hit.rank]} of the same moment"] if folded[hit.rank] else []
        worth = "" if hit.relevance is None else f"{dots(hit.relevance)}  "
        worth += f"{hit.score:.3f}  " if verbose and hit.score is not None else ""
        head = f"{hit.rank:>3}  {worth}"
        taken = f"{(hit.taken_at or '')[:10]:<10}  " if dated else ""
        if len(head + taken) + NAME_CELLS > columns:
            taken = ""
        click.echo(_row(head + taken, name, notes, columns))


def _row(head: str, name: str, notes: Sequence[str], columns: int) -> str:
    """One line of at most `columns`: notes that would cut the name below NAME_CELLS are left out, from the last on."""
    wanted = min(output.cells(name), NAME_CELLS)
    while notes and len(head + _told(notes)) + wanted > columns:
        notes = notes[:-1]
    note = _told(notes)
    return f"{head}{output.fitted(name, columns - len(head + note))}{output.dim(note)}"


def _told(notes: Sequence[str]) -> str:
    return "  " + " · ".join(notes) if notes else ""
