"""Drift of variants: how far each precision of a model, and each shorter arithmetic, is from the model as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipsearch.engine.backends import Way
from clipsearch.engine.cards import Comparison, ModelCard
from clipsearch.engine.choosing.candidates import Candidate, fits
from clipsearch.evaluation.agreement import (
    AskedSamples,
    Beside,
    below_gate,
    beside_reference,
    listed_ways,
    reference_candidate,
)
from clipsearch.evaluation.pixels import Progress
from clipsearch.lab.findings import Bars, Cell, Column, Finding, Table
from clipsearch.types import FailedFile


@dataclass(frozen=True, slots=True)
class JudgedVariant:
    beside: Beside
    on_card: Comparison | None  # what its maker measured, on other photos
    below_gate: str | None  # why it is not what the card asks; None where it is


@dataclass(frozen=True, slots=True)
class VariantDrift:
    model: str
    reference: str  # variant and way
    samples: str
    texts: int
    has_captions: bool
    variants: tuple[JudgedVariant, ...]
    unopened: tuple[str, ...]  # variants that no runtime here opens
    failures: tuple[FailedFile, ...]


def variant_drift(
    card: ModelCard, samples: AskedSamples, cache: Path, progress: Progress = lambda done, total: None
) -> VariantDrift:
    """Of every variant that this machine opens, and of the reference in shorter floats. Raises ModelError where the
    reference fails."""
    here = listed_ways(card)
    candidates = _candidates(card, here)
    tried = {one.variant for one in candidates} | {card.reference.name}
    on_card = {one.name: one.compared for one in card.variants}
    reference = reference_candidate(card)
    rows = beside_reference(card, candidates, samples, cache, progress)
    return VariantDrift(
        model=card.name,
        reference=f"{reference.variant} on {reference.way.name}",
        samples=samples.name,
        texts=len(samples.texts),
        has_captions=samples.owners is not None,
        variants=tuple(JudgedVariant(row, on_card[row.variant], below_gate(card, row)) for row in rows),
        unopened=tuple(one.name for one in card.variants if one.name not in tried),
        failures=samples.failures,
    )


def _candidates(card: ModelCard, here: Sequence[Way]) -> list[Candidate]:
    """Each variant once, in the arithmetic of its files; the reference in every other one."""
    plain = [way for way in here if way.arithmetic == "f32"]
    first = [
        Candidate(next(way for way in plain if fits(one, way)), one.name)
        for one in card.variants[1:]
        if any(fits(one, way) for way in plain)
    ]
    shorter = [way for way in here if way.arithmetic != "f32" and fits(card.reference, way)]
    return [*(Candidate(way, card.reference.name) for way in shorter), *first]


def finding(drift: VariantDrift) -> Finding:
    says = _says(drift)
    shown = [(one.beside, one.beside.compared) for one in drift.variants if one.beside.compared]
    bars = Bars(
        says,
        tuple(name_of(row) for row, _ in shown),
        tuple(1 - found.image_mean for _, found in shown),
        "1 - mean cosine of photos with the reference's",
    )
    notes = [
        f"{drift.texts:,} {'captions' if drift.has_captions else 'everyday texts'}. Photos, least, texts: cosines with "
        "the reference's vectors. Ten nearest: share of the photos nearest to a text that stay. Other label: share of "
        "photos whose likeliest everyday text changes.",
        "The gate is what the model's card asks of a variant that is taken by itself: of the mean cosines, and of the "
        "ten nearest.",
    ]
    if drift.unopened:
        notes.append(f"No runtime here opens {', '.join(drift.unopened)}.")
    return Finding(
        title="Variants",
        says=says,
        tables=(_table(drift),),
        plots=(bars,) if shown else (),
        notes=tuple(notes),
    )


def _table(drift: VariantDrift) -> Table:
    columns = (
        Column("variant"),
        Column("photos", "measured", form=".4f"),
        Column("least", "measured", form=".4f"),
        Column("texts", "measured", form=".4f"),
        Column("ten nearest", "measured", form=".1%"),
        *([Column("R@1", "measured", form="+.3f")] if drift.has_captions else []),
        Column("other label", "measured", form=".1%"),
        Column("on its card", "published", form=".4f"),
        Column("gate"),
    )
    rows = tuple(
        (
            name_of(one.beside),
            *_cells(one.beside, drift.has_captions),
            one.on_card.image_mean if one.on_card else None,
            _gate(one),
        )
        for one in drift.variants
    )
    return Table(f"{drift.model}, beside {drift.reference}; {drift.samples}", columns, rows)


def _gate(one: JudgedVariant) -> str:
    if one.beside.compared is None:
        return f"failed: {one.below_gate}"
    found = one.beside.compared
    return f"{'above' if one.below_gate is None else 'below'} {found.least_cosine:g} and {found.least_top10:.0%}"


def _cells(row: Beside, has_captions: bool) -> tuple[Cell, ...]:
    found = row.compared
    if found is None:
        return (None,) * (6 if has_captions else 5)
    recall = found.recall[:1] if has_captions else ()
    return found.image_mean, found.image_least, found.text_mean, found.top10, *recall, found.labels


def name_of(row: Beside) -> str:
    """int8-openvino; fp32 in bf16 on openvino-cpu."""
    return row.variant if row.arithmetic == "f32" else f"{row.variant} on {row.way}"


def _says(drift: VariantDrift) -> str:
    if not drift.variants:
        return f"{drift.model} has one variant, and nothing here computes it in shorter floats."
    below = [one for one in drift.variants if one.below_gate is not None]
    if below:
        told = "; ".join(f"{name_of(one.beside)}: {one.below_gate}" for one in below)
        return f"{len(below)} of {len(drift.variants)} variants moved too far on these photos. {told}."
    farthest, mean, least = min(
        (
            (name_of(one.beside), found.image_mean, found.image_least)
            for one in drift.variants
            if (found := one.beside.compared)
        ),
        key=lambda row: row[1],
    )
    return (
        f"Every variant stays inside of its gate on these photos; {farthest} moves them most: cosine {mean:.4f} in the "
        f"mean, {least:.4f} at least."
    )
