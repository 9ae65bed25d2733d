"""The embedding space of captioned photos: photos among each other, captions among each other, and the gap between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.evaluation.captions import CaptionedPhotos
from clipsearch.evaluation.encoded import Progress, encoded_captions
from clipsearch.evaluation.geometry import (
    matched_cosines,
    modality_gap,
    nearest,
    occurrences,
    pair_curves,
    skewness,
)
from clipsearch.lab.findings import Cell, Column, Finding, Lines, Table
from clipsearch.lab.space import (
    EDGES,
    HELD,
    Directions,
    Figures,
    Gap,
    curves,
    direction_rows,
    directions,
    gap_rows,
    sampling_notes,
    spectra,
)
from clipsearch.types import FailedFile

_NEAREST = 10  # neighbours that count for hubness


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedSpace:
    model: str
    photos: int
    captions: int
    failures: tuple[FailedFile, ...]  # photos that could not be read; their captions are left out
    edges: Figures  # between the bins of the curves
    photo_curve: Figures  # shares of the pairs of photos
    same_curve: Figures  # of two captions of one photo
    other_curve: Figures  # of two photos
    right_curve: Figures  # of a caption and its photo
    wrong_curve: Figures  # of a caption and another one
    photo_directions: Directions
    caption_directions: Directions
    gap: Gap
    photo_hubness: float  # of photos among photos
    answer_hubness: float  # of photos among the answers to captions
    never_found: float  # share of the photos that are among the 10 best of no caption


def captioned_space(
    engine: Engine, asked: CaptionedPhotos, progress: Progress = lambda done, total: None
) -> CaptionedSpace:
    """Raises UsageError where none of the photos can be read."""
    encoded = encoded_captions(engine, asked, progress)
    return captioned_space_of(engine.card.name, encoded.photos, encoded.captions, encoded.photo_of, encoded.failures)


def captioned_space_of(
    model: str,
    photos: NDArray[np.float32],
    texts: NDArray[np.float32],
    photo_of: NDArray[np.int64],
    failures: tuple[FailedFile, ...] = (),
) -> CaptionedSpace:
    """From vectors: caption i (n, dim) is about photo `photo_of[i]` of (m, dim)."""
    found = occurrences(nearest(texts, photos, _NEAREST), len(photos))
    among_photos = occurrences(nearest(photos, photos, _NEAREST, are_same=True), len(photos))
    same_curve, other_curve = pair_curves(texts, photo_of, EDGES)
    right_curve, wrong_curve = _pair_curves_across(photos, texts, photo_of)
    return CaptionedSpace(
        model=model,
        photos=len(photos),
        captions=len(texts),
        failures=failures,
        edges=EDGES,
        photo_curve=pair_curves(photos, np.arange(len(photos)), EDGES)[1],
        same_curve=same_curve,
        other_curve=other_curve,
        right_curve=right_curve,
        wrong_curve=wrong_curve,
        photo_directions=directions(photos),
        caption_directions=directions(texts),
        gap=Gap(modality_gap(photos, texts), *matched_cosines(photos, texts, photo_of)),
        photo_hubness=skewness(among_photos),
        answer_hubness=skewness(found),
        never_found=float((found == 0).mean()),
    )


def _pair_curves_across(
    photos: NDArray[np.float32], texts: NDArray[np.float32], photo_of: NDArray[np.int64]
) -> tuple[Figures, Figures]:
    """Right and wrong pairs of a caption and a photo, as shares over EDGES."""
    right, everything = np.zeros(len(EDGES) - 1), np.zeros(len(EDGES) - 1)
    for start in range(0, len(texts), 512):
        cosines = np.clip(texts[start : start + 512] @ photos.T, EDGES[0], EDGES[-1])
        own = np.take_along_axis(cosines, photo_of[start : start + 512, None], axis=1)
        right += np.histogram(own, EDGES)[0]
        everything += np.histogram(cosines, EDGES)[0]
    wrong = everything - right
    return right / right.sum(), wrong / max(wrong.sum(), 1)


def finding(space: CaptionedSpace) -> Finding:
    gap = space.gap
    needed = space.photo_directions.needed, space.caption_directions.needed
    return Finding(
        title="Embedding space: captions",
        says=(
            f"Captions lie apart from photos: {gap.distance:.3f} between their means. A caption has a cosine of "
            f"{gap.right:.3f} with its photo and of {gap.wrong:.3f} with others."
        ),
        tables=(_overview(space),),
        plots=(
            _pairs(space),
            _among_themselves(space),
            spectra(
                f"{needed[0]} directions hold {HELD:.0%} of the photos, {needed[1]} of the captions",
                {"photos": space.photo_directions, "captions": space.caption_directions},
            ),
        ),
        notes=(
            "The gap is the distance between the mean photo and the mean caption (Liang et al. 2022): "
            "0 where they lie mixed, 2 at most.",
            "Hubness is the skewness of how often photos are among the 10 nearest (Radovanović et al. 2010): "
            "0 where all are alike often.",
            *sampling_notes("photos", space.photos),
            *sampling_notes("captions", space.captions),
        ),
    )


def _mean(curve: Figures) -> float:
    return float((EDGES[1:] + EDGES[:-1]) / 2 @ curve)


def _pairs(space: CaptionedSpace) -> Lines:
    return curves(
        f"A caption and its photo: {space.gap.right:.2f}; and another: {space.gap.wrong:.2f}",
        {"its photo": space.right_curve, "another photo": space.wrong_curve},
        "cosine of a caption and a photo",
    )


def _among_themselves(space: CaptionedSpace) -> Lines:
    alike = _mean(space.photo_curve)
    is_above = "more alike than a photo and its caption" if alike > space.gap.right else "alike"
    shares = {
        "two photos": space.photo_curve,
        "captions of one photo": space.same_curve,
        "captions of two photos": space.other_curve,
    }
    return curves(f"Two photos are on average {is_above}: {alike:.2f}", shares, "cosine")


def _overview(space: CaptionedSpace) -> Table:
    rows: list[tuple[Cell, ...]] = [
        *gap_rows(space.gap),
        ("mean cosine, two photos", f"{_mean(space.photo_curve):.2f}"),
        ("mean cosine, captions of one photo", f"{_mean(space.same_curve):.2f}"),
        ("mean cosine, captions of two photos", f"{_mean(space.other_curve):.2f}"),
        *direction_rows("photos", space.photo_directions),
        *direction_rows("captions", space.caption_directions),
        ("hubness of photos among photos", f"{space.photo_hubness:.2f}"),
        ("hubness of photos among answers", f"{space.answer_hubness:.2f}"),
        ("photos in no caption's 10 best", f"{space.never_found:.1%}"),
    ]
    title = f"{space.model}, {space.photos:,} photos with {space.captions:,} captions"
    return Table(title, (Column("figure"), Column("value", "measured")), tuple(rows))
