"""Photos that are named, as pixels at a model's size: what ways to run one model are compared on."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.engine.backends import usable_cores
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.errors import SystemFault
from clipsearch.photos import existing, listed
from clipsearch.types import AnyPath, Decoded, FailedFile

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPixels:
    pixels: NDArray[np.uint8]  # (read, s, s, 3), as the model's preprocessing makes them
    read: tuple[bytes, ...]  # the photo of each
    failures: tuple[FailedFile, ...]


def named_photos(targets: Sequence[AnyPath], most: int | None = None) -> list[bytes]:
    """Of photos and folders with photos, at most `most`, drawn by chance, the same ones each time.

    Raises SystemFault where there is none.
    """
    paths: list[bytes] = []
    for target in targets:
        path = existing(target)
        paths += listed(path) if os.path.isdir(path) else [path]
    if not paths:
        raise SystemFault(
            f"There are no photos in {os.fsdecode(targets[0])}.", "Name a folder with photos, or a photo."
        )
    paths = list(dict.fromkeys(paths))
    return paths if most is None or len(paths) <= most else sorted(random.Random(0).sample(paths, most))


def decoded_pixels(
    definition: ImageInput, photos: Sequence[bytes], progress: Progress = lambda done, total: None
) -> DecodedPixels:
    """Each photo is read or named among the failures."""
    side = definition.size
    parts, read, failures = [], [], []
    with DecodeWorkers(Preprocess(definition), max(1, min(len(photos), usable_cores()))) as workers:
        for done, (path, outcome) in enumerate(zip(photos, workers.decode_all(photos), strict=True), 1):
            if isinstance(outcome, Decoded):
                parts.append(np.frombuffer(outcome.pixels, np.uint8).reshape(side, side, 3))
                read.append(path)
            else:
                failures.append(FailedFile(path, outcome.reason, 1))
            progress(done, len(photos))
    return DecodedPixels(np.array(parts, np.uint8).reshape(-1, side, side, 3), tuple(read), tuple(failures))
