"""What averaging before turning and colours gains where a format has no scaled decoding, and how far it moves a vector.

    python benchmarks/formats.py PHOTOS [--model FOLDER] [--runs N]

Time: one photo of 12 megapixels, made of the largest in PHOTOS, as WebP, AVIF and PNG, decoded for a model of 224 px
with and without it, alternating; CPU seconds of this process. Vectors: every photo in PHOTOS whose shorter side is at
least four times the model's, its pixels averaged against its pixels whole, with the model in FOLDER (default: the
starter); and as the preview of a RAW that is just large enough, compressed once more at quality 90, against the
pixels whole. One JSON line a format, and one for the vectors.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image, ImageOps

from clipsearch.decoding.raw import PREVIEW_FACTOR
from clipsearch.engine.cards import ImageInput, read_card
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower
from clipsearch.index import decode as decoding
from clipsearch.types import Decoded

PREPARE = Preprocess(ImageInput(224, "shortest", "bicubic", (0, 0, 0), (1, 1, 1)))
FORMATS = {"webp": {"quality": 80}, "avif": {"quality": 60, "speed": 9}, "png": {"compress_level": 1}}
TARGET = 1.3
COSINE_MIN, COSINE_MEAN = 0.995, 0.998


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", type=Path, default=STARTER_FOLDER)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        largest = max(pictures(arguments.photos), key=lambda one: one.width * one.height).resize((4032, 3024))
        for suffix, options in FORMATS.items():
            path = Path(folder) / f"a.{suffix}"
            largest.save(path, **options)
            print(json.dumps({"benchmark": "formats", "format": suffix, **timed(os.fsencode(path), arguments.runs)}))
    print(json.dumps({"benchmark": "formats", "model": arguments.model.name, **moved(arguments)}))


def pictures(folder: Path) -> Iterator[Image.Image]:
    """Upright RGB."""
    for path in sorted(folder.rglob("*.jpg")):
        with Image.open(path) as image:
            yield decoding.upright_rgb(ImageOps.exif_transpose(image), image.info.get("icc_profile"))


def timed(path: bytes, runs: int) -> dict[str, object]:
    ratios, seconds = [], []
    for _ in range(runs):
        with mock.patch.object(decoding, "_reduced", lambda image, prepare: image):
            whole = cpu_s(path)
        seconds.append(cpu_s(path))
        ratios.append(whole / seconds[-1])
    return {
        "ratio": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "target": TARGET,
        "cpu_s": round(min(seconds), 3),
    }


def cpu_s(path: bytes) -> float:
    started = time.process_time()
    assert isinstance(decoding.decode(path, PREPARE), Decoded)
    return time.process_time() - started


def moved(arguments: argparse.Namespace) -> dict[str, object]:
    """Cosines between the vectors of whole photos, and of averaged ones and previews of them."""
    card = read_card(arguments.model)
    tower = ImageTower(card, default_candidate(card, "onnxruntime"))
    averaged, previewed = [], []
    least = decoding.DRAFT_FACTOR * tower.prepare.size * PREVIEW_FACTOR
    for picture in pictures(arguments.photos):
        small = decoding._reduced(picture, tower.prepare)
        if small is not picture:
            pixels = np.frombuffer(b"".join(map(tower.prepare, (picture, small, preview(picture, least)))), np.uint8)
            side = tower.prepare.size
            whole, *others = tower.encode_pixels(pixels.reshape(3, side, side, 3))
            for cosines, other in zip((averaged, previewed), others, strict=True):
                cosines.append(float(whole @ other))
    return {
        "photos": len(averaged),
        "cosine_min": round(min(averaged), 4),
        "cosine_mean": round(statistics.mean(averaged), 4),
        "preview_min": round(min(previewed), 4),
        "preview_mean": round(statistics.mean(previewed), 4),
        "target_min": COSINE_MIN,
        "target_mean": COSINE_MEAN,
    }


def preview(picture: Image.Image, shorter: int) -> Image.Image:
    scale = shorter / min(picture.size)
    data = io.BytesIO()
    picture.resize((round(picture.width * scale), round(picture.height * scale))).save(data, "JPEG", quality=90)
    return Image.open(data).convert("RGB")


if __name__ == "__main__":
    main()
