"""Photos with captions, as the published collections write them: a table, COCO's JSON, Flickr's token files.

Reads the file only; whether the photos can be decoded shows when they are encoded.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError
from clipsearch.evaluation.located import file_text, located


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedPhotos:
    photos: tuple[Path, ...]  # in the order in which they are first named
    captions: tuple[str, ...]
    photo_of: NDArray[np.int64]  # of each caption, from 0


def captioned_photos(file: Path, folder: Path | None = None) -> CaptionedPhotos:
    """What `file` says of the photos in `folder` (beside it, where none is named; also in photos/ or images/ there).

    Raises UsageError for a file in none of the three forms, and for photos that are not there.
    """
    try:
        text = file_text(file)
        pairs = list(_coco(json.loads(text)) if text.lstrip().startswith("{") else _lines(text.splitlines()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unknown(file) from error
    if not pairs:
        raise _unknown(file)
    places: dict[str, int] = {}
    photo_of = np.array([places.setdefault(name, len(places)) for name, _ in pairs])
    photos = located(list(places), file.parent if folder is None else folder)
    return CaptionedPhotos(photos, tuple(caption for _, caption in pairs), photo_of)


def _coco(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """captions_val2017.json: images with ids, annotations that name them."""
    names = {image["id"]: image["file_name"] for image in table["images"]}
    for annotation in table["annotations"]:
        yield names[annotation["image_id"]], annotation["caption"].strip()


def _lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    """A table with the columns file and caption; or `photo.jpg<TAB>caption`, Flickr's with `#0` behind the name."""
    if lines and "caption" in lines[0].split("\t"):
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if None in (row["file"], row["caption"]):
                raise ValueError("a row is short of a column")
            yield row["file"], row["caption"]
        return
    for line in filter(str.strip, lines):
        name, caption = line.split("\t", 1)
        photo, mark, number = name.rpartition("#")
        yield photo if mark and number.isdigit() else name, caption.strip()


def _unknown(file: Path) -> UsageError:
    return UsageError(
        f"{file} holds no captions that clipsearch can read.",
        "Known are a photo, a tab and a caption a line, COCO's captions JSON, and Flickr's token files.",
    )
