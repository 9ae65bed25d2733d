"""Photos that choose and photos that tell: what is chosen on the first half is measured on the second.

The best of eighty on some photos is partly the luckiest of eighty on these photos. Measured on them, it would look
better than it is on any others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.errors import UsageError

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    choosing: Places  # (n,), places of photos, ascending
    telling: Places  # (m,), of all others


def halves(truth: NDArray[np.integer]) -> Halves:
    """Of each class one half, at random but always the same; of an odd number the one more goes here and there in turn.

    `truth` (photos,): the class of each that could be read. Raises UsageError where a half would have photos of one
    class alone, which everything recognises.
    """
    classes = len(np.unique(truth))
    if classes < 2:
        raise UsageError(
            f"{len(truth):,} photos that can be read are of {classes} class.", "Name a folder with two classes or more."
        )
    random = np.random.default_rng(0)
    first: list[np.int64] = []
    odd = 0
    for number in np.unique(truth):
        own = random.permutation(np.flatnonzero(truth == number))
        first.extend(own[: (len(own) + odd) // 2])
        odd ^= len(own) % 2
    choosing = np.sort(np.array(first, np.int64))
    telling = np.setdiff1d(np.arange(len(truth)), choosing)
    if min(len(np.unique(truth[one])) for one in (choosing, telling)) < 2:
        raise UsageError(
            f"{len(truth):,} photos of {classes:,} classes are too few: each half needs photos of two classes.",
            "One half of the photos chooses, the other tells: give two photos of each class or more.",
        )
    return Halves(choosing, telling)
