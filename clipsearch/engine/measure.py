"""The child that tries one candidate: opens both towers, runs them, and says what came out and how fast.

`python -m clipsearch.engine.measure` reads one job as JSON and writes one JSON object. It judges nothing: choice.py
does, which is still there when this process crashes, hangs or is killed for its memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine import backends
from clipsearch.engine.backends import Way
from clipsearch.engine.candidates import Candidate
from clipsearch.engine.cards import ModelCard, read_card

BATCHES = (1, 4, 16)
LARGE_BATCHES = (*BATCHES, 64)  # for devices with memory and cores of their own
_ROUNDS = 5  # at most; the fastest counts, for all else is somebody else's work
_SECONDS = 0.4  # for the rounds of one batch size; one round is run however long it takes
_LONGEST_RUN_S = 2.0  # a batch that would take longer than this is not tried
_TEXTS = ("a photo of a dog on a beach", "kids in yellow raincoats", "an old wooden boat on a quiet lake")


def probe(card: ModelCard) -> tuple[NDArray[np.uint8], list[str]]:
    """Pictures uint8 (n, s, s, 3) and texts that every candidate is tried with: the golden ones, if there are any."""
    if (golden := card.folder / "golden.npz").is_file():
        with np.load(golden) as archive:
            return archive["pixels"], [str(text) for text in archive["texts"]]
    side = card.image.size
    coarse = np.random.default_rng(0).integers(0, 256, (2, 7, 7, 3), np.uint8)  # patches, for noise looks like nothing
    rows = np.arange(side) * 7 // side
    return coarse[:, rows][:, :, rows], list(_TEXTS)


def measured(card: ModelCard, candidate: Candidate) -> dict[str, Any]:
    """What one candidate does: vectors, whether they move with their batch mates, images/s, ms a query, memory.

    Raises ModelError where it cannot be opened or fails.
    """
    from clipsearch.engine.towers import ImageTower, TextTower

    pixels, texts = probe(card)
    started = time.perf_counter()
    text = TextTower(card, candidate)
    text_vectors = text.encode(texts).vectors
    cold_ms = (time.perf_counter() - started) * 1000
    query_s = _fastest(lambda: text.encode(texts[:1]))
    alone = ImageTower(card, Candidate(candidate.way, candidate.variant, 1)).encode_pixels(pixels)
    rates: dict[int, float] = {}
    mates: dict[int, float] = {}
    for batch in BATCHES if candidate.way.device == "cpu" else LARGE_BATCHES:
        if rates and batch / max(rates.values()) > _LONGEST_RUN_S:
            break
        tower = ImageTower(card, Candidate(candidate.way, candidate.variant, batch))
        if tower.batch_size != batch and rates:  # the graph takes one size only
            break
        full = _filled(pixels, tower.batch_size)
        together = tower.encode_pixels(full)
        mates[tower.batch_size] = float((together[0] * alone[0]).sum())
        rates[tower.batch_size] = tower.batch_size / _fastest(partial(tower.encode_pixels, full))
    return {
        "image_vectors": alone.tolist(),
        "text_vectors": text_vectors.tolist(),
        "rates": rates,
        "mates": mates,
        "query_ms": query_s * 1000,
        "cold_ms": cold_ms,
        "peak_mb": peak_mb(),
    }


def _filled(pixels: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """The first picture among strangers: `count` pictures, the others noisy."""
    noise = np.random.default_rng(1).integers(0, 256, (count, *pixels.shape[1:]), np.uint8)
    noise[0] = pixels[0]
    return noise


def _fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of a few rounds; it ran once before."""
    best, began = float("inf"), time.perf_counter()
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        run()
        now = time.perf_counter()
        best = min(best, now - started)
        if now - began > _SECONDS:
            break
    return best


def peak_mb() -> float | None:
    """The most memory that this process has had, MB; None on Windows."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _limit_memory(limit: int) -> None:
    """Of what it allocates, not of addresses: runtimes reserve far more of those than they use."""
    with contextlib.suppress(ImportError):  # Windows; the time limit remains
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _serve() -> None:
    job = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not garble the answer
    _limit_memory(job["memory_limit"])
    name, module, package, reads = job["runtime"]
    backends.TABLE[name] = backends.Runtime(module, package, tuple(reads))
    if "variant" not in job:
        found: dict[str, Any] = {"ways": [[way.device, way.arithmetic] for way in backends.backend_of(name).ways()]}
    else:
        way = Way(name, job["device"], job["arithmetic"], job["threads"])
        found = measured(read_card(Path(job["card"])), Candidate(way, job["variant"]))
    json.dump(found, answer)
    answer.close()


if __name__ == "__main__":
    _serve()
