"""A contact sheet: thumbnails in rows, each a link to its photo. The page around them is contact_sheet.html."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from clipsearch.types import Failure

_MARK = "<!-- photos -->"  # of the template, where they go
# Sides' ratios that a row bears: a panorama would fill it, and a long strip would leave no room for its name.
_NARROWEST, _WIDEST = 0.66, 2.4


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo of a sheet; texts are shown as they are."""

    number: int
    url: str  # of the original
    name: str
    folder: str
    facts: tuple[str, ...]  # date, size and the like, in the order in which they are shown
    dots: str  # relevance in five steps, or empty
    relevance: str  # the same in words, for who does not see the dots
    ratio: float  # width : height
    picture: bytes | Failure  # WebP


def contact_sheet(title: str, summary: str, entries: Iterable[Entry]) -> Iterator[str]:
    """The page in pieces, one a photo, so that a sheet of a whole library need not be in memory."""
    template = files(__package__).joinpath("contact_sheet.html").read_text("utf-8")
    head, tail = template.split(_MARK)
    yield Template(head).substitute(title=escape(title), summary=escape(summary))
    for entry in entries:
        yield _figure(entry)
    yield tail


def _figure(entry: Entry) -> str:
    name, ratio = escape(entry.name), min(_WIDEST, max(_NARROWEST, entry.ratio))
    if isinstance(entry.picture, Failure):
        picture = f'<span class="missing">No picture: {escape(entry.picture.reason)}</span>'
    else:
        data = b64encode(entry.picture).decode()
        picture = f'<img src="data:image/webp;base64,{data}" alt="{name}" decoding="async">'
    dots = f'<span class="dots" role="img" aria-label="{escape(entry.relevance)}">{escape(entry.dots)}</span>'
    facts = "".join(f"<span>{escape(fact)}</span>" for fact in entry.facts)
    folder = f'<span class="folder"><bdi>{escape(entry.folder)}</bdi></span>' if entry.folder else ""
    return (
        f'<li style="--ratio:{ratio:.3f}"><a href="{escape(entry.url)}">{picture}'
        f'<span class="line"><b>{entry.number}</b>{dots if entry.dots else ""}{facts}</span>'
        f'<span class="name"><bdi>{name}</bdi></span>{folder}</a></li>\n'
    )
