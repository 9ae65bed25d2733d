"""`clipsearch search --batch`: one query a line, one JSON object a line, one open library for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from clipsearch.cli import output
from clipsearch.cli.answer import hit_fields
from clipsearch.cli.options import utf8
from clipsearch.errors import SystemFault, UsageError
from clipsearch.types import Answer


def answer_lines(lines: Iterable[bytes], ask: Callable[[str], Answer]) -> bool:
    """Writes an object for each line that is not blank, at once; whether any query found something.

    A query that cannot be answered gets an object with `error` and `hint`, and the others go on. What would be wrong
    with every query, such as the library, is raised.
    """
    found = False
    for fields in _answers(lines, ask):
        found = found or bool(fields.get("hits"))
        output.write_ndjson([fields])
    return found


def _answers(lines: Iterable[bytes], ask: Callable[[str], Answer]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if not line.strip():
            continue
        query = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff").strip()
        try:
            answer = ask(utf8(query, "The query"))
        except (UsageError, SystemFault) as error:
            yield {"query": output.shown(line.strip()), "error": error.message, "hint": error.hint}
        else:
            yield {"query": query, "hits": [hit_fields(hit) for hit in answer.hits]}
