"""Puts a trained pair of towers into clipsearch's layout: card, tokenizer, weights, licence, golden vectors.

    python experiments/starter/build.py PAIR [OUT]

PAIR is a folder with image.onnx, text.onnx, tokenizer.json, card.toml and LICENSE.md as its training wrote
them. OUT is `clipsearch/starter` by default. The figures in [measured] are filled in by measure.py.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tomllib
from pathlib import Path

import numpy as np

from clipsearch.engine.cards import CARD, read_card
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.towers import ImageTower, TextTower

STARTER = Path(__file__).parents[2] / "clipsearch" / "starter"

CARD_TEMPLATE = '''\
# The starter: a small pair of towers, so that a fresh install answers at once. Written by experiments/starter/build.py.
name = "starter"
version = "{version}"
summary = "A small starter: English, everyday things and scenes. Weak on rare things, counts, names, text in pictures."
licence = "parts Apache-2.0, MIT and CC0; trained partly on research-only photos"
caution = """\\
part of its training photos are for research or non-commercial use only (LICENSE-MODEL.md); \\
it will be replaced before any release"""
dim = {dim}

[image]
size = {size}
resize = "shortest"            # then a centre crop
interpolation = "{interpolation}"
mean = {mean}
std = {std}
# One picture saved eight times as JPEG, turned eight ways: lowest cosine 0.984 without, 0.990 with it; recall
# moves within its noise (R@1 0.337 : 0.330, R@5 0.726 : 0.731).
soften = 0.55

[text]
tokenizer = "tokenizer.json"   # WordPiece of all-MiniLM-L6-v2, lower-casing itself
cleaning = "none"
context = {context}
padding = "longest"            # masked, so it changes nothing (1e-7)
pad_id = {pad_id}

[scoring]
kind = "softmax"
scale = {scale}

# fp32 arithmetic; to save space the image tower's weights are stored as float16, the text tower's as int8 per channel.
[variants.fp32]
image = "image.onnx"
image_sha256 = "{image_sha256}"
text = "text.onnx"
text_sha256 = "{text_sha256}"

[measured]
'''

GOLDEN_TEXTS = ("a dog on a beach", "kids in yellow raincoats", "city skyline at night")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=STARTER)
    arguments = parser.parse_args()
    build(arguments.pair, arguments.out)


def build(pair: Path, out: Path) -> None:
    source = tomllib.loads((pair / "card.toml").read_text("utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    for name in ("image.onnx", "text.onnx", "tokenizer.json"):
        shutil.copyfile(pair / name, out / name)
    write_licence(pair / "LICENSE.md", out / "LICENSE-MODEL.md")
    (out / CARD).write_text(
        CARD_TEMPLATE.format(
            version=source["version"],
            dim=source["dim"],
            size=source["image"]["size"],
            interpolation=source["image"]["interpolation"],
            mean=source["image"]["mean"],
            std=source["image"]["std"],
            context=source["text"]["max_tokens"],
            pad_id=source["text"]["pad_id"],
            scale=source["logit_scale"],
            image_sha256=sha256(out / "image.onnx"),
            text_sha256=sha256(out / "text.onnx"),
        ),
        "utf-8",
    )
    write_golden(out)


def write_licence(source: Path, target: Path) -> None:
    """The parts and terms as the training states them, without the folders of where it ran."""
    text = source.read_text("utf-8")
    body = text[text.index("The parts are openly licensed") :]
    body = body.replace("A text tower without such data: `../clip-vit-b16-clean/`.\n", "").replace(
        "`../anchors/`", "class-name vectors of public zero-shot code"
    )
    head = (
        "# The starter model: parts and terms\n\n"
        "**Part of its training photos are for research or non-commercial use only.** The weights are here so that\n"
        "the program can be tried; the model is to be replaced by one from open data before any release.\n\n"
    )
    target.write_text(head + body, "utf-8")


def write_golden(folder: Path) -> None:
    """What every backend must reproduce (cosine 0.999): one smooth and one busy picture, three texts."""
    card = read_card(folder)
    side = card.image.size
    down, across = np.mgrid[0:side, 0:side]
    smooth = np.stack([down, across, 255 - down], axis=-1) % 256
    busy = np.stack([(down // 16 % 2) * 255, (across // 16 % 2) * 255, ((down + across) // 32 % 2) * 255], axis=-1)
    pixels = np.stack([smooth, busy]).astype(np.uint8)
    np.savez_compressed(
        folder / "golden.npz",
        pixels=pixels,
        image_vectors=ImageTower(card, default_candidate(card, "onnxruntime")).encode_pixels(pixels),
        texts=np.array(GOLDEN_TEXTS),
        text_vectors=TextTower(card, default_candidate(card, "onnxruntime")).encode(list(GOLDEN_TEXTS)).vectors,
    )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
