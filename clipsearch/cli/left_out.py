"""Photos that could not be read, as every figure tells of them: named on stderr, all of them in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clipsearch.cli import output
from clipsearch.types import FailedFile

_NAMED = 5  # one by one; the rest is counted


def tell_failures(failures: Sequence[FailedFile], rest: str = "--json has them all") -> None:
    """`rest`: where those stand that are only counted."""
    for failed in failures[:_NAMED]:
        output.tell(f"clipsearch: {output.shown(failed.path)} was left out: {failed.reason}")
    if len(failures) > _NAMED:
        output.tell(f"clipsearch: {len(failures) - _NAMED:,} more were left out; {rest}")


def failure_fields(failures: Sequence[FailedFile]) -> list[dict[str, Any]]:
    return [{**output.path_fields(failed.path), "reason": failed.reason} for failed in failures]
