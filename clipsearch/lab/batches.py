"""Batch sweep: how many images a second the model takes, by how many are encoded at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipsearch.encoding import Engine
from clipsearch.evaluation.speed import BATCHES, BatchRate, batch_rates
from clipsearch.lab.findings import Column, Finding, Lines, Series, Table


@dataclass(frozen=True, slots=True)
class BatchSweep:
    model: str
    way: str  # runtime and precision
    rates: tuple[BatchRate, ...]


def batch_sweep(engine: Engine, batches: Sequence[int] = BATCHES) -> BatchSweep:
    """Raises ModelError where the model cannot be run."""
    return BatchSweep(engine.card.name, engine.candidate("ingest").name, batch_rates(engine, batches))


def finding(sweep: BatchSweep) -> Finding:
    best = max(sweep.rates, key=lambda one: one.images_per_s)
    first = sweep.rates[0]
    gain = best.images_per_s / first.images_per_s
    says = (
        f"A batch of {best.batch} is the fastest: {best.images_per_s:,.0f} images/s, "
        f"{gain:.2f} times a batch of {first.batch}."
    )
    rows = tuple((one.batch, one.images_per_s, 1000 / one.images_per_s) for one in sweep.rates)
    columns = (
        Column("batch"),
        Column("images/s", "measured", form=",.1f"),
        Column("an image", "measured", "ms", ",.2f"),
    )
    curve = Series(sweep.model, tuple(float(row[0]) for row in rows), tuple(row[1] for row in rows))
    return Finding(
        title="Batches",
        says=says,
        tables=(Table(f"{sweep.model}, {sweep.way}", columns, rows),),
        plots=(Lines(says, (curve,), "images at once", "images/s", logarithmic=True),),
        notes=("The image tower alone, without reading files: of each batch the fastest round in half a second.",),
    )
