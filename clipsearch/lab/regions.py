"""Regions of a map, and the everyday texts that name them; a region without a fitting text has no name. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.lab.projection import Places, Vectors

MOST_REGIONS = 24
LEAST_PHOTOS = 3  # fewer have nothing in common that is not chance
# How often a photo inside must fit the name better than one outside. On 200 captioned photos the names from here on
# were what a person sees there ("food on a plate", "a living room"); at 0.75 there was "rubbish" for zoo animals.
CLEAR = 0.85
# And the name must be among this share of the texts that fit the region best: cars differ from CIFAR-10's other
# photos by "people walking", which says what is not in them.
FITTING = 1 / 16
_TRIED = 5  # texts that stand out most
_ROUNDS = 50


def regions(places: Places) -> NDArray[np.int64]:
    """(n,): the region of each place: k-means in the plane, from starts as far apart as can be, so that it repeats.

    Their number grows with the root of half the photos.
    """
    count = int(min(MOST_REGIONS, max(1, round(float(np.sqrt(len(places) / 2)))), len(np.unique(places, axis=0))))
    centres = _far_apart(places, count)
    found = np.zeros(len(places), np.int64)
    for _ in range(_ROUNDS):
        before = found
        found = ((places[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        centres = np.array(
            [places[found == one].mean(axis=0) if (found == one).any() else centres[one] for one in range(count)]
        )
        if (found == before).all():
            break
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def names(vectors: Vectors, region: NDArray[np.int64], texts: Sequence[str], bank: Vectors) -> list[str | None]:
    """For each region the text that its photos score most above all photos' mean, or None where none is clear.

    `bank` (texts, d) are the texts' vectors. The largest region chooses first; no text names two.
    """
    scores = vectors @ bank.T
    above = scores - scores.mean(axis=0)
    found: list[str | None] = [None] * (int(region.max()) + 1)
    for one in np.argsort(-np.bincount(region), kind="stable").tolist():
        inside = region == one
        if inside.sum() < LEAST_PHOTOS or inside.all():
            continue
        fitting = set(np.argsort(-scores[inside].mean(axis=0), kind="stable")[: round(FITTING * len(texts))].tolist())
        for place in np.argsort(-above[inside].mean(axis=0), kind="stable")[:_TRIED].tolist():
            is_free = texts[place] not in found and place in fitting
            if is_free and _clearness(scores[inside, place], scores[~inside, place]) >= CLEAR:
                found[one] = texts[place]
                break
    return found


def _clearness(inside: NDArray[np.float32], outside: NDArray[np.float32]) -> float:
    """How often a score inside is above one outside, 0..1 (the area under the ROC curve); equal ones count half."""
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, "left") + np.searchsorted(ordered, inside, "right")
    return float(below.mean() / (2 * len(outside)))


def _far_apart(places: Places, count: int) -> Places:
    """The place nearest to the middle, then always the one farthest from those chosen."""
    chosen = [int(((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    distances = ((places - places[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, ((places - places[chosen[-1]]) ** 2).sum(axis=1))
    return places[chosen]
