"""Makes what benchmarks/encode.py runs: CLIP models of full size with random weights, as folders of clipsearch.

    python benchmarks/peers/full_size.py FOLDER --photos PHOTOS [--only NAME ...]

FOLDER/models/NAME         rn50, vit-b-32, vit-b-16, vit-l-14 in fp32, by `clipsearch model export`
FOLDER/quantised/vit-b-32  the same with its int8 variants, by `clipsearch model quantize` on PHOTOS
FOLDER/clip.cpp, FOLDER/vit-b-32-f16.gguf  clip.cpp in an environment of its own, and the same weights for it
FOLDER/facts.json          parameters, and GFLOP (two a multiply-add) of a picture and of a text of 77 tokens

A model's speed does not depend on what its weights say; how far int8 drifts does, so nothing here tells about that.
What exists is kept. Takes 10 minutes and 5 GB, 4 GB of memory for ViT-L/14, and the registry for clip.cpp. Needs the
extras export, openclip (for RN50) and quantize.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from prepare import environment, linked
from random_clip import CONTEXT, NAMES, SIZE, Image, Text, random_clip, save
from torch.utils.flop_counter import FlopCounterMode

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
QUANTISED = "vit-b-32"
CLIP_CPP = "clip_cpp==0.5.0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos to calibrate int8 with")
    parser.add_argument("--only", nargs="+", default=list(NAMES), choices=NAMES, metavar="NAME")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        if not (folder / "models" / name).exists():
            export(name, folder)
    if QUANTISED in arguments.only:
        quantise(folder, arguments.photos)
        environment(folder / "clip.cpp", CLIP_CPP)
        if not (gguf := folder / f"{QUANTISED}-f16.gguf").exists():
            subprocess.run([sys.executable, HERE / "gguf_model.py", gguf], check=True)


def export(name: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix="checkpoint-") as checkpoint:
        model = random_clip(name)
        source = save(model, Path(checkpoint))
        write_facts(name, model, folder / "facts.json")
        del model
        options = ["--name", name, "--out", str(folder / "models" / name)]
        # What tensors alone do not tell.
        options += ["--activation", "quickgelu"] if source.is_file() else []
        clipsearch(folder, "model", "export", str(source), *options)


def write_facts(name: str, model: torch.nn.Module, path: Path) -> None:
    facts = json.loads(path.read_text()) if path.exists() else {}
    facts[name] = {
        "million_parameters": round(sum(one.numel() for one in model.parameters()) / 1e6, 1),
        "gflop_image": flop(Image(model), torch.zeros(1, 3, SIZE, SIZE)),
        "gflop_text": flop(Text(model), torch.full((1, CONTEXT), 5)),
    }
    path.write_text(json.dumps(facts, indent=1))


def flop(module: torch.nn.Module, row: torch.Tensor) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(row)
    return round(counter.get_total_flops() / 1e9, 2)


def quantise(folder: Path, photos: Path) -> None:
    """On links to the exported model: only its card is written anew."""
    exact, target = folder / "models" / QUANTISED, folder / "quantised" / QUANTISED
    if not target.exists():
        for file in exact.iterdir():
            if file.name != "card.toml":
                linked(file, target / file.name)
        (target / "card.toml").write_bytes((exact / "card.toml").read_bytes())
    if "int8" not in (target / "card.toml").read_text("utf-8"):
        # Random weights lay all photos close together, so which of them are nearest tells nothing.
        gate = ["--least-overlap", "0.5"]
        clipsearch(folder, "model", "quantize", QUANTISED, "--to", "int8", "--calibrate", str(photos.absolute()), *gate)


def clipsearch(folder: Path, *arguments: str) -> None:
    own = {"CLIPSEARCH_MODELS": "quantised", "CLIPSEARCH_CACHE": "cache", "CLIPSEARCH_LIBRARY": "library"}
    places = {name: str(folder / place) for name, place in own.items()}
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, str(HERE / "without_torchvision.py"), *arguments]
    subprocess.run(command, check=True, env=os.environ | places | {"PYTHONPATH": paths}, stdout=sys.stderr)


if __name__ == "__main__":
    main()
