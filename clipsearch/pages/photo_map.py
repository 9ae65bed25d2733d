"""A map of photos in one HTML file: pictures at their places, drawn by its one script; a list for who has none.

The list is the data: the script reads places, names and pictures out of it, so nothing is in the page twice and
nothing of a photo is ever in a script. The page around it is photo_map.html, the script photo_map.js.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from clipsearch.types import Failure

_MARK = "<!-- photos -->"  # of the template, where they go
_SHEETS = "<!-- sheets -->"
_STILL = 1000  # units across of the picture of dots


@dataclass(frozen=True, slots=True)
class Spot:
    """One photo of a map; texts are shown as they are."""

    x: float  # 0..1
    y: float  # from the top, in the same unit
    url: str  # of the original
    name: str
    folder: str
    date: str  # may be empty, as the next ones
    labels: tuple[str, ...]
    facts: tuple[str, ...]  # what else is said: "offline"
    picture: bytes | Failure  # WebP
    cell: tuple[int, int, int, int, int] | None  # its sheet, and left, top, width, height on it; None without a picture
    sides: tuple[int, int]  # px, width and height of the picture


@dataclass(frozen=True, slots=True)
class Area:
    """Photos that lie together."""

    name: str | None
    x: float
    y: float
    photos: int


def photo_map(
    title: str,
    summary: str,
    notes: Sequence[str],
    areas: Sequence[Area],
    dots: Sequence[tuple[float, float, int]],
    spots: Iterable[tuple[int, Spot]],
    sheets: Sequence[bytes],
) -> Iterator[str]:
    """The page in pieces, one a photo. `dots` are (x, y, area) of all; `spots` (area, photo) come area by area.

    `sheets` is looked at after the last photo.
    """
    script = files(__package__).joinpath("photo_map.js").read_text("utf-8")
    template = files(__package__).joinpath("photo_map.html").read_text("utf-8")
    head, rest = template.split(_MARK)
    middle, tail = rest.split(_SHEETS)
    yield Template(head).substitute(
        title=escape(title),
        summary=escape(summary),
        # The hash of the script lets this one run and no other: a name that became HTML would still do nothing.
        hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        still=_still(areas, dots),
    )
    yield from _list(areas, spots)
    yield Template(middle).substitute(notes="".join(f"<p>{escape(note)}</p>" for note in notes))
    for sheet in sheets:
        yield f'<img class="sheet" hidden alt="" src="data:image/webp;base64,{b64encode(sheet).decode()}">\n'
    yield Template(tail).substitute(script=script)


def _list(areas: Sequence[Area], spots: Iterable[tuple[int, Spot]]) -> Iterator[str]:
    current = None
    for number, spot in spots:
        if number != current:
            area = areas[number]
            heading = escape(area.name) if area.name else '<span class="quiet">without a common name</span>'
            count = f"{area.photos:,} photo{'' if area.photos == 1 else 's'}"
            at = f'data-at="{area.x:.4f},{area.y:.4f}" data-name="{escape(area.name or "")}"'
            yield "</ol></section>\n" if current is not None else ""
            yield f"<section {at}><h2>{heading} <small>{count}</small></h2><ol>\n"
            current = number
        yield _item(spot)
    yield "</ol></section>\n" if current is not None else ""


def _item(spot: Spot) -> str:
    name = escape(spot.name)
    if isinstance(spot.picture, Failure):
        picture = f'<span class="missing">No picture: {escape(spot.picture.reason)}</span>'
    else:
        data = b64encode(spot.picture).decode()
        sides = f'width="{spot.sides[0]}" height="{spot.sides[1]}"'
        picture = f'<img src="data:image/webp;base64,{data}" {sides} alt="{name}" loading="lazy" decoding="async">'
    cell = f' data-cell="{",".join(map(str, spot.cell))}"' if spot.cell else ""
    date = f'<span class="date">{escape(spot.date)}</span>' if spot.date else ""
    labels = "".join(f'<span class="label">{escape(label)}</span>' for label in spot.labels)
    facts = "".join(f"<span>{escape(fact)}</span>" for fact in spot.facts)
    return (
        f'<li data-at="{spot.x:.5f},{spot.y:.5f}"{cell}><a href="{escape(spot.url)}">{picture}'
        f'<span class="name"><bdi>{name}</bdi></span><span class="line">{date}{labels}{facts}</span>'
        f'<span class="folder"><bdi>{escape(spot.folder)}</bdi></span></a></li>\n'
    )


def _still(areas: Sequence[Area], dots: Sequence[tuple[float, float, int]]) -> str:
    """The map as dots and names, for paper and for who has no script."""
    bottom = max((y for _, y, _ in dots), default=0.0)
    radius = max(2.0, min(8.0, 160 / max(1, len(dots)) ** 0.5))
    parts = [
        f'<circle class="area{area % 6}" cx="{x * _STILL:.0f}" cy="{y * _STILL:.0f}" r="{radius:.1f}"/>'
        for x, y, area in dots
    ]
    parts += [
        f'<text x="{area.x * _STILL:.0f}" y="{area.y * _STILL:.0f}">{escape(area.name)}</text>'
        for area in areas
        if area.name
    ]
    box = f"-60 -40 {_STILL + 120} {bottom * _STILL + 80:.0f}"
    return f'<svg class="still" viewBox="{box}" role="img" aria-label="Places of all photos">{"".join(parts)}</svg>'
