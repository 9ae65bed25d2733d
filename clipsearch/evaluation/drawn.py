"""Some of many, drawn by chance and the same ones each time: what every figure over a part is over.

The first ones would be one burst, one camera, one source: files are often numbered as they came.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def drawn(count: int, most: int | None) -> NDArray[np.int64]:
    """(least of both,), the places of those that are drawn of `count`, in their order; all where `most` is None.

    Those that are drawn for a smaller `most` are among those for a larger one.
    """
    return np.sort(np.random.default_rng(0).permutation(count)[:most])
