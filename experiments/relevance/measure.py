"""Measures how well a threshold tells "it is here" from "nothing here looks like that": cosine against relevance.

    python experiments/relevance/measure.py CAPTIONS [--model FOLDER ...] [--others FOLDER]

CAPTIONS is a folder with captions.tsv (`file<TAB>caption`), objects.tsv (`file<TAB>objects`) and the photos they name.
A model is a folder with card.toml; without one the starter is measured. OTHERS holds photos without captions (*.jpg),
which make the library larger. Prints the tables of docs/relevance.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from material import Collection, Encoded, encoded, encoded_photos, read_collection
from methods import COMPARED, Method, Vectors, cosine, shipped
from numpy.typing import NDArray

from clipsearch import relevance as ours
from clipsearch.background import background_texts
from clipsearch.engine.cards import read_card

STARTER = Path(__file__).parents[2] / "clipsearch" / "starter"
ACCEPTED = 0.9  # of the captions; where methods are compared
LIBRARY_SIZES = (1, 3, 10, 25, 50, 100)
ROUNDS = 20  # random libraries a size

Values = NDArray[np.floating]


@dataclass(frozen=True)
class Best:
    """The value of each query's best photo."""

    captions: Values
    present: Values  # nouns that some photo mentions
    absent: Values  # nouns, asked where no photo mentions them
    absent_phrases: Values
    far_off: Values

    @property
    def threshold(self) -> float:
        """The highest one that accepts 90 % of the captions."""
        return float(np.quantile(self.captions, 1 - ACCEPTED, method="lower"))

    def row(self, threshold: float) -> list[str]:
        return [
            *(f"{(values >= threshold).mean():.2f}" for values in (self.captions, self.present)),
            *(f"{(values < threshold).mean():.2f}" for values in (self.absent, self.absent_phrases, self.far_off)),
        ]

    @property
    def areas(self) -> list[float]:
        """Areas under the four ROC curves: captions and present nouns against absent nouns and far-off topics."""
        return [area(p, n) for p in (self.captions, self.present) for n in (self.absent, self.far_off)]


ROW = [
    "captions accepted",
    "present nouns accepted",
    "absent nouns rejected",
    'as "a photo of a …"',
    "far-off rejected",
]

LARGER_ROW = ["captions accepted", "far-off rejected", "by a cosine that accepts as many captions"]
EXCLUSION_ROW = ["of photos that mention the noun, dropped", "of the others, dropped", "of the dropped, mention it"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--model", type=Path, action="append", metavar="FOLDER")
    parser.add_argument("--others", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    collection = read_collection(arguments.captions)
    for folder in arguments.model or [STARTER]:
        material = encoded(collection, folder)
        report(read_card(folder).name, collection, material)
        if arguments.others:
            others = encoded_photos(sorted(arguments.others.glob("*.jpg")), folder)
            table("More photos, default threshold", ["photos", *LARGER_ROW], larger(material, others))


def report(name: str, collection: Collection, material: Encoded) -> None:
    print(f"\n# {name}: {len(collection.files)} photos, {len(collection.captions):,} captions")
    by_cosine, by_relevance = judged(cosine, material), judged(shipped, material)
    table(
        "At a threshold",
        ["", "threshold", *ROW],
        [
            ["cosine, 90 % of captions", f"{by_cosine.threshold:.3f}", *by_cosine.row(by_cosine.threshold)],
            ["relevance, 90 % of captions", f"{by_relevance.threshold:.2f}", *by_relevance.row(by_relevance.threshold)],
            ["relevance, default", "0.50", *by_relevance.row(ours.DEFAULT_THRESHOLD)],
        ],
    )
    low, high = gain(by_cosine, by_relevance)
    print(f"\nAbsent nouns: relevance rejects {low:+.2f} to {high:+.2f} more (95 % of 2,000 resamples of the nouns).")
    table("ROC: absent nouns rejected", ["captions accepted", "cosine", "relevance"], roc(by_cosine, by_relevance))
    table("Methods, at 90 % of captions", ["", *ROW, "mean ROC area"], compared(material))
    table("Chosen on one half, judged on the other", ["", "chosen", *ROW, "cosine rejects"], halves(material))
    table("Library size, default threshold", ["photos", *ROW], sizes(material))
    table("Queries by their best photo's relevance", ["relevance", "with an answer"], reliable(by_relevance))
    table("As an exclusion", EXCLUSION_ROW, excluded(material))
    table("The bank, at 90 % of captions", ["", *ROW], banks(collection, material))
    misses(collection, material, by_relevance)
    costs(material)


def judged(method: Method, material: Encoded) -> Best:
    score = method(material.photos, material.bank)
    there = material.mentioned.any(axis=1)

    def absent(queries: Vectors) -> Values:
        """Each noun over the photos that do not mention it, which are then the whole library."""
        return np.array(
            [
                method(material.photos[~mask], material.bank)(query[None]).max()
                for query, mask in zip(queries, material.mentioned, strict=True)
                if not mask.all()
            ]
        )

    return Best(
        score(material.captions).max(axis=1),
        score(material.nouns[there]).max(axis=1) if there.any() else np.empty(0),
        absent(material.nouns),
        absent(material.phrases),
        score(material.far_off).max(axis=1),
    )


def area(positives: Values, negatives: Values) -> float:
    above = positives[:, None] - negatives
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


def gain(by_cosine: Best, by_relevance: Best) -> tuple[float, float]:
    won = (by_relevance.absent < by_relevance.threshold).astype(float) - (by_cosine.absent < by_cosine.threshold)
    drawn = np.random.default_rng(0).integers(0, len(won), (2000, len(won)))
    low, high = np.quantile(won[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def roc(*by: Best) -> Iterable[list[str]]:
    for accepted in (0.98, 0.95, 0.9, 0.85, 0.8, 0.7):
        rejected = [(best.absent < np.quantile(best.captions, 1 - accepted, method="lower")).mean() for best in by]
        yield [f"{accepted:.2f}", *(f"{share:.2f}" for share in rejected)]
    yield ["area", *(f"{area(best.captions, best.absent):.3f}" for best in by)]


def compared(material: Encoded) -> Iterable[list[str]]:
    for name, method in COMPARED.items():
        best = judged(method, material)
        yield [name, *best.row(best.threshold), f"{np.mean(best.areas):.3f}"]


def halves(material: Encoded) -> Iterable[list[str]]:
    """The method with the largest mean ROC area on half of the photos, nouns and topics; its figures on the other."""
    for parity in (0, 1):
        mine, other = material.half(parity), material.half(1 - parity)
        chosen = max(COMPARED, key=lambda name: np.mean(judged(COMPARED[name], mine).areas))
        best, plain = judged(COMPARED[chosen], other), judged(cosine, other)
        rejected = (plain.absent < plain.threshold).mean()
        yield [f"half {parity + 1}", chosen, *best.row(best.threshold), f"{rejected:.2f}"]


def sizes(material: Encoded) -> Iterable[list[str]]:
    random = np.random.default_rng(0)
    everything = len(material.photos)
    for size in LIBRARY_SIZES:
        drawn = [random.choice(everything, size, replace=False) for _ in range(ROUNDS)]
        parts = [judged(shipped, material.part(np.sort(photos))) for photos in drawn]
        yield [str(size), *joined(parts).row(ours.DEFAULT_THRESHOLD)]
    yield [str(everything), *judged(shipped, material).row(ours.DEFAULT_THRESHOLD)]


def joined(parts: list[Best]) -> Best:
    return Best(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in (field.name for field in fields(Best)))
    )


def larger(material: Encoded, others: Vectors) -> Iterable[list[str]]:
    """With photos of which nobody said what they show: absent nouns cannot be judged, and far-off topics hardly."""
    for count in sorted({0, len(others) // 5, len(others) // 2, len(others)}):
        photos = np.concatenate([material.photos, others[:count]])
        plain, ranked = cosine(photos, material.bank), shipped(photos, material.bank)
        captions, far_off = ranked(material.captions).max(axis=1), ranked(material.far_off).max(axis=1)
        limit = np.quantile(plain(material.captions).max(axis=1), 1 - (captions >= ours.DEFAULT_THRESHOLD).mean())
        shares = (
            (captions >= ours.DEFAULT_THRESHOLD).mean(),
            (far_off < ours.DEFAULT_THRESHOLD).mean(),
            (plain(material.far_off).max(axis=1) < limit).mean(),
        )
        yield [f"{len(photos):,}", *(f"{share:.2f}" for share in shares)]


def reliable(best: Best) -> Iterable[list[str]]:
    """Captions, present and absent nouns and far-off topics count a quarter each: half the queries have an answer."""
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        right = inside(best.captions, low) + inside(best.present, low)
        wrong = inside(best.absent, low) + inside(best.far_off, low)
        yield [f"{low:.1f} to {low + 0.2:.1f}", f"{right / (right + wrong):.2f}" if right + wrong else ""]


def inside(values: Values, low: float) -> float:
    return float(((values >= low) & (values < low + 0.2)).mean())


def excluded(material: Encoded) -> Iterable[list[str]]:
    """`not:"NOUN"` drops photos of relevance 0.5 and more: all photos, over the nouns that some photo mentions."""
    there = material.mentioned.any(axis=1)
    dropped = shipped(material.photos, material.bank)(material.nouns[there]) >= ours.DEFAULT_THRESHOLD
    named = material.mentioned[there]
    yield [
        f"{dropped[named].mean():.2f}",
        f"{dropped[~named].mean():.3f}",
        f"{named[dropped].mean():.2f}",
    ]


def banks(collection: Collection, material: Encoded) -> Iterable[list[str]]:
    words = {word for noun in collection.nouns for word in noun.split()}
    free = np.array([not words & set(text.split()) for text in background_texts()])
    for name, kept in (
        ("all", np.ones(len(free), bool)),
        (f"{free.sum()} texts without a word of the 50 nouns", free),
        ("every second text", np.arange(len(free)) % 2 == 0),
        ("every sixth text", np.arange(len(free)) % 6 == 0),
    ):
        best = judged(shipped, replace(material, bank=material.bank[kept]))
        yield [name, *best.row(best.threshold)]


def misses(collection: Collection, material: Encoded, best: Best) -> None:
    there = np.flatnonzero(material.mentioned.any(axis=1))
    limit = ours.DEFAULT_THRESHOLD
    print("\nMisses at the default threshold")
    print("- absent nouns accepted:", listed(collection.nouns, np.flatnonzero(best.absent >= limit)))
    print("- far-off topics accepted:", listed(collection.far_off, np.flatnonzero(best.far_off >= limit)))
    print("- present nouns rejected:", listed(collection.nouns, there[best.present < limit]))


def listed(names: Sequence[str], which: NDArray[np.int64]) -> str:
    return ", ".join(names[i] for i in which) or "none"


def costs(material: Encoded) -> None:
    random = np.random.default_rng(0)
    photos = material.photos[random.integers(0, len(material.photos), 2000)]
    photos = (photos + 0.02 * random.standard_normal(photos.shape)).astype(np.float16)
    query = material.captions[0]
    background = ours.background_of(photos[:500], material.bank, photos=2000)
    scores = photos.astype(np.float32) @ query
    timed("background of 500 photos", lambda: ours.background_of(photos[:500], material.bank, photos=2000))
    timed("background of 2,000 photos", lambda: ours.background_of(photos, material.bank, photos=2000))
    for k in (20, 200):
        timed(f"relevance of {k} hits", lambda k=k: ours.relevance(query, scores[:k], photos[:k], background))


def timed(what: str, act: Callable[[], object]) -> None:
    seconds = []
    for _ in range(15):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    print(f"- {what}: {1000 * np.median(seconds):.1f} ms")


def table(title: str, head: list[str], rows: Iterable[list[str]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
