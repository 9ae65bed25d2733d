"""Where the photos lie that a file names: in a folder that is named, or beside the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipsearch.errors import UsageError

_PLACES = ("", "photos", "images", "Images")  # below that folder, as the published collections have it


def file_text(file: Path) -> str:
    """Its content. Raises UsageError where it cannot be read, UnicodeDecodeError where it is no UTF-8."""
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}).", "Check its name and its permissions.") from error


def located(names: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """The photos with these names, in `folder` or in photos/ or images/ there. Raises UsageError where one is not."""
    places = [folder / place for place in _PLACES]
    where = next((place for place in places if (place / names[0]).is_file()), folder)
    missing = [name for name in names if not (where / name).is_file()]
    if missing:
        raise UsageError(
            f"{where} lacks {len(missing):,} of {len(names):,} photos, {missing[0]} first.",
            "Name the folder of the photos: --photos DIR",
        )
    return tuple(where / name for name in names)
