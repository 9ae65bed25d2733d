"""Text for a person's eyes: nothing in a file's name moves the cursor, turns the direction or breaks a column.

File names are escaped on a terminal only (control and bidirectional characters can hide or forge text). Knows
nothing of photos; the command line and the interface share it.
"""

from __future__ import annotations

import math
import unicodedata

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

DOTS = 5


def shown(path: bytes) -> str:
    """A path for a person's eyes: nothing in it moves the cursor, turns the direction or is not text."""
    return printable(path.decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    return "".join(
        _escaped(c) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _BIDI else c for c in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def fitted(text: str, columns: int) -> str:
    """`text` in at most `columns`; a long path loses its middle, for its end names the file."""
    if cells(text) <= columns:
        return text
    head = columns // 3
    return _start(text, head) + "…" + _start(text[::-1], columns - head - 1)[::-1]


def _start(text: str, columns: int) -> str:
    while cells(text) > max(columns, 0):
        text = text[: min(len(text) - 1, max(columns, 0))]
    return text


def cells(text: str) -> int:
    """Columns of a terminal that the text takes: wide East Asian characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def padded(text: str, columns: int) -> str:
    return text + " " * max(0, columns - cells(text))


def percent(share: float) -> str:
    """0..1 in whole percent, always five columns wide: " 94 %"."""
    return f"{share * 100:3.0f} %"


def dots(relevance: float) -> str:
    """Relevance in five steps, as TUI, table and pages show it; from three on a photo fits (0.5)."""
    full = max(1, math.floor(relevance * DOTS + 0.5))
    return "●" * full + "○" * (DOTS - full)
