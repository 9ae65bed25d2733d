"""The embedding space of photos whose classes are known: how tight classes are, how apart, and how far from words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.errors import UsageError
from clipsearch.evaluation.encoded import EncodedPhotos, Progress, classifier, encoded_photos
from clipsearch.evaluation.geometry import (
    MOST_PAIRED,
    class_similarities,
    dimensions_for,
    effective_rank,
    matched_cosines,
    modality_gap,
    nearest,
    neighbour_accuracy,
    occurrences,
    pair_curves,
    silhouettes,
    skewness,
    spectrum,
)
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.templates import told_templates
from clipsearch.lab.findings import Bars, Cell, Column, Finding, Grid, Lines, Plot, Series, Table
from clipsearch.labels.sets import PLAIN_TEMPLATES, checked_templates
from clipsearch.types import FailedFile

NEIGHBOURS = (1, 5, 10)  # as retrieval counts
HELD = 0.9  # of the variance, by how many directions
EDGES = np.linspace(-1, 1, 101)  # of the curves: two hundredths a bin
_MOST_IN_GRID = 40  # classes that a matrix of 46 rem shows
_MOST_BARS = 60
_MOST_DIRECTIONS = 256  # of the spectrum that are drawn
_WORST = 12  # classes in the table of a large set

Figures = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """How many of a space's dimensions vectors use."""

    dimensions: int  # that there are
    needed: int  # for HELD of the variance
    effective_rank: float
    spectrum: Figures  # shares of the variance, the largest first


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """Where texts lie as seen from photos."""

    distance: float  # 0..2, between the means
    right: float  # mean cosine of a text and its photo
    wrong: float  # of a text and any other


@dataclass(frozen=True, slots=True)
class ClassInSpace:
    name: str
    photos: int
    within: float  # mean cosine of two of its photos
    closest: str  # the class whose photos are most like its own
    closest_cosine: float  # mean, of a photo of each
    silhouette: float  # mean, -1..1
    word: float  # mean cosine of its photos and its words


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSpace:
    model: str
    photos: int
    templates: tuple[str, ...]  # of the classes' words
    failures: tuple[FailedFile, ...]
    classes: tuple[ClassInSpace, ...]
    same: float  # mean cosine of two photos of one class, every pair alike
    other: float  # of two classes
    edges: Figures  # between the bins of the curves
    same_curve: Figures  # shares of the pairs
    other_curve: Figures
    similarities: Figures  # (classes, classes), mean cosines
    silhouette: float
    knn: tuple[float, ...]  # accuracies of NEIGHBOURS
    hubness: float  # of the 10 nearest
    most_seen: int  # the photo that is among the most neighbourhoods, in how many
    never_seen: float  # share of the photos that are in none
    directions: Directions
    gap: Gap  # of the classes' words


def labelled_space(
    engine: Engine, photos: LabelledPhotos, progress: Progress = lambda done, total: None
) -> LabelledSpace:
    """Raises UsageError where no photo can be read, and where there are not two classes to tell apart."""
    if np.count_nonzero(np.bincount(photos.truth)) < 2:  # before the work
        raise UsageError(f"{photos.name} has one class.", "Name a folder with a folder for each of several classes.")
    encoded = encoded_photos(engine, photos, progress)
    sentences = checked_templates(photos.templates)
    words = classifier(engine, photos.classes, sentences)
    return space_of(engine.card.name, photos.classes, encoded, words, sentences)


def space_of(
    model: str,
    names: tuple[str, ...],
    encoded: EncodedPhotos,
    words: NDArray[np.float32],
    templates: Sequence[str] = PLAIN_TEMPLATES,
) -> LabelledSpace:
    """From vectors: `words` (classes, dim) are the classes' own, asked with `templates`.

    Raises UsageError where no two classes could be read, and no two photos of one.
    """
    vectors, truth, count = encoded.vectors, encoded.truth, len(names)
    sizes = np.bincount(truth, minlength=count)
    if np.count_nonzero(sizes) < 2 or sizes.max() < 2:
        raise UsageError(
            f"{len(truth):,} photos that can be read are of {np.count_nonzero(sizes):,} class"
            f"{'es' if np.count_nonzero(sizes) > 1 else ''}: none are compared.",
            "Name a folder with two classes or more, and two photos of one of them.",
        )
    neighbours = nearest(vectors, vectors, max(NEIGHBOURS), are_same=True)
    seen = occurrences(neighbours, len(vectors))
    similarities = class_similarities(vectors, truth, count)
    each = silhouettes(vectors, truth, count)
    same_curve, other_curve = pair_curves(vectors, truth, EDGES)
    same, other = _mean_pairs(similarities, sizes)
    right, wrong = matched_cosines(words, vectors, truth)
    return LabelledSpace(
        model=model,
        photos=len(vectors),
        templates=tuple(templates),
        failures=encoded.failures,
        classes=_classes(names, truth, similarities, each, (vectors * words[truth]).sum(axis=1)),
        same=same,
        other=other,
        edges=EDGES,
        same_curve=same_curve,
        other_curve=other_curve,
        similarities=similarities,
        silhouette=float(each.mean()),
        knn=tuple(neighbour_accuracy(neighbours[:, :k], truth, count) for k in NEIGHBOURS),
        hubness=skewness(seen),
        most_seen=int(seen.max(initial=0)),
        never_seen=float((seen == 0).mean()),
        directions=directions(vectors),
        gap=Gap(modality_gap(vectors, words), right, wrong),
    )


def directions(vectors: NDArray[np.float32]) -> Directions:
    shares = spectrum(vectors)
    return Directions(vectors.shape[1], dimensions_for(shares, HELD), effective_rank(shares), shares)


def _mean_pairs(similarities: Figures, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Mean cosines of all pairs of one class, and of two: classes count by their pairs."""
    pairs = np.outer(counts, counts) - np.diag(counts)
    weighted = np.where(pairs > 0, similarities * pairs, 0)
    own = np.eye(len(counts), dtype=bool)
    return tuple(  # type: ignore[return-value]  # two of them
        float(weighted[kind].sum() / pairs[kind].sum()) if pairs[kind].sum() else float("nan") for kind in (own, ~own)
    )


def _classes(
    names: tuple[str, ...], truth: NDArray[np.int64], similarities: Figures, each: Figures, with_word: Figures
) -> tuple[ClassInSpace, ...]:
    found = []
    for number, name in enumerate(names):
        own = truth == number
        if not own.any():
            continue
        others = np.where(np.isnan(similarities[number]), -np.inf, similarities[number])
        others[number] = -np.inf
        closest = int(others.argmax())
        found.append(
            ClassInSpace(
                name=name,
                photos=int(own.sum()),
                within=float(similarities[number, number]),
                closest=names[closest],
                closest_cosine=float(similarities[number, closest]),
                silhouette=float(each[own].mean()),
                word=float(with_word[own].mean()),
            )
        )
    return tuple(found)


# -- what it tells --------------------------------------------------------------------------------


def finding(space: LabelledSpace) -> Finding:
    says = (
        f"Two photos of one class have a cosine of {space.same:.3f}, of two classes {space.other:.3f}; "
        f"the nearest photo is of the same class for {space.knn[0]:.1%}. "
        f"{space.directions.needed} of {space.directions.dimensions} dimensions hold {HELD:.0%} of the variance."
    )
    return Finding(
        title="Embedding space: classes",
        says=says,
        tables=(_overview(space), _class_table(space)),
        plots=_plots(space),
        notes=(
            "Silhouette by cosine distance: 1 far from other classes, 0 between two, below 0 nearer to another one.",
            "k-NN leaves each photo out of its own neighbours; every neighbour has one vote, the nearest breaks ties.",
            "Hubness is the skewness of how often photos are among the 10 nearest of others (Radovanović et al. 2010): "
            "0 where all are alike often.",
            "The gap is the distance between the mean photo and the mean text (Liang et al. 2022); of each class one "
            f"text, asked with {told_templates(space.templates)}.",
            *sampling_notes("photos", space.photos),
            *([f"{len(space.failures):,} photos could not be read and are left out."] if space.failures else []),
        ),
    )


def _overview(space: LabelledSpace) -> Table:
    columns = (Column("figure"), Column("value", "measured"))
    rows: list[tuple[Cell, ...]] = [
        ("mean cosine, two photos of one class", f"{space.same:.3f}"),
        ("mean cosine, two classes", f"{space.other:.3f}"),
        ("silhouette", f"{space.silhouette:.3f}"),
        *((f"{k}-NN accuracy", f"{share:.1%}") for k, share in zip(NEIGHBOURS, space.knn, strict=True)),
        ("hubness", f"{space.hubness:.2f}"),
        ("neighbourhoods of the most frequent photo", f"{space.most_seen:,}"),
        ("photos that are nobody's neighbour", f"{space.never_seen:.1%}"),
        *direction_rows("photos", space.directions),
        *gap_rows(space.gap),
    ]
    return Table(f"{space.model}, {space.photos:,} photos of {len(space.classes):,} classes", columns, tuple(rows))


def direction_rows(whose: str, found: Directions) -> tuple[tuple[Cell, ...], ...]:
    return (
        (f"{whose}: dimensions for {HELD:.0%} of the variance", f"{found.needed} of {found.dimensions}"),
        (f"{whose}: effective rank", f"{found.effective_rank:.1f}"),
    )


def sampling_notes(whose: str, count: int) -> tuple[str, ...]:
    if count <= MOST_PAIRED:
        return ()
    return (f"The curves of two {whose} are of the pairs of {MOST_PAIRED:,} of them, drawn once and always the same.",)


def gap_rows(gap: Gap) -> tuple[tuple[Cell, ...], ...]:
    return (
        ("modality gap", f"{gap.distance:.3f}"),
        ("mean cosine, a text and its photos", f"{gap.right:.3f}"),
        ("mean cosine, a text and other photos", f"{gap.wrong:.3f}"),
    )


def _class_table(space: LabelledSpace) -> Table:
    ordered = sorted(space.classes, key=lambda one: one.silhouette)
    shown = ordered[:_WORST] if len(ordered) > _MOST_BARS else ordered
    title = "Classes, those that overlap most first"
    return Table(
        title if shown == ordered else f"{title}; {len(shown)} of {len(ordered):,}, --json has all",
        (
            Column("class"),
            Column("closest class"),
            Column("photos", "measured"),
            Column("within", "measured", form=".3f"),
            Column("to the closest", "measured", form=".3f"),
            Column("silhouette", "measured", form=".3f"),
            Column("to its words", "measured", form=".3f"),
        ),
        tuple(
            (one.name, one.closest, one.photos, one.within, one.closest_cosine, one.silhouette, one.word)
            for one in shown
        ),
    )


def _plots(space: LabelledSpace) -> tuple[Plot, ...]:
    plots: list[Plot] = [
        curves(
            f"Photos of one class are alike by {space.same:.2f}, others by {space.other:.2f}",
            {"one class": space.same_curve, "two classes": space.other_curve},
            "cosine of two photos",
        )
    ]
    if len(space.classes) <= _MOST_IN_GRID:
        kept = [place for place, row in enumerate(space.similarities) if not np.isnan(row).all()]
        names = tuple(one.name for one in space.classes)
        values = tuple(tuple(row) for row in space.similarities[np.ix_(kept, kept)].tolist())
        plots.append(Grid(_alike(space), names, names, values, "class", "class"))
    if len(space.classes) <= _MOST_BARS:
        ordered = sorted(space.classes, key=lambda one: -one.silhouette)
        title = f"{ordered[0].name} stands most apart, {ordered[-1].name} least"
        silhouettes_ = tuple(one.silhouette for one in ordered)
        plots.append(Bars(title, tuple(one.name for one in ordered), silhouettes_, "silhouette"))
    plots.append(spectra(f"{space.directions.needed} directions hold {HELD:.0%}", {"photos": space.directions}))
    return tuple(plots)


def _alike(space: LabelledSpace) -> str:
    """The two classes that are most alike."""
    one = max(space.classes, key=lambda each: each.closest_cosine)
    return f"{one.name} and {one.closest} are most alike"


def curves(title: str, shares: dict[str, Figures], across: str) -> Lines:
    """Distributions over EDGES, cut to where something is."""
    middles = (EDGES[1:] + EDGES[:-1]) / 2
    some = np.flatnonzero(sum((np.nan_to_num(one) for one in shares.values()), np.zeros_like(middles)))
    kept = slice(max(0, some[0] - 1), some[-1] + 2) if len(some) else slice(None)
    series = tuple(
        Series(name, tuple(middles[kept].tolist()), tuple(one[kept].tolist()))
        for name, one in shares.items()
        if not np.isnan(one).any()
    )
    return Lines(title, series, across, "share of the pairs, a bin of 0.02")


def spectra(title: str, found: dict[str, Directions]) -> Lines:
    """How much of the variance the first directions hold together."""
    series = tuple(
        Series(name, tuple(float(place) for place in places), tuple(np.cumsum(one.spectrum)[places - 1].tolist()))
        for name, one in found.items()
        for places in [_places(len(one.spectrum))]
    )
    return Lines(title, series, "directions, the largest first", "share of the variance", logarithmic=True)


def _places(count: int) -> NDArray[np.int64]:
    """1, 2, 3, 4, 6, 8, 11, ... up to the last."""
    last = min(count, _MOST_DIRECTIONS)
    return np.unique(np.round(2 ** np.arange(0, np.log2(last) + 0.5, 0.5)).astype(np.int64).clip(1, last))
