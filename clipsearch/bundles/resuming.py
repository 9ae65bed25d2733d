"""What every writer of a bundle does alike: how often a part is written, and what keeps it from going on with a folder.

Needs no lock itself; knows neither what is encoded nor by whom.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clipsearch.bundles.folder import parts_in
from clipsearch.bundles.header import Part
from clipsearch.bundles.rows import Header, Newer, Unreadable
from clipsearch.errors import LibraryBusy, LibraryError, ModelError, SystemFault, UsageError

PART_ROWS = 8192  # some 10 MiB at 512 dimensions
PART_S = 30.0  # of work that a power cut may cost


def begun(folder: Path) -> list[tuple[Header, Part]]:
    """What a folder holds. Raises SystemFault for damage."""
    try:
        return parts_in(folder)
    except Unreadable as error:
        raise damaged(folder, error) from error


def check_begun(folder: Path, parts: list[tuple[Header, Part]], header: Header, option: str) -> None:
    """Raises what keeps a bundle of `header` from going on with these parts; `option` is what names the folder."""
    for other, _ in parts:
        if other.model.fingerprint != header.model.fingerprint:
            raise ModelError(
                f"{folder} holds vectors of the model {other.model.model}, not of {header.model.model}.",
                f"Name another folder with {option}, or the model of this one with --model.",
            )
        if other.shard != header.shard:
            raise UsageError(
                f"{folder} is the bundle of share {other.shard}, not of {header.shard}.",
                "Give each share a folder of its own.",
            )
        if other.description != header.description:
            raise SystemFault(
                f"{folder} was begun by another clipsearch ({other.program}), which describes photos otherwise.",
                "Finish it with that version, or begin a new one in another folder.",
            )


def taken(folder: Path) -> Callable[[str], LibraryError]:
    return lambda holder: LibraryBusy(
        f"The bundle {folder} is being written by {holder}.", "Wait for it to finish, or name another folder.", holder
    )


def damaged(folder: Path, error: Unreadable) -> SystemFault:
    anew = "Remove that file and run the same command again: what it held is encoded anew."
    return SystemFault(
        f"The bundle {folder} cannot be continued: {error}.",
        "Update clipsearch and try again." if isinstance(error, Newer) else anew,
    )
