"""How fast one model is here: images a second by batch, and a text alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from clipsearch.encoding import Engine
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.choosing.measure import peak_mb
from clipsearch.engine.towers import ImageTower

BATCHES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = 0.5  # for one batch size, and one round at least
_TEXTS = 20  # that are timed, each alone
_TEXT = "a photo of a dog on a beach"


@dataclass(frozen=True, slots=True)
class BatchRate:
    batch: int
    images_per_s: float  # of the image tower alone, the fastest round
    peak_mb: float | None  # the most memory that this process has had so far; None on Windows


@dataclass(frozen=True, slots=True)
class TextRate:
    batch: int
    texts_per_s: float  # past every cache, tokenizer included, the fastest round


def batch_rates(engine: Engine, batches: Sequence[int] = BATCHES) -> tuple[BatchRate, ...]:
    """The image tower alone, at each of the batches that it takes; small ones first."""
    chosen = engine.candidate("ingest")
    side = engine.card.image.size
    noise = np.random.default_rng(0).integers(0, 256, (max(batches), side, side, 3), np.uint8)
    rates = []
    for batch in batches:
        tower = ImageTower(engine.card, Candidate(chosen.way, chosen.variant, batch))
        if tower.batch_size != batch:  # the graph has one size
            continue
        tower.encode_pixels(noise[:batch])
        seconds = _fastest(partial(tower.encode_pixels, noise[:batch]))
        rates.append(BatchRate(batch, batch / seconds, peak_mb()))
    return tuple(rates)


def text_rates(engine: Engine, batches: Sequence[int] = BATCHES) -> tuple[TextRate, ...]:
    """Texts of one length, so many at once: what a tower gains by company."""
    rates = []
    for batch in batches:
        texts = [_TEXT] * batch
        engine.freshly_encoded(texts)
        rates.append(TextRate(batch, batch / _fastest(partial(engine.freshly_encoded, texts))))
    return tuple(rates)


def _fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest round; it ran once before."""
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


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
