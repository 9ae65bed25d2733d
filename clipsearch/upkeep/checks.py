"""What one look at a library or its machine has found: a line that a person reads and a program counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clipsearch.errors import Exit

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State  # a note is worth knowing and needs nothing
    text: str
    advice: str | None = None
    exit_code: Exit = Exit.DONE  # what a program that checks should end with; DONE unless wrong
    repairable: bool = False


def ok(name: str, text: str) -> Check:
    return Check(name, "ok", text)


def note(name: str, text: str, advice: str | None = None, *, repairable: bool = False) -> Check:
    return Check(name, "note", text, advice, repairable=repairable)


def wrong(name: str, text: str, advice: str, code: Exit = Exit.LIBRARY, *, repairable: bool = False) -> Check:
    return Check(name, "wrong", text, advice, code, repairable)


def exit_code(checks: list[Check]) -> Exit:
    """Of the gravest: the library before the model before the system."""
    return min((check.exit_code for check in checks if check.state == "wrong"), default=Exit.DONE)


REPAIR = "clipsearch doctor --repair"
