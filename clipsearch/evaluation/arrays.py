"""Labelled pictures that were published as bare numbers: what a reader of such a form gives, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False)
class LabelledArrays:
    set: str | None  # as known_sets names it; None where the files do not tell
    part: str  # "test", "train", or what the files are called
    pixels: NDArray[np.uint8]  # (pictures, height, width, 3), RGB; a view, which may not be written
    truth: NDArray[np.int64]  # (pictures,), the class of each, from 0
    published: bool = True  # False where the files are known not to be the published ones


def unfit(path: Path, what: str) -> UsageError:
    """`path` holds no such set: `what` is the rest of the sentence."""
    return UsageError(f"{path} {what}.", "Fetch it again from where it was published.")


def check_labels(path: Path, truth: NDArray[np.int64], classes: int) -> None:
    """Raises UsageError for a label that no class has."""
    if truth.size and not 0 <= truth.min() <= truth.max() < classes:
        place = int(np.flatnonzero((truth < 0) | (truth >= classes))[0])
        raise unfit(path, f"says that picture {place:,} is of class {truth[place]}; the set has 0 to {classes - 1}")
