"""How fast one model is here: images a second by batch, and a text alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice

import numpy as np

from clipsearch.encoding import Engine
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.choosing.measure import peak_mb
from clipsearch.engine.towers import ImageTower

BATCHES = (1, 2, 4, 8, 16, 32, 64)
_TEXT = "a photo of a dog on a beach"


@dataclass(frozen=True, slots=True)
class BatchRate:
    batch: int
    images_per_s: float  # of the image tower alone, the median round
    peak_mb: float | None  # the most memory that this process has had so far; None on Windows


@dataclass(frozen=True, slots=True)
class TextRate:
    batch: int
    texts_per_s: float  # past every cache, tokenizer included, the median round


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
        seconds = median_seconds(partial(tower.encode_pixels, noise[:batch]))
        rates.append(BatchRate(batch, batch / seconds, peak_mb()))
    return tuple(rates)


def text_rates(engine: Engine, batches: Sequence[int] = BATCHES) -> tuple[TextRate, ...]:
    """Texts of one length, so many at once: what a tower gains by company."""
    rates = []
    for batch in batches:
        texts = [_TEXT] * batch
        rates.append(TextRate(batch, batch / median_seconds(partial(engine.freshly_encoded, texts))))
    return tuple(rates)


def median_seconds(run: Callable[[], object], seconds: float = 0.5) -> float:
    """Of rounds for so long, three at least, the median; without a first one, in which runtimes plan.

    Not the fastest: it is the luckiest of however many there were, and other programs show medians.
    """
    run()
    rounds: list[float] = []
    while len(rounds) < 3 or sum(rounds) < seconds:
        rounds.append(_seconds(run))
    return float(np.median(rounds))


def text_ms(encode: Callable[[list[str]], object], texts: Sequence[str]) -> float:
    """Milliseconds of one of `texts`, by an `encode` that has no cache: the median, each asked alone and twice.

    The first time does not count: runtimes plan for every length that is new to them.
    """
    times = []
    for text in texts:
        encode([text])
        times.append(_seconds(partial(encode, [text])))
    return float(np.median(times)) * 1000


def plain_texts(names: Sequence[str], count: int) -> list[str]:
    """So many texts of as many lengths as these names have."""
    return [f"a photo of a {name}." for name in islice(cycle(names), count)]


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
