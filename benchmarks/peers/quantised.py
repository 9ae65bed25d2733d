"""The image tower of random_vit.py in int8, calibrated on photos, as OpenVINO's intermediate representation.

    PYTHONPATH=. python benchmarks/peers/quantised.py VISUAL_ONNX PHOTOS OUT_XML [--photos N]

NNCF's post-training quantisation for transformers: activations with fixed scales taken from the photos, so that a
photo's vector does not depend on its batch. Prints one JSON line: the cosine with the fp32 tower on other photos.
Needs nncf, openvino, numpy and Pillow, and clipsearch on the path for the decoding.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from clipsearch.decoding.decode import decode
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.types import Decoded

MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's
STD = (0.26862954, 0.26130258, 0.27577711)


def tensors(photos: list[Path], size: int) -> Iterator[NDArray[np.float32]]:
    """One (1, 3, size, size) for each photo that can be read."""
    preprocess = Preprocess(ImageInput(size, "shortest", "bicubic", MEAN, STD))
    for photo in photos:
        decoded = decode(os.fsencode(photo), preprocess)
        if isinstance(decoded, Decoded):
            yield preprocess.tensor(np.frombuffer(decoded.pixels, np.uint8).reshape(1, size, size, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("visual", type=Path, metavar="VISUAL_ONNX")
    parser.add_argument("folder", type=Path, metavar="PHOTOS")
    parser.add_argument("out", type=Path, metavar="OUT_XML")
    parser.add_argument("--photos", type=int, default=48, metavar="N", help="to calibrate with (default 48)")
    arguments = parser.parse_args()
    model = openvino.Core().read_model(arguments.visual)
    size = model.inputs[0].get_partial_shape()[2].get_length()
    photos = [path for path in sorted(arguments.folder.rglob("*")) if path.suffix in (".jpg", ".png", ".webp")]
    seen, unseen = photos[: arguments.photos], photos[arguments.photos :] or photos[-8:]
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(tensors(seen, size))),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(seen),
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(quantised, arguments.out, compress_to_fp16=False)
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    exact, coarse = (openvino.compile_model(one, "CPU", precision) for one in (model, quantised))
    cosines = [cosine(exact(tensor)[0], coarse(tensor)[0]) for tensor in tensors(unseen, size)]
    row = {"mean_cosine": float(np.mean(cosines)), "least_cosine": min(cosines), "photos": len(cosines)}
    print(json.dumps(row), flush=True)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))


if __name__ == "__main__":
    main()
