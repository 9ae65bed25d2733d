"""The child of encode.py: one tower of one model, run one way, as often as it is asked.

    python benchmarks/encoder_process.py SPEC       JSON; then a request a line on stdin, an answer a line on stdout

SPEC: {"role": "image" | "text", "model": FOLDER, "variant", "runtime", "device", "arithmetic", "threads"}, where the
runtime "pytorch" is the module of peers/random_clip.py itself, called without gradients.
Request: {"seconds", "batch"} or {"seconds", "texts", "padded"}: run again and again for so long; what counts is the
fastest call, for all else is somebody else's work. Each tower lives in a process of its own, so that runtimes share
no threads and the peak of memory is its own; the one that is not asked sleeps.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.backends import Way
from clipsearch.engine.cards import ModelCard, read_card
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.tokenize import TextTokenizer
from clipsearch.engine.towers import ImageTower, TextTower

LARGEST = 64  # batch
Vectors = NDArray[np.float32]


def main() -> None:
    spec = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    card = read_card(Path(spec["model"]))
    encode = pytorch(card, spec) if spec["runtime"] == "pytorch" else tower(card, spec)
    for line in sys.stdin:
        request = json.loads(line)
        forget_peak()
        times: list[float] = []
        began = time.perf_counter()
        while not times or time.perf_counter() - began < request["seconds"]:
            started = time.perf_counter()
            vectors = encode(request)
            times.append(time.perf_counter() - started)
        answer = {"fastest_s": min(times), "calls": len(times), "peak_mb": peak_mb()}
        print(json.dumps(answer | ({"vectors": vectors.tolist()} if request.get("vectors") else {})), file=answers)
        answers.flush()


def picture(side: int) -> NDArray[np.uint8]:
    """Patches of colours; noise looks like nothing to a model."""
    coarse = np.random.default_rng(0).integers(0, 256, (7, 7, 3), np.uint8)
    rows = np.arange(side) * 7 // side
    return coarse[rows][:, rows]


@cache
def pixels(side: int, count: int) -> NDArray[np.uint8]:
    """The picture, and noise beside it."""
    batch = np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)
    batch[0] = picture(side)
    return batch


def tower(card: ModelCard, spec: dict[str, Any]) -> Callable[[dict[str, Any]], Vectors]:
    way = Way(spec["runtime"], spec["device"], spec["arithmetic"], spec["threads"])
    if spec["role"] == "image":

        @lru_cache(maxsize=1)
        def image(largest: int) -> ImageTower:
            """For one picture at a time, or for batches, which some runtimes share out; one of them is in memory."""
            return ImageTower(card, Candidate(way, spec["variant"], largest))

        def encode(request: dict[str, Any]) -> Vectors:
            batch = request["batch"]
            return image(1 if batch == 1 else LARGEST).encode_pixels(pixels(card.image.size, batch))

        return encode

    @cache
    def text(padded: bool) -> TextTower:
        """Padded to the context, as a model is whose padding is read."""
        shape = replace(card.text, padding="context" if padded else card.text.padding)
        return TextTower(replace(card, text=shape), Candidate(way, spec["variant"]))

    return lambda request: text(request.get("padded", False)).encode(request["texts"]).vectors


def pytorch(card: ModelCard, spec: dict[str, Any]) -> Callable[[dict[str, Any]], Vectors]:
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    import torch
    from random_clip import Image, Text, random_clip

    torch.set_num_threads(spec["threads"])
    model = random_clip(card.name)
    if spec["role"] == "image":
        image, preprocess = Image(model).eval(), Preprocess(card.image)

        def encode(request: dict[str, Any]) -> Vectors:
            with torch.inference_mode():
                tensor = preprocess.tensor(pixels(card.image.size, request["batch"]))
                return np.asarray(image(torch.from_numpy(tensor)))

        return encode
    text, tokenizer = Text(model).eval(), TextTokenizer(card.folder, card.text)

    def encode_texts(request: dict[str, Any]) -> Vectors:
        length = card.text.context if request.get("padded") else None
        with torch.inference_mode():
            return np.asarray(text(torch.from_numpy(tokenizer.encode(request["texts"], length=length).ids)))

    return encode_texts


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> int:
    """Since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) >> 10


if __name__ == "__main__":
    main()
