"""Makes what benchmarks/encode.py runs: CLIP models of full size with random weights, as folders of clipsearch.

    python benchmarks/peers/full_size.py FOLDER --photos PHOTOS [--only NAME ...]

FOLDER/models/NAME      rn50, vit-b-32, vit-b-16, vit-l-14: two ONNX towers in fp32; the text tower of the ViTs takes
                        texts at their own length
FOLDER/quantised/vit-b-32  the same in fp32 and in int8: NNCF's for OpenVINO, calibrated on PHOTOS and on captions,
                        and ONNX Runtime's dynamic one
FOLDER/clip.cpp, FOLDER/vit-b-32-f16.gguf  clip.cpp in an environment of its own, and the same weights for it
FOLDER/facts.json       parameters and GFLOP (two a multiply-add) of a picture and of a text of 77 tokens

A model's speed does not depend on what its weights say; how far int8 drifts does, so these figures say nothing about
that. What exists is kept. Takes about 6 minutes and 5 GB. Needs the registry for clip.cpp, and the extras export,
openclip (for RN50) and quantize.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prepare import environment, linked, sha256
from random_clip import CONTEXT, DIMS, SIZE, Image, Text, random_clip
from torch.utils.flop_counter import FlopCounterMode

from clipsearch.engine.cards import TextInput
from clipsearch.engine.tokenize import CLIP_BPE, TextTokenizer

HERE = Path(__file__).parent
OPSET = 18
QUANTISED = "vit-b-32"
CLIP_CPP = "clip_cpp==0.5.0"
CAPTIONS = ("a photo of a {}", "two {}s on a beach at sunset", "an old {} in the rain, black and white", "{}")
THINGS = ("dog", "cat", "boat", "church", "mountain", "child", "red car", "wooden bridge", "yellow raincoat", "bird")

CARD = """\
# Random weights, for benchmarks: it finds nothing. Written by benchmarks/peers/full_size.py.
name = "{name}"
version = "1"
summary = "Random weights, for benchmarks only."
licence = "CC0-1.0"
dim = {dim}

[image]
size = {size}
resize = "shortest"
interpolation = "bicubic"
mean = [0.48145466, 0.4578275, 0.40821073]
std = [0.26862954, 0.26130258, 0.27577711]

[text]
tokenizer = "clip-bpe"
cleaning = "clip"
context = {context}
padding = "longest"
pad_id = 0

[scoring]
kind = "softmax"
scale = 100.0
"""
VARIANT = """
[variants.{variant}]
image = "{image}"
image_sha256 = "{image_sha256}"
text = "{text}"
text_sha256 = "{text_sha256}"
runtimes = {runtimes}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos to calibrate int8 with")
    parser.add_argument("--only", nargs="+", default=list(DIMS), choices=DIMS, metavar="NAME")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    for name in arguments.only:
        if not (folder / "models" / name / "card.toml").exists():
            export(name, folder)
            print(f"{name}: exported", file=sys.stderr, flush=True)
    if QUANTISED in arguments.only and not (folder / "quantised" / QUANTISED / "card.toml").exists():
        quantise(folder / "models" / QUANTISED, folder / "quantised" / QUANTISED, arguments.photos)
    environment(folder / "clip.cpp", CLIP_CPP)
    if not (gguf := folder / f"{QUANTISED}-f16.gguf").exists():
        subprocess.run([sys.executable, HERE / "gguf_model.py", gguf], check=True)


def export(name: str, folder: Path) -> None:
    """Both towers and a card; the card comes last, so that an interrupted run begins anew."""
    target = folder / "models" / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    model = random_clip(name)
    pixels, ids = torch.zeros(2, 3, SIZE, SIZE), torch.full((2, CONTEXT), 5)
    facts_file = folder / "facts.json"
    facts = json.loads(facts_file.read_text()) if facts_file.exists() else {}
    facts[name] = {
        "million_parameters": round(sum(one.numel() for one in model.parameters()) / 1e6, 1),
        "gflop_image": flop(Image(model), pixels),
        "gflop_text": flop(Text(model), ids),
    }
    facts_file.write_text(json.dumps(facts, indent=1))
    batch = torch.export.Dim("batch")
    length: dict[int, Any] = {1: torch.export.Dim("tokens", min=2, max=CONTEXT)} if name != "rn50" else {}
    write(Image(model), pixels, {0: batch}, "pixel_values", target / "image.onnx")
    write(Text(model), ids[:, :7] if length else ids, {0: batch, **length}, "input_ids", target / "text.onnx")
    card(target, name, {"fp32": ("image.onnx", "text.onnx", ["onnxruntime", "openvino"])})


def flop(module: torch.nn.Module, rows: torch.Tensor) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(rows)
    return round(counter.get_total_flops() / len(rows) / 1e9, 2)


def write(module: torch.nn.Module, rows: torch.Tensor, shape: dict[int, Any], name: str, path: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(
            module.eval(), (rows,), dynamo=True, opset_version=OPSET, dynamic_shapes={name: shape}, input_names=[name],
            output_names=["embeds"], verbose=False,
        )  # fmt: skip
    assert exported is not None
    exported.save(path, external_data=False)


def card(target: Path, name: str, variants: dict[str, tuple[str, str, list[str]]]) -> None:
    text = CARD.format(name=name, dim=DIMS[name], size=SIZE, context=CONTEXT)
    for variant, (image, words, runtimes) in variants.items():
        sums = {"image_sha256": sha256(target / image), "text_sha256": sha256(target / words)}
        text += VARIANT.format(variant=variant, image=image, text=words, runtimes=json.dumps(runtimes), **sums)
    (target / "card.toml").write_text(text, "utf-8")


def quantise(exact: Path, target: Path, photos: Path) -> None:
    import nncf
    import onnx
    import openvino
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for name in ("image.onnx", "text.onnx"):
        linked(exact / name, target / name)
    command = [sys.executable, HERE / "quantised.py", exact / "image.onnx", photos, target / "image.xml"]
    subprocess.run(command, check=True)
    tokenizer = TextTokenizer(exact, TextInput(CLIP_BPE, "clip", CONTEXT, "longest", 0))
    texts = [caption.format(thing) for caption in CAPTIONS for thing in THINGS]
    ids: list[np.ndarray[Any, Any]] = [tokenizer.encode([text]).ids for text in texts]
    quantised = nncf.quantize(
        openvino.Core().read_model(exact / "text.onnx"),
        nncf.Dataset(ids),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(ids),
    )
    openvino.save_model(quantised, target / "text.xml", compress_to_fp16=False)
    for role in ("image", "text"):
        model = onnx.load(target / f"{role}.onnx")
        del model.graph.value_info[:]  # sizes that it would find at odds with its own
        # Matrix products only: int8 convolutions are many times slower here.
        quantize_dynamic(
            model, target / f"{role}-int8.onnx", op_types_to_quantize=["MatMul"], per_channel=True,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
    card(
        target,
        QUANTISED,
        {
            "fp32": ("image.onnx", "text.onnx", ["onnxruntime", "openvino"]),
            "int8": ("image.xml", "text.xml", ["openvino"]),
            "int8-onnx": ("image-int8.onnx", "text-int8.onnx", ["onnxruntime"]),
        },
    )


if __name__ == "__main__":
    main()
