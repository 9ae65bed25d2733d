"""A folder in which a whole model was gathered becomes one of the models folder: in one step, synced, or not at all.

What goes before (fetching in pull.py, exporting) decides what is in it, and checks that it works.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from clipsearch.engine.cards import CARD, ModelCard
from clipsearch.engine.cardtext import card_text
from clipsearch.errors import ModelError, SystemFault
from clipsearch.files import sync_file, sync_folder

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def publish_model(card: ModelCard, staging: Path, final: Path) -> None:
    """Writes the card where there is none yet, and gives the folder its name; its files are synced already."""
    if not (staging / CARD).exists():
        (staging / CARD).write_text(card_text(card), "utf-8")
        sync_file(staging / CARD)
    for parent, _, _ in os.walk(staging):
        sync_folder(Path(parent))
    try:
        staging.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise ModelError(
            f"{final} is there already and is no model that clipsearch made.",
            "Move it away and run the same command again.",
        ) from error
    sync_folder(final.parent)


@contextlib.contextmanager
def room_in(folder: Path, left: str) -> Iterator[None]:
    """A disk that is full or may not be written, in our words; `left` says what became of the work."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise SystemFault(
                f"There is no room left in {folder} ({error.strerror}); {left}.",
                "Free some space and run the same command again.",
            ) from error
        raise SystemFault(
            f"{error.filename or folder} cannot be written ({error.strerror}).",
            "Change its permissions, or put the models folder elsewhere with CLIPSEARCH_MODELS.",
        ) from error
