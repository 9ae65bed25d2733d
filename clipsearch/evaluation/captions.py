"""Photos with captions, as the published collections write them: a table, COCO's JSON, Karpathy's splits of COCO and
Flickr30k, Flickr's token files.

Reads the file only; whether the photos can be decoded shows when they are encoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError
from clipsearch.evaluation.drawn import drawn
from clipsearch.evaluation.located import file_text, located
from clipsearch.evaluation.tables import WrongLine, numbered_lines, table_rows


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedPhotos:
    photos: tuple[Path, ...]  # in the order in which they are first named
    captions: tuple[str, ...]
    photo_of: NDArray[np.int64]  # of each caption, from 0
    published: str | None = None  # the set that it is of, as published figures name it: "coco", "flickr30k"
    differences: tuple[str, ...] = ()  # why a figure over it is none like the published ones; clauses


SETS = {"coco": ("COCO", 5000), "flickr30k": ("Flickr30k", 1000)}  # and the photos that published figures are over


def captioned_photos(file: Path, folder: Path | None = None, set_name: str | None = None) -> CaptionedPhotos:
    """What `file` says of the photos in `folder` (beside it, where none is named; also in photos/ or images/ there).

    Of Karpathy's splits the test part is taken. `set_name` is one of SETS, where the file does not tell. Raises
    UsageError for a file in none of the forms, and for photos that are not there.
    """
    try:
        text = file_text(file)
        table = json.loads(text) if text.lstrip().startswith("{") else None
        pairs = list(_lines(text) if table is None else _named(table))
        of, is_split = _set_of(table)
    except WrongLine as error:
        raise _unknown(file, f": {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unknown(file) from error
    if not pairs:
        raise _unknown(file)
    _check_text(file, [caption for _, caption in pairs])
    places: dict[str, int] = {}
    photo_of = np.array([places.setdefault(name, len(places)) for name, _ in pairs])
    return CaptionedPhotos(
        located(list(places), file.parent if folder is None else folder),
        tuple(caption for _, caption in pairs),
        photo_of,
        set_name or of,
        _differences(set_name or of, is_split, len(places)),
    )


def drawn_captioned(asked: CaptionedPhotos, most: int) -> CaptionedPhotos:
    """At most that many photos, drawn by chance, the same ones each time, with all their captions."""
    if len(asked.photos) <= most:
        return asked
    kept = drawn(len(asked.photos), most)
    row_of = np.full(len(asked.photos), -1)
    row_of[kept] = np.arange(most)
    rows = row_of[asked.photo_of]
    return replace(
        asked,
        photos=tuple(asked.photos[place] for place in kept),
        captions=tuple(caption for caption, row in zip(asked.captions, rows, strict=True) if row >= 0),
        photo_of=rows[rows >= 0],
        differences=(*asked.differences, f"{most:,} of its {len(asked.photos):,} photos were drawn"),
    )


def _named(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    return _coco(table) if "annotations" in table else _karpathy(table)


def _set_of(table: dict[str, Any] | None) -> tuple[str | None, bool]:
    """Which set a JSON file is of, and whether it is Karpathy's split of it."""
    if table is None:
        return None, False
    said = table.get("dataset")
    return ("coco", False) if "annotations" in table else (said if said in SETS else None, True)


def _differences(of: str | None, is_split: bool, photos: int) -> tuple[str, ...]:
    if of is None:
        return ()
    count = SETS[of][1]
    found = [] if is_split else ["its photos are not Karpathy's test split"]
    if photos != count:
        fewer, more = ("fewer", "more") if photos < count else ("more", "less")
        found.append(f"it has {photos:,} photos, not {count:,}: among {fewer} a caption finds its own {more} easily")
    return tuple(found)


def _karpathy(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """dataset_coco.json and dataset_flickr30k.json of cs.stanford.edu/people/karpathy/deepimagesent."""
    for image in table["images"]:
        if image["split"] == "test":
            name = str(Path(image.get("filepath", "")) / image["filename"])
            for sentence in image["sentences"]:
                yield name, sentence["raw"].strip()


def _coco(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """captions_val2017.json: images with ids, annotations that name them."""
    names = {image["id"]: image["file_name"] for image in table["images"]}
    for annotation in table["annotations"]:
        yield names[annotation["image_id"]], annotation["caption"].strip()


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """A table with the columns file and caption; or `photo.jpg<TAB>caption`, Flickr's with `#0` behind the name."""
    lines = numbered_lines(text)
    if lines and "caption" in lines[0][1].split("\t"):
        yield from table_rows(text, "file", "caption")
        return
    for number, line in lines:
        name, tab, caption = line.partition("\t")
        if not tab:
            raise WrongLine(f"line {number} has no photo and caption with a tab between")
        photo, mark, place = name.rpartition("#")
        yield photo if mark and place.isdigit() else name, caption.strip()


def _check_text(file: Path, captions: Sequence[str]) -> None:
    """JSON can hold half of a letter that takes two units of UTF-16, which is no text. Raises UsageError."""
    for number, caption in enumerate(captions, 1):
        try:
            caption.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"{file}: caption {number:,} has half a letter in it ({caption[error.start]!a}).",
                "Write the letter whole, or take it out.",
            ) from error


def _unknown(file: Path, why: str = "") -> UsageError:
    return UsageError(
        f"{file} holds no captions that clipsearch can read{why}.",
        "Known are a photo, a tab and a caption a line, COCO's captions JSON, Karpathy's splits, Flickr's token files.",
    )
