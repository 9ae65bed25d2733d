"""`golden.npz` beside a card: pixels and texts, and the vectors that the model's maker got from the reference.

Any part may be missing, and the whole file. Reads it only; what must agree with it is others' to say.
"""

from __future__ import annotations

import zipfile

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.cards import ModelCard
from clipsearch.errors import ModelError

GOLDEN = "golden.npz"  # pixels, image_vectors, texts, text_vectors


def golden_arrays(card: ModelCard) -> dict[str, NDArray[np.generic]]:
    """By their names in the file; none where there is no file. Raises ModelError for one that cannot be read."""
    path = card.folder / GOLDEN
    if not path.exists():
        return {}
    try:
        # Opened here: of an archive that is broken, numpy leaves the file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read ({error}).", "Fetch the model again.") from error
