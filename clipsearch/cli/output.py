"""How answers look: tables on a terminal, exact bytes in a pipe, JSON. stdout is data, stderr is narration.

File names are escaped on a terminal only (control and bidirectional characters can hide or forge text);
in a pipe they are the bytes of the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from clipsearch.cli.streams import is_utf8
from clipsearch.cli.voice import is_quiet
from clipsearch.printable import cells, fitted, padded, printable, shown
from clipsearch.service.path_json import path_fields as path_fields  # JSON names a path alike everywhere

__all__ = [
    "cells", "common_folder", "dim", "fitted", "is_terminal", "narrate", "on_terminal", "padded", "path_fields",
    "printable", "say", "shown", "tell", "width", "write_json", "write_ndjson", "write_paths",
]  # fmt: skip


def narrate(text: str) -> None:
    """A line for a person; nobody needs it, so --quiet drops it."""
    if not is_quiet():
        tell(text)


def tell(text: str) -> None:
    """A line about something that went wrong; --quiet leaves it."""
    sys.stderr.write(text + "\n")


def is_terminal() -> bool:
    return sys.stdout.isatty()


def on_terminal() -> bool:
    """Whether a full screen can be drawn: keys come from a terminal, and all that is written goes there."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def say(text: str, *, hanging: str = "    ") -> None:
    """A paragraph; a terminal gets it in lines."""
    if is_terminal():
        text = textwrap.fill(text, width(), subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
    click.echo(text)


def write_json(rows: object) -> None:
    sys.stdout.write(json_text(rows, indent=2) + "\n")


def write_ndjson(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        sys.stdout.write(json_text(row) + "\n")
        sys.stdout.flush()


def json_text(data: object, indent: int | None = None) -> str:
    """JSON that stdout's encoding can hold: where that is not UTF-8, other characters are written as \\u…"""
    return json.dumps(data, ensure_ascii=not is_utf8(sys.stdout), indent=indent)


def write_paths(paths: Iterable[bytes], *, end: bytes = b"\n") -> None:
    for path in paths:
        sys.stdout.buffer.write(path + end)
    sys.stdout.buffer.flush()


def width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def size_text(count: float) -> str:
    """Bytes in the unit that needs three digits."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def common_folder(paths: Sequence[bytes]) -> bytes:
    """The folder that all paths share, named once above a table; empty when cutting it would say nothing."""
    if len(paths) < 2:
        return b""
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    return common if common not in (b"", b"/") else b""


def dim(text: str, *, to_stderr: bool = False) -> str:
    """Unimportant text, where colours are wanted."""
    return f"\x1b[2m{text}\x1b[0m" if text and colored(sys.stderr if to_stderr else sys.stdout) else text


def colored(stream: TextIO) -> bool:
    """Whether colours go to this stream: as --color says (cli/voice.py), or where it is a terminal."""
    context = click.get_current_context(silent=True)
    chosen = context.color if context else None
    return stream.isatty() if chosen is None else chosen
