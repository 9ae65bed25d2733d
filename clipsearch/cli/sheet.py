"""Hits as one HTML page: a contact sheet that needs nothing else and links to the photos."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from clipsearch.cli import output
from clipsearch.errors import SystemFault
from clipsearch.files import publish
from clipsearch.library import Library
from clipsearch.pages.contact_sheet import Entry, contact_sheet
from clipsearch.printable import dots
from clipsearch.types import Answer, Hit

STDOUT = "-"
_AHEAD = 60  # photos whose thumbnails are in memory at once


def checked_target(target: str) -> str:
    """`target` if a page can be written there: said before a long search, not after it. Raises SystemFault."""
    if target == STDOUT:
        return target
    path = Path(target)
    if path.is_dir():
        raise SystemFault(f"{output.printable(target)} is a folder.", f"Name a file in it: {target}/photos.html")
    if not path.absolute().parent.is_dir():
        raise SystemFault(f"There is no folder {path.absolute().parent}.", "Create it, or name another file.")
    return target


def write_sheet(library: Library, answer: Answer, hits: Sequence[Hit], target: str, *, title: str) -> None:
    """Writes the page to the file `target`, whole or not at all; "-" is stdout. Raises SystemFault."""
    today = date.today()
    summary = f"{len(hits):,} of {answer.searched:,} photos · {today.day} {today:%B %Y}"
    pieces = contact_sheet(title, summary, _entries(library, hits))
    if target == STDOUT:
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode())
        sys.stdout.buffer.flush()
        return
    size = _written(Path(target), pieces)
    photos = f"{len(hits):,} photo{'' if len(hits) == 1 else 's'}"
    output.narrate(f"{output.printable(target)} · {photos} · {output.size_text(size)}")


def _written(target: Path, pieces: Iterator[str]) -> int:
    """Bytes written."""
    final = target.resolve()  # a link stays a link
    try:
        if final.exists() and not stat.S_ISREG(final.stat().st_mode):  # a device or a FIFO: not to be replaced
            with final.open("wb") as handle:
                return sum(handle.write(piece.encode()) for piece in pieces)
        aside = final.with_name(f".clipsearch-{os.getpid()}.part")
        try:
            with aside.open("xb") as handle:
                size = sum(handle.write(piece.encode()) for piece in pieces)
            publish(aside, final)
        finally:
            with contextlib.suppress(FileNotFoundError):
                aside.unlink()
        return size
    except OSError as error:
        raise SystemFault(
            f"{output.printable(str(target))} cannot be written ({error.strerror}).", "Choose another place for it."
        ) from error


def _entries(library: Library, hits: Sequence[Hit]) -> Iterator[Entry]:
    common = output.common_folder([hit.path for hit in hits])
    for start in range(0, len(hits), _AHEAD):
        part = hits[start : start + _AHEAD]
        pictures = dict(library.thumbnails([hit.path for hit in part]))
        for hit in part:
            folder, name = os.path.split(hit.path)
            facts = [hit.taken_at[:10]] if hit.taken_at else []
            facts += [f"{hit.score:.3f}"] if hit.score is not None else []
            facts += [f"+ {len(hit.copies)} more"] if hit.copies else []
            facts += ["offline"] if hit.offline else []
            yield Entry(
                number=hit.rank,
                url=Path(os.fsdecode(hit.path)).as_uri(),
                name=output.shown(name),
                folder=output.shown(folder[len(common) :].lstrip(b"/") if common else folder),
                facts=tuple(facts),
                dots="" if hit.relevance is None else dots(hit.relevance),
                relevance="" if hit.relevance is None else f"relevance {hit.relevance:.2f}",
                ratio=hit.width / max(1, hit.height),
                picture=pictures[hit.path],
            )
