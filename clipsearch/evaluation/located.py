"""Where the photos lie that a file names: in a folder that is named, or beside the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipsearch.errors import UsageError

_SHOWN = 60  # letters of a name that is no name
_PLACES = ("", "photos", "images", "Images")  # below that folder, as the published collections have it


def file_text(file: Path) -> str:
    """Its content. Raises UsageError where it cannot be read, UnicodeDecodeError where it is no UTF-8."""
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}).", "Check its name and its permissions.") from error


def located(names: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """The photos with these names, in `folder` or in photos/ or images/ there.

    Raises UsageError where one is not, or has a name that no file can have.
    """
    places = [folder / place for place in _PLACES]
    where = next((place for place in places if _is_there(place, names[0])), folder)
    missing = [name for name in names if not _is_there(where, name)]
    if missing:
        raise UsageError(
            f"{where} lacks {len(missing):,} of {len(names):,} photos, {_short(missing[0])} first.",
            "Name the folder of the photos: --photos DIR",
        )
    return tuple(where / name for name in names)


def _is_there(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except OSError as error:  # too long, or in a folder that is closed
        reason = error.strerror
    except ValueError:  # a zero, or half a letter
        reason = "no file can have this name"
    raise UsageError(f"{_short(name)!a} in {folder} cannot be read ({reason}).", "Correct the file that names it.")


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]} …"
