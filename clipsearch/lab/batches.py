"""Batch sweep: how many images and texts a second the model takes, and in what memory, by how many come at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipsearch.encoding import Engine
from clipsearch.evaluation.speed import BATCHES, BatchRate, TextRate, batch_rates, text_rates
from clipsearch.lab.findings import Column, Finding, Lines, Series, Table


@dataclass(frozen=True, slots=True)
class BatchSweep:
    model: str
    way: str  # runtime and precision
    rates: tuple[BatchRate, ...]
    text_way: str
    texts: tuple[TextRate, ...]


def batch_sweep(engine: Engine, batches: Sequence[int] = BATCHES) -> BatchSweep:
    """Raises ModelError where the model cannot be run."""
    return BatchSweep(
        model=engine.card.name,
        way=engine.candidate("ingest").name,
        rates=batch_rates(engine, batches),  # before the text tower opens, whose memory is none of a picture's
        text_way=engine.candidate("query").name,
        texts=text_rates(engine, batches),
    )


def finding(sweep: BatchSweep) -> Finding:
    best = max(sweep.rates, key=lambda one: one.images_per_s)
    first = sweep.rates[0]
    gain = best.images_per_s / first.images_per_s
    than = f", {gain:.2f} times a batch of {first.batch}" if best.batch != first.batch else "; larger ones gain nothing"
    says = f"A batch of {best.batch} is the fastest: {best.images_per_s:,.0f} images/s{than}."
    rows = tuple((one.batch, one.images_per_s, 1000 / one.images_per_s, one.peak_mb) for one in sweep.rates)
    columns = (
        Column("batch"),
        Column("images/s", "measured", form=",.1f"),
        Column("an image", "measured", "ms", ",.2f"),
        Column("memory", "measured", "MB", ",.0f"),
    )
    curve = Series(sweep.model, tuple(float(row[0]) for row in rows), tuple(row[1] for row in rows))
    return Finding(
        title="Batches",
        says=says,
        tables=(Table(f"{sweep.model}, {sweep.way}", columns, rows), _texts(sweep)),
        plots=(Lines(says, (curve,), "images at once", "images/s", logarithmic=True),),
        notes=(
            "The towers alone, without reading files: of each batch the median round in half a second. Texts of one "
            "length, tokenizer included; the text tower runs 32 at once at most.",
            "Memory: the most that the process has had up to this batch, all else in it included.",
        ),
    )


def _texts(sweep: BatchSweep) -> Table:
    columns = (
        Column("batch"),
        Column("texts/s", "measured", form=",.1f"),
        Column("a text", "measured", "ms", ",.2f"),
    )
    rows = tuple((one.batch, one.texts_per_s, 1000 / one.texts_per_s) for one in sweep.texts)
    return Table(f"{sweep.model}, {sweep.text_way}: texts", columns, rows)
