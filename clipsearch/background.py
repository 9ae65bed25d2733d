"""The bank: everyday texts that relevance compares a query with. Reads them out of the package; encodes nothing."""

from __future__ import annotations

from pathlib import Path


def background_texts() -> tuple[str, ...]:
    """The lines of background.txt in their order, without comments and blanks. They are asked as they stand."""
    lines = Path(__file__).with_name("background.txt").read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))
