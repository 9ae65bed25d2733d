"""The teacher's vectors: of every crop, and of the textbook photos that have an alt text.

    python experiments/starter/teach.py WORK

Reads WORK/teacher.onnx (CLIP ViT-B/16's image tower, float32), WORK/crops, WORK/photos and WORK/texts.json; writes
WORK/vectors.npz: `round0` and `round1` as the crops lie, `pairs` as the texts do; float16, length 1.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import openvino
from crops import SIDE, middle
from numpy.typing import NDArray
from photos import read_list
from PIL import Image
from tower import normalised

BATCH = 16


@dataclass(frozen=True)
class Crops:
    pictures: NDArray[np.uint8]  # (n, size, size, 3)
    vectors: NDArray[np.float16]  # (n, 512), the teacher's of the same crops at 224 px
    middles: int  # the first so many are whole photos, the rest random parts


def main() -> None:
    work = Path(sys.argv[1])
    tower = openvino.Core().compile_model(work / "teacher.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    vectors = {f"round{number}": encoded(tower, decoded(work, number)) for number in (0, 1)}
    vectors["pairs"] = pair_vectors(tower, work)
    np.savez(work / "vectors.npz", **vectors)


def read_crops(work: Path, size: int) -> Crops:
    """All crops at the student's size, with the teacher's vectors."""
    vectors = np.load(work / "vectors.npz")
    pictures = [
        np.asarray(crop.resize((size, size), Image.Resampling.BICUBIC))
        for number in (0, 1)
        for crop in decoded(work, number)
    ]
    both = np.concatenate([vectors["round0"], vectors["round1"]])
    return Crops(np.stack(pictures), both, len(vectors["round0"]))


def decoded(work: Path, number: int) -> Iterator[Image.Image]:
    stored = np.load(work / "crops" / f"round{number}.npz")
    begin, data = 0, stored["bytes"].tobytes()
    for end in stored["ends"].tolist():
        yield Image.open(io.BytesIO(data[begin:end])).convert("RGB")
        begin = end


def pair_vectors(tower: openvino.CompiledModel, work: Path) -> NDArray[np.float16]:
    """A photo's middle and all of it squeezed, together: an alt text tells of the edges too."""
    numbers = {f"{photo.repository}/{photo.path}": photo.name for photo in read_list()}
    pairs = json.loads((work / "texts.json").read_text("utf-8"))["pairs"]
    photos = [work / "photos" / numbers[pair["photo"]] for pair in pairs]
    middles = encoded(tower, (middle(Image.open(path).convert("RGB")) for path in photos))
    squeezed = encoded(tower, (Image.open(path).convert("RGB").resize((SIDE, SIDE)) for path in photos))
    both = middles.astype(np.float32) + squeezed
    return (both / np.linalg.norm(both, axis=1, keepdims=True)).astype(np.float16)


def encoded(tower: openvino.CompiledModel, pictures: Iterable[Image.Image]) -> NDArray[np.float16]:
    parts = []
    waiting = iter(pictures)
    while some := list(islice(waiting, BATCH)):
        vectors = tower(normalised(np.stack([np.asarray(one) for one in some])).numpy())[0]
        parts.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return np.concatenate(parts).astype(np.float16)


if __name__ == "__main__":
    main()
