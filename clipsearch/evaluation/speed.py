"""How fast one model is here: images a second by batch, and a text alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipsearch.encoding import Engine
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.towers import ImageTower

BATCHES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = 0.5  # for one batch size, and one round at least
_TEXTS = 20  # that are timed, each alone


@dataclass(frozen=True, slots=True)
class BatchRate:
    batch: int
    images_per_s: float  # of the image tower alone, the fastest round


def batch_rates(engine: Engine, batches: Sequence[int] = BATCHES) -> tuple[BatchRate, ...]:
    """The image tower alone, at each of the batches that it takes."""
    chosen = engine.candidate("ingest")
    side = engine.card.image.size
    noise = np.random.default_rng(0).integers(0, 256, (max(batches), side, side, 3), np.uint8)
    rates = []
    for batch in batches:
        tower = ImageTower(engine.card, Candidate(chosen.way, chosen.variant, batch))
        if tower.batch_size != batch:  # the graph has one size
            continue
        tower.encode_pixels(noise[:batch])
        best, began = float("inf"), time.perf_counter()
        while time.perf_counter() - began < _SECONDS:
            started = time.perf_counter()
            tower.encode_pixels(noise[:batch])
            best = min(best, time.perf_counter() - started)
        rates.append(BatchRate(batch, batch / best))
    return tuple(rates)


def text_ms(engine: Engine, names: Sequence[str]) -> float:
    """Milliseconds of one text past every cache: the median of twenty, each asked alone."""
    texts = [f"a photo of a {name}." for name in names[:_TEXTS]]
    engine.freshly_encoded(texts[:1])  # opens the tower
    times = []
    for text in texts:
        started = time.perf_counter()
        engine.freshly_encoded([text])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000
