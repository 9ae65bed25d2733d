"""What keys and chips do to the text of a query. Pure: text in, text out, through the query language.

The text in the query line is the one truth; chips are read from it and every key edits it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TypeVar

from clipsearch.errors import UsageError
from clipsearch.query import Query, Term, formatted, parse

Part = TypeVar("Part")

EVERYTHING = "size:>=0kb"  # every photo, the newest first: what is shown while nothing is asked


def chips(text: str) -> tuple[str, ...]:
    """The filters and exclusions in `text`, each as its own text; none while it cannot be read."""
    try:
        query = parse(text)
    except UsageError:
        return ()
    return tuple(map(formatted, _chip_queries(query)))


def without_chip(text: str, place: int) -> str:
    """`text` without the chip at `place`."""
    query = parse(text)
    if place < len(query.filters):
        return formatted(replace(query, filters=_without(query.filters, place)))
    return formatted(replace(query, excluded=_without(query.excluded, place - len(query.filters))))


def with_part(text: str, part: str) -> str:
    """`text` and a filter. Raises UsageError when the two cannot be read together."""
    return formatted(parse(f"{text} {part}"))


def with_picture(text: str, path: bytes, weight: float) -> str:
    """`text` looking for more (weight > 0) or less of what the photo at `path` shows. Raises UsageError."""
    try:
        name = path.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"The name of {os.fsdecode(os.path.basename(path))!a} is not UTF-8, so a query cannot hold it.",
            "Rename a copy of it, or use: clipsearch similar",
        ) from None
    query = parse(text) if text.strip() else Query()
    return formatted(replace(query, terms=(*query.terms, Term(name, weight, is_picture=True))))


def unfiltered(text: str) -> tuple[str, ...]:
    """For each filter of `text`, a question that its other filters alone ask: how many photos fit without it."""
    filters = parse(text).filters
    others = [_without(filters, place) for place in range(len(filters))]
    return tuple(formatted(Query(filters=rest)) if rest else EVERYTHING for rest in others)


def _chip_queries(query: Query) -> list[Query]:
    return [Query(filters=(one,)) for one in query.filters] + [Query(excluded=(text,)) for text in query.excluded]


def _without(parts: tuple[Part, ...], place: int) -> tuple[Part, ...]:
    return parts[:place] + parts[place + 1 :]
