"""Values as TOML, which tomllib reads back as the same values. The standard library only reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_BARE = re.compile(r"[A-Za-z0-9_-]+")  # a key that TOML reads without quotes


def table(name: str, **values: object) -> list[str]:
    """The lines of a table; `name` is TOML already."""
    return ["", f"[{name}]", *pairs(**values)]


def pairs(**values: object) -> list[str]:
    """A line for each value that is not None."""
    return [f"{key} = {value_text(value)}" for key, value in values.items() if value is not None]


def key_text(name: str) -> str:
    return name if _BARE.fullmatch(name) else quoted(name)


def value_text(value: object) -> str:
    """A text, a number, or a list of them."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Iterable):
        return f"[{', '.join(map(value_text, value))}]"
    return repr(value)


def quoted(text: str) -> str:
    """A basic string of TOML: as JSON writes it, but DEL must be escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
