"""Hits as a grid of pictures in the terminal, each with its number, dots and name below."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence

import click

from clipsearch.cli import output
from clipsearch.errors import UsageError
from clipsearch.library import Library
from clipsearch.pictures import blocks
from clipsearch.pictures.graphics import CellSize, Drawing, drawn
from clipsearch.pictures.protocol import Protocol, Wanted, chosen, detected
from clipsearch.pictures.window import cell_size
from clipsearch.printable import dots
from clipsearch.types import Failure, Hit

_LEAST_COLUMNS = 28  # of a picture: as half blocks, 28 px, below which little is recognised; two fit 80 columns
_GAP = 2  # columns
_CAPTION = 4  # lines below a picture, the prompt among them
_AHEAD = 60  # pictures decoded ahead of the screen, at most

Picture = bytes | Failure


def chosen_protocol(wanted: Wanted) -> Protocol:
    """How pictures are shown here. Raises UsageError where they cannot be; a forced way works in a pipe too."""
    is_terminal = output.is_terminal()
    protocol = chosen(wanted, os.environ, is_terminal=is_terminal)
    if wanted == "auto" and protocol == "none":
        raise UsageError("Pictures need a terminal.", "Write them to a page: --html FILE")
    if wanted == "auto" and protocol != detected(os.environ, is_terminal=is_terminal):
        note = "Pictures as half blocks. This terminal shows real ones after: pip install 'clipsearch[graphics]'"
        output.narrate(output.dim(note, to_stderr=True))
    return protocol


def show(library: Library, hits: Sequence[Hit], protocol: Protocol, *, verbose: bool) -> None:
    """Writes the grid, each row of it as soon as its pictures are there."""
    width = output.width()
    across = max(1, (width + _GAP) // (_LEAST_COLUMNS + _GAP))
    columns = (width - _GAP * (across - 1)) // across
    # A box of 4:3, for a cell is twice as high as wide; in a low window one row of pictures still fits.
    rows = max(1, min(round(columns * 3 / 8), shutil.get_terminal_size((100, 24)).lines - _CAPTION))
    cell = cell_size(sys.stdout.fileno())
    for row in _rows(library, hits, across):
        pictures = [picture for _, picture in row]
        if protocol == "blocks":
            _write_blocks(pictures, columns, rows)
        else:
            _write_graphics(protocol, pictures, columns, rows, cell)
        _write_captions([hit for hit, _ in row], columns, verbose=verbose)
        sys.stdout.flush()


def _rows(library: Library, hits: Sequence[Hit], across: int) -> Iterator[list[tuple[Hit, Picture]]]:
    """Rows in the order of the hits; what is decoded before its turn waits for it."""
    step = max(1, _AHEAD // across) * across
    for start in range(0, len(hits), step):
        part = hits[start : start + step]
        ready: dict[bytes, Picture] = {}
        first = 0
        for path, picture in library.thumbnails([hit.path for hit in part]):
            ready[path] = picture
            while first < len(part) and all(hit.path in ready for hit in part[first : first + across]):
                yield [(hit, ready.pop(hit.path)) for hit in part[first : first + across]]
                first += across


def _write_blocks(pictures: Sequence[Picture], columns: int, rows: int) -> None:
    by_flag = click.get_current_context().color  # else the environment decides
    environ = os.environ if by_flag is None else {**os.environ, "NO_COLOR": "" if by_flag else "1"}
    depth = blocks.depth(environ)
    boxes: list[tuple[list[str], int]] = []  # lines, and the columns that each of them takes
    for picture in pictures:
        if isinstance(picture, Failure):
            boxes.append(([_reason(picture, columns)], columns))
        else:
            grid = blocks.cells(picture, columns, rows)
            boxes.append(([blocks.text(line, depth) for line in grid], len(grid[0])))
    high = max(len(lines) for lines, _ in boxes)
    for number in range(high):
        # Pictures of a row stand on their captions; what is left of a box lies above it and to its right.
        parts = (
            " " * columns if (place := number - high + len(lines)) < 0 else lines[place] + " " * (columns - wide)
            for lines, wide in boxes
        )
        sys.stdout.write((" " * _GAP).join(parts).rstrip(" ") + "\n")


def _write_graphics(protocol: Protocol, pictures: Sequence[Picture], columns: int, rows: int, cell: CellSize) -> None:
    drawings = [
        Drawing(_reason(picture, columns), columns, 1)
        if isinstance(picture, Failure)
        else drawn(protocol, picture, columns, rows, cell)
        for picture in pictures
    ]
    # Room first: a terminal that scrolls while it draws loses the saved position.
    sys.stdout.write("\n" * max(drawing.rows for drawing in drawings))
    for place, drawing in enumerate(drawings):
        right = f"\x1b[{place * (columns + _GAP)}C" if place else ""
        sys.stdout.write(f"\x1b7\x1b[{drawing.rows}A\r{right}{drawing.text}\x1b8")


def _reason(failure: Failure, columns: int) -> str:
    return output.padded(output.fitted(output.printable(failure.reason), columns), columns)


def _write_captions(hits: Sequence[Hit], columns: int, *, verbose: bool) -> None:
    facts = [_facts(hit, columns, verbose=verbose) for hit in hits]
    names = [output.fitted(output.shown(os.path.basename(hit.path)), columns) for hit in hits]
    for texts in (facts, names):
        sys.stdout.write((" " * _GAP).join(output.padded(text, columns) for text in texts).rstrip(" ") + "\n")
    sys.stdout.write("\n")


def _facts(hit: Hit, columns: int, *, verbose: bool) -> str:
    """Number, dots, cosine, date: as many of them as fit, in this order."""
    facts = [str(hit.rank)]
    facts += [] if hit.relevance is None else [dots(hit.relevance)]
    facts += [f"{hit.score:.3f}"] if verbose and hit.score is not None else []
    facts += ["offline"] if hit.offline else []
    facts += [hit.taken_at[:10]] if hit.taken_at else []
    while len(facts) > 1 and output.cells("  ".join(facts)) > columns:
        facts.pop()
    return "  ".join(facts)
