"""The child that tries one candidate: opens both towers, runs them, and says what came out and how fast.

`python -m clipsearch.engine.choosing.measure` reads one job as JSON and writes JSON objects, one a line. A job with
`samples` is to encode those and no more. It judges nothing: trials.py does, which is still there when this process
crashes, hangs or is killed for its memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine import backends
from clipsearch.engine.backends import Way
from clipsearch.engine.cards import ModelCard, read_card
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.compiled import KEEPING
from clipsearch.engine.golden import golden_arrays

if TYPE_CHECKING:
    from clipsearch.engine.towers import ImageTower

BATCHES = (1, 4, 16)
LARGE_BATCHES = (*BATCHES, 64)  # for devices with memory and cores of their own
_ROUNDS = 5  # at most; the fastest counts, for all else is somebody else's work
_SECONDS = 0.4  # for the rounds of one batch size; one round is run however long it takes
_LONGEST_RUN_S = 2.0  # a batch that would take longer than this is not tried
_TEXTS = ("a photo of a dog on a beach", "kids in yellow raincoats", "an old wooden boat on a quiet lake")


def probe(card: ModelCard) -> tuple[NDArray[np.uint8], list[str]]:
    """Pictures uint8 (n, s, s, 3) and texts that every candidate is tried with: the golden ones, if there are any."""
    golden = golden_arrays(card)
    texts = [str(text) for text in golden.get("texts", _TEXTS)]
    if "pixels" in golden:
        return golden["pixels"].astype(np.uint8, copy=False), texts
    side = card.image.size
    coarse = np.random.default_rng(0).integers(0, 256, (2, 7, 7, 3), np.uint8)  # patches, for noise looks like nothing
    rows = np.arange(side) * 7 // side
    return coarse[:, rows][:, :, rows], texts


def measured(card: ModelCard, candidate: Candidate, best_rate: float, cache: Path) -> Iterator[dict[str, Any]]:
    """What one candidate does: vectors, whether they move with their batch mates, images/s, ms a query, memory.

    Said once for one picture at a time, and again, with more, after each batch: where the time is over, the last word
    counts. One that is half as fast as `best_rate` on a CPU is not tried in batches: they gain less than that there.
    Raises ModelError where it cannot be opened or fails.
    """
    from clipsearch.engine.towers import ImageTower, TextTower

    pixels, texts = probe(card)
    if candidate.way.runtime in KEEPING:
        TextTower(card, candidate, cache)  # what is kept of it will be there when a query comes
    started = time.perf_counter()
    text = TextTower(card, candidate, cache)
    text_vectors = text.encode(texts).vectors
    cold_ms = (time.perf_counter() - started) * 1000
    query_s = _fastest(lambda: text.encode(texts[:1]))
    single = ImageTower(card, replace(candidate, batch=1), cache)
    alone = single.encode_pixels(pixels)
    size = single.batch_size  # 1, or the only one that the graph takes
    rates = {size: size / _fastest(partial(single.encode_pixels, _filled(pixels, size)))}
    mates = {size: _least_with_mates(single, pixels, alone, size)}
    found = {
        "image_vectors": _rounded(alone),
        "text_vectors": _rounded(text_vectors),
        "rates": rates,
        "mates": mates,
        "query_ms": query_s * 1000,
        "cold_ms": cold_ms,
    }
    yield found | {"peak_mb": peak_mb()}
    on_cpu = candidate.way.device == "cpu"
    if size != 1 or not single.takes_batches or (on_cpu and rates[1] * 2 < best_rate):
        return
    batches = BATCHES if on_cpu else LARGE_BATCHES
    tower = ImageTower(card, replace(candidate, batch=batches[-1]), cache)
    for batch in batches[1:]:
        if batch / max(rates.values()) > _LONGEST_RUN_S:
            break
        mates[batch] = _least_with_mates(tower, pixels, alone, batch)
        rates[batch] = batch / _fastest(partial(tower.encode_pixels, _filled(pixels, batch)))
        yield found | {"peak_mb": peak_mb()}


def encode_samples(card: ModelCard, candidate: Candidate, samples: Path, target: Path, cache: Path) -> None:
    """Vectors of the `pixels` and `texts` in the archive `samples`, as `images` and `texts` in the archive `target`.

    One tower at a time is in memory. Raises ModelError where one cannot be opened or fails.
    """
    from clipsearch.engine.towers import ImageTower, TextTower

    with np.load(samples, allow_pickle=False) as given:
        pixels, texts = given["pixels"], given["texts"].tolist()
    images = ImageTower(card, candidate, cache).encode_pixels(pixels)
    np.savez(target, images=images, texts=TextTower(card, candidate, cache).encode(texts).vectors)


def _rounded(vectors: NDArray[np.float32]) -> list[list[float]]:
    rows: list[list[float]] = vectors.astype(np.float64).round(6).tolist()
    return rows


def _least_with_mates(tower: ImageTower, pixels: NDArray[np.uint8], alone: NDArray[np.float32], batch: int) -> float:
    """The lowest cosine of a picture in a batch with itself alone. Those are at its start and, where a runtime shares
    a batch out, in its last part."""
    together = tower.encode_pixels(_filled(pixels, batch))
    places = {0: 0, batch - 1: min(len(pixels), batch) - 1}
    return min(float((together[place] * alone[picture]).sum()) for place, picture in places.items())


def _filled(pixels: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """`count` pictures: the first one and the last one are probes, those between them noise."""
    noise = np.random.default_rng(1).integers(0, 256, (count, *pixels.shape[1:]), np.uint8)
    noise[-1] = pixels[min(len(pixels), count) - 1]
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


def _limit_time(seconds: float) -> None:
    """The parent ends this process sooner; where the parent was killed, a driver that hangs would stay for ever.

    The signal's own action, for a driver that hangs lets no handler of Python's run.
    """
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def taken_job() -> tuple[dict[str, Any], TextIO]:
    """The job of a child of child.py, under its limits, and where it answers."""
    job = json.load(sys.stdin)
    _limit_time(job["time_limit"])
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not garble the answer
    _limit_memory(job["memory_limit"])
    name, module, package, reads = job["runtime"]
    backends.TABLE[name] = backends.Runtime(module, package, tuple(reads))
    return job, answer


def _serve() -> None:
    job, answer = taken_job()
    name = job["runtime"][0]
    if "variant" not in job:
        found = [{"ways": [[way.device, way.arithmetic] for way in backends.backend_of(name).ways()]}]
        say(found, answer)
    else:
        way = Way(name, job["device"], job["arithmetic"], job["threads"])
        card, cache = read_card(Path(job["card"])), Path(job["cache"])
        if "samples" in job:
            candidate = Candidate(way, job["variant"], job["batch"])
            encode_samples(card, candidate, Path(job["samples"]), Path(job["vectors"]), cache)
            say([{}], answer)
        else:
            say(measured(card, Candidate(way, job["variant"]), job["best_rate"], cache), answer)


def say(words: Iterable[dict[str, Any]], answer: TextIO) -> None:
    """One line each."""
    for word in words:
        print(json.dumps(word), file=answer, flush=True)


if __name__ == "__main__":
    _serve()
