"""A library's map as a page: its photos with their thumbnails, in pieces, so that memory holds a few."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from clipsearch.lab.map import LibraryMap, MappedPhoto
from clipsearch.lab.projection import NEIGHBOURS
from clipsearch.library import Library
from clipsearch.pages.photo_map import Area, Spot, photo_map
from clipsearch.pictures.sprites import Sheets, opened, smaller
from clipsearch.printable import shown
from clipsearch.thumbnails import SIDE
from clipsearch.types import Failure

_AHEAD = 60  # photos whose thumbnails are in memory at once
_FULL = 1_000  # photos that are shown as large as thumbnails are kept; of more each is smaller, for the page is sent
_LEAST_SIDE = 96  # px

Progress = Callable[[int, int], None]


def map_page(
    library: Library, found: LibraryMap, made_by: str, progress: Progress = lambda done, total: None
) -> Iterator[str]:
    """HTML in pieces. Thumbnails come from the library's cache, and are made where they are not in it."""
    sheets = Sheets()
    return photo_map(
        title=found.query or "Map of the library",
        summary=_summary(found),
        notes=_notes(found, made_by),
        areas=[Area(one.name, one.x, one.y, one.photos) for one in found.regions],
        dots=[(one.x, one.y, one.region) for one in found.photos],
        spots=_spots(library, found, sheets, progress),
        sheets=sheets.done,
    )


def picture_side(photos: int) -> int:
    """px of the longer side: together the pictures stay at some 10 MB, down to the least that shows anything."""
    side: float = SIDE * (_FULL / max(1, photos)) ** 0.5
    return max(_LEAST_SIDE, min(SIDE, round(side)))


def _summary(found: LibraryMap) -> str:
    count, today = len(found.photos), date.today()
    photos = f"{count:,} photos" if count == found.of else f"{count:,} of {found.of:,} photos, spread over all of them"
    return f"{photos} · {today.day} {today:%B %Y}"


def _notes(found: LibraryMap, made_by: str) -> list[str]:
    way = {"pca": "PCA: the two directions of the largest variance", "umap": "UMAP, by cosine"}[found.by]
    return [
        f"What {found.model} takes for alike lies together ({way}). Of each photo's {NEIGHBOURS} nearest, "
        f"{found.kept:.0%} are its nearest on the map too; the axes mean nothing.",
        "Regions are named by the everyday text that fits their photos best, where one fits clearly.",
        f"Made by: {made_by}",
    ]


def _spots(library: Library, found: LibraryMap, sheets: Sheets, progress: Progress) -> Iterator[tuple[int, Spot]]:
    side = picture_side(len(found.photos))
    common = _common_folder(found)
    for start in range(0, len(found.photos), _AHEAD):
        part = found.photos[start : start + _AHEAD]
        pictures = dict(library.thumbnails([photo.path for photo in part]))
        for number, photo in enumerate(part, start + 1):
            yield photo.region, _spot(photo, common, pictures[photo.path], side, sheets)
            progress(number, len(found.photos))
    sheets.close()


def _common_folder(found: LibraryMap) -> bytes:
    folders = [os.path.dirname(photo.path) for photo in found.photos]
    return os.path.commonpath(folders) if folders else b""


def _spot(photo: MappedPhoto, common: bytes, picture: bytes | Failure, side: int, sheets: Sheets) -> Spot:
    cell, sides = None, (0, 0)
    if not isinstance(picture, Failure):
        image = opened(picture)
        put = sheets.put(image)
        cell = put.sheet, put.left, put.top, put.width, put.height
        picture = smaller(image, side, picture)
        scale = min(1.0, side / max(image.size))
        sides = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    folder, name = os.path.split(photo.path)
    return Spot(
        x=photo.x,
        y=photo.y,
        url=Path(os.fsdecode(photo.path)).as_uri(),
        name=shown(name),
        folder=shown(folder[len(common) :].lstrip(b"/")) or shown(os.path.basename(folder)),
        date=(photo.taken_at or "")[:10],
        labels=photo.labels,
        facts=("offline",) if photo.offline else (),
        picture=picture,
        cell=cell,
        sides=sides,
    )
