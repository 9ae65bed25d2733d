"""Photos with the words for what is in them, as a table has them: file, tab, words with commas between.

Reads the file only; whether the photos can be decoded shows when they are encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError
from clipsearch.evaluation.located import file_text, located
from clipsearch.evaluation.tables import WrongLine, table_rows


@dataclass(frozen=True, slots=True, eq=False)
class ObjectsOfPhotos:
    photos: tuple[Path, ...]  # in the order in which they are first named
    words: tuple[str, ...]  # in the order of the alphabet
    present: NDArray[np.bool_]  # (photos, words)


def objects_of_photos(file: Path, folder: Path | None = None) -> ObjectsOfPhotos:
    """What `file` says is in the photos in `folder` (beside it, where none is named; also in photos/ or images/ there).

    A row without words is a photo with none of them; a photo without a row is left out, for nothing is known of it.
    Raises UsageError for a file without the columns file and objects, and for photos that are not there.
    """
    try:
        rows = list(_rows(file_text(file)))
    except WrongLine as error:
        raise _unknown(file, f": {error}") from error
    except (ValueError, KeyError) as error:
        raise _unknown(file) from error
    photos = list(dict.fromkeys(name for name, _ in rows))
    words = sorted({word for _, objects in rows for word in objects})
    if not words:
        raise _unknown(file)
    places = {name: place for place, name in enumerate(photos)}
    columns = {word: column for column, word in enumerate(words)}
    present = np.zeros((len(photos), len(words)), np.bool_)
    for name, objects in rows:
        present[places[name], [columns[word] for word in objects]] = True
    return ObjectsOfPhotos(located(photos, file.parent if folder is None else folder), tuple(words), present)


def in_photos(asked: ObjectsOfPhotos, count: int) -> ObjectsOfPhotos:
    """With those words alone that are in `count` photos or more; of the same photos. Raises UsageError for none."""
    kept = np.flatnonzero(asked.present.sum(axis=0) >= count)
    if not len(kept):
        most = int(asked.present.sum(axis=0).max())
        raise UsageError(f"No word is in {count:,} photos.", f"The most photos that one is in: {most:,}")
    return replace(asked, words=tuple(asked.words[column] for column in kept), present=asked.present[:, kept])


def _rows(text: str) -> Iterator[tuple[str, list[str]]]:
    for name, objects in table_rows(text, "file", "objects"):
        yield name, [word.strip() for word in objects.split(",") if word.strip()]


def _unknown(file: Path, why: str = "") -> UsageError:
    return UsageError(
        f"{file} does not say what is in its photos{why}.",
        "Expected: a line `file<TAB>objects`, then a photo, a tab and words with commas between, a line each.",
    )
