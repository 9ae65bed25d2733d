"""The photos and texts that a variant is made with and compared on. Data only; who decodes photos is not known here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Pixels are uint8 (n, s, s, 3) as the model's preprocessing makes them. What is held out calibrates nothing."""

    pixels: Pixels
    texts: tuple[str, ...]
    held_pixels: Pixels
    held_texts: tuple[str, ...]
    labels: tuple[str, ...]  # what a photo may show, for the change of zero-shot labels
    owners: tuple[int, ...] | None = None  # of each held-out text, the photo it describes; None where nobody knows
