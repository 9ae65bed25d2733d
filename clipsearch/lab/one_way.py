"""The child that encodes prepared photos and texts one way, and says how fast it was.

`python -m clipsearch.lab.one_way` is asked by precision.py, which is still there when this process crashes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from clipsearch.engine.backends import Way
from clipsearch.engine.cards import read_card
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.choosing.measure import peak_mb, say, taken_job
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.evaluation.speed import median_seconds, text_ms

SECONDS = 1.0  # of batches, of a round
_TEXTS = 10  # that are timed, each alone


def way_taken(job: dict[str, Any]) -> dict[str, Any]:
    """Images a second and ms a text, medians of this round; and vectors in the file that the job names, if it does.

    Raises ModelError where the way cannot be opened or fails.
    """
    card = read_card(Path(job["card"]))
    way = Way(job["runtime"][0], job["device"], job["arithmetic"], job["threads"])
    candidate, cache = Candidate(way, job["variant"], job["batch"]), Path(job["cache"])
    tower, text = ImageTower(card, candidate, cache), TextTower(card, candidate, cache)
    pixels = np.load(job["pixels"], mmap_mode="r")[: job["photos"]]
    found = {
        "batch": tower.batch_size,
        "images_per_s": _images_per_s(tower, pixels),
        "text_ms": text_ms(text.encode, (job["texts"] * _TEXTS)[:_TEXTS]),
    }
    if job["vectors"] is not None:
        size = tower.batch_size
        images = [tower.encode_pixels(np.asarray(pixels[at : at + size])) for at in range(0, len(pixels), size)]
        np.savez(job["vectors"], images=np.concatenate(images), texts=text.encode(job["texts"]).vectors)
    return found | {"peak_mb": peak_mb()}


def _images_per_s(tower: ImageTower, pixels: np.ndarray) -> float:
    batch = np.resize(pixels[: tower.batch_size], (tower.batch_size, *pixels.shape[1:]))  # repeats where there are few
    return len(batch) / median_seconds(partial(tower.encode_pixels, batch), SECONDS)


if __name__ == "__main__":
    job, answer = taken_job()
    say([way_taken(job)], answer)
