"""Fits the constants of clipsearch.relevance: the two shares, the steepness, and the spread of what does not match.

    python experiments/relevance/fit.py CAPTIONS [--captions MORE ...] [--model FOLDER ...]

One logistic regression for each collection and model tells queries with an answer (captions, present nouns) from those
without (absent nouns, far-off topics), each of the four groups counting a quarter. For the spread it is done again over
random smaller libraries: where the odds are even, over sqrt(2 ln(n + 1)).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from material import Encoded, encoded, read_collection
from methods import Vectors, levels
from numpy.typing import NDArray

from clipsearch import relevance as ours
from clipsearch.engine.cards import read_card

STARTER = Path(__file__).parents[2] / "clipsearch" / "starter"
SIZES = (10, 25, 50, 100)
ROUNDS = 20

Values = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, metavar="CAPTIONS")
    parser.add_argument("--captions", type=Path, action="append", default=[], metavar="MORE")
    parser.add_argument("--model", type=Path, action="append", metavar="FOLDER")
    arguments = parser.parse_args()
    print("| photos | model | floor share | photo share | steepness | even odds at | spread, by library size |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for folder in [arguments.first, *arguments.captions]:
        collection = read_collection(folder)
        for model in arguments.model or [STARTER]:
            material = encoded(collection, model)
            steepness, floor, photo, even = regression(features(material))
            spreads = ", ".join(f"{spread(material, size):.2f} ({size})" for size in SIZES)
            shares = f"{-floor / steepness:.2f} | {-photo / steepness:.2f} | {steepness:.1f} | {-even / steepness:.2f}"
            print(f"| {len(collection.files)} | {read_card(model).name} | {shares} | {spreads} |", flush=True)


def features(material: Encoded) -> tuple[Values, Values, Values]:
    """(queries, 3): the best photo's cosine, the query's floor and the photo's best texts; answers; weights.

    All three are in units of the distance between the library's levels, as `ours` has them.
    """

    def seen(queries: Vectors, photos: Vectors) -> Values:
        background = ours.background_of(photos, material.bank, photos=len(photos))
        above = photos - np.float32(ours.FLOOR_SHARE) * background.mean
        rank = max(1, round(ours.BEST_SHARE * len(material.bank)))
        own = np.sort(material.bank @ above.T, axis=0)[-rank]
        nearest = levels(ours.FLOOR_SHARE, ours.PHOTO_SHARE)(photos, material.bank)(queries).argmax(axis=1)
        cosines = (queries @ photos.T)[np.arange(len(queries)), nearest]
        middle = float((material.bank @ background.mean).mean())
        columns = (cosines - middle, queries @ background.mean - middle, own[nearest] - background.matched)
        return np.stack(columns, axis=1) / (background.matched - background.unmatched)

    there = material.mentioned.any(axis=1)
    absent = [
        seen(query[None], material.photos[~mask])
        for query, mask in zip(material.nouns, material.mentioned, strict=True)
        if not mask.all()
    ]
    return balanced(
        [seen(material.captions, material.photos), seen(material.nouns[there], material.photos)],
        [np.concatenate(absent), seen(material.far_off, material.photos)],
    )


def spread(material: Encoded, size: int) -> float:
    """Over libraries of `size` random photos: where a level is as often right as wrong, in extremes of `size` draws."""
    random = np.random.default_rng(0)
    method = levels(ours.FLOOR_SHARE, ours.PHOTO_SHARE)
    groups: list[list[Values]] = [[], [], [], []]
    for _ in range(ROUNDS):
        part = material.part(np.sort(random.choice(len(material.photos), size, replace=False)))
        there = part.mentioned.any(axis=1)
        score = method(part.photos, part.bank)
        groups[0].append(score(part.captions).max(axis=1))
        groups[1].append(score(part.nouns[there]).max(axis=1))
        groups[3].append(score(part.far_off).max(axis=1))
        for query, mask in zip(part.nouns, part.mentioned, strict=True):
            if not mask.all():
                groups[2].append(method(part.photos[~mask], part.bank)(query[None]).max(axis=1))
    columns = [np.concatenate(group)[:, None] for group in groups]
    steepness, even = regression(balanced(columns[:2], columns[2:]))
    return -even / steepness / np.sqrt(2 * np.log(size + 1))


def balanced(right: list[Values], wrong: list[Values]) -> tuple[Values, Values, Values]:
    groups = [(group, 1.0) for group in right] + [(group, 0.0) for group in wrong]
    return (
        np.concatenate([group for group, _ in groups]).astype(np.float64),
        np.concatenate([np.full(len(group), answer) for group, answer in groups]),
        np.concatenate([np.full(len(group), 100 / len(group)) for group, _ in groups]),
    )


def regression(data: tuple[Values, Values, Values]) -> Values:
    """Weighted logistic regression by Newton's method; the coefficients, the constant last."""
    columns, answers, weights = data
    columns = np.c_[columns, np.ones(len(columns))]
    found = np.zeros(columns.shape[1])
    for _ in range(30):
        odds = np.clip(columns @ found, -30, 30)
        share = 1 / (1 + np.exp(-odds))
        slope = columns.T @ (weights * (share - answers)) + 1e-3 * found
        bend = (columns * (weights * share * (1 - share))[:, None]).T @ columns + 1e-3 * np.eye(len(found))
        found = found - np.linalg.solve(bend, slope)
    return found


if __name__ == "__main__":
    main()
