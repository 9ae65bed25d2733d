"""Puts the trained towers into the package: graphs, card, tokenizer, licence, golden vectors.

    python experiments/starter/build.py WORK [OUT]

WORK holds tower.pt and text.pt (adapt.py, text_tower.py), minilm/tokenizer.json and the crops, of which some calibrate
the int8 graph and others compare it with the float one. OUT is `clipsearch/starter` by default. The figures in
[measured] are filled in by measure.py.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import nncf
import numpy as np
import onnx
import torch
from adapt import SIZE
from graphs import ImageGraph, TextGraph, beside, exported, outlying, readers, with_codes
from numpy.typing import NDArray
from teach import Crops, read_crops
from tower import MEAN, STD, normalised

from clipsearch.background import background_texts
from clipsearch.engine.cards import CARD, ImageInput, ModelCard, Scoring, TextInput, TowerFile, Variant
from clipsearch.engine.cardtext import card_text
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.quantize.making import beside as beside_reference
from clipsearch.engine.quantize.making import views
from clipsearch.engine.quantize.material import Material
from clipsearch.engine.towers import ImageTower, TextTower

HERE = Path(__file__).parent
STARTER = HERE.parents[1] / "clipsearch" / "starter"
CALIBRATION, HELD = 300, 300  # crops
SCALE = 85.0  # the validation captions are likeliest among their photos from 80 to 100
GOLDEN_TEXTS = ("a dog on a beach", "kids in yellow raincoats", "city skyline at night")
SUMMARY = "Small, from open data: English, everyday things and scenes. Weak on counts, names, text in pictures."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=STARTER)
    arguments = parser.parse_args()
    crops = read_crops(arguments.work, SIZE)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_graphs(arguments.work, arguments.out, crops)
    shutil.copyfile(arguments.work / "minilm" / "tokenizer.json", arguments.out / "tokenizer.json")
    write_licence(arguments.out / "LICENSE-MODEL.md")
    card = write_card(arguments.out, crops)
    write_golden(card)


def write_graphs(work: Path, out: Path, crops: Crops) -> None:
    torch.set_grad_enabled(False)
    tower = torch.load(work / "tower.pt", weights_only=False)
    chosen = crops.pictures[some_middles(crops)[:CALIBRATION]]
    image = ImageGraph(tower, outlying(tower, normalised(chosen[:64])))
    with tempfile.TemporaryDirectory() as folder:
        pixels = torch.zeros(2, 3, SIZE, SIZE)
        plain = exported(image, (pixels,), ["pixel_values"], "image_embeds", Path(folder, "image.onnx"))
        integer = quantised(plain, chosen, list(readers(plain, image.stored).values()))
        words = text_graph(torch.load(work / "text.pt", weights_only=False), Path(folder))
    places = readers(plain, image.stored)
    with_codes(integer, image.stored, places, integer=True)
    with_codes(plain, image.stored, places, integer=False)
    beside({out / "image.onnx": plain, out / "image-int8.onnx": integer}, out / "image.data")
    onnx.save(words, out / "text.onnx")


def text_graph(towers: dict, folder: Path) -> onnx.ModelProto:
    """Of what text_tower.py has learnt; `folder` takes the graph in between."""
    text = TextGraph(towers["model"], towers["head"], towers["coded"])
    tokens = torch.ones(2, 9, dtype=torch.long)
    names = ["input_ids", "attention_mask"]
    graph = exported(text, (tokens, tokens), names, "text_embeds", folder / "text.onnx")
    with_codes(graph, text.stored, readers(graph, text.stored), integer=False)
    return graph


def some_middles(crops: Crops) -> NDArray[np.intp]:
    """CALIBRATION and HELD whole photos, drawn from all sources."""
    return np.random.default_rng(0).permutation(crops.middles)[: CALIBRATION + HELD]


def quantised(model: onnx.ModelProto, pictures: NDArray[np.uint8], coded: list[tuple[str, int]]) -> onnx.ModelProto:
    """int8 arithmetic where a weight is coded, floats elsewhere.

    Inputs were smoothed where blocks were coded (adapt.py), so weights must not be scaled again.
    """
    own = {node for node, _ in coded}
    floats = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.name not in own]
    unscaled = nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1)
    feeds = nncf.Dataset(list(pictures), lambda one: {"pixel_values": normalised(one[None]).numpy()})
    made: onnx.ModelProto = nncf.quantize(
        model,
        feeds,
        subset_size=len(pictures),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(names=floats),
        advanced_parameters=nncf.AdvancedQuantizationParameters(smooth_quant_alphas=unscaled),
    )
    return made


def write_card(out: Path, crops: Crops) -> ModelCard:
    data = ((("image.data", sha256(out / "image.data")),),)
    towers = {
        name: TowerFile(name, sha256(out / name), *(data if name.startswith("image") else ()))
        for name in ("image.onnx", "image-int8.onnx", "text.onnx")
    }
    reference = Variant("fp32", towers["image.onnx"], towers["text.onnx"])
    card = ModelCard(
        name="starter",
        version="3",
        summary=SUMMARY,
        licence="MIT, Apache-2.0; trained on photos and texts under free licences",
        caution=None,
        dim=512,
        image=ImageInput(SIZE, "shortest", "bicubic", _triple(MEAN), _triple(STD)),
        text=TextInput("tokenizer.json", "none", 64, "longest", 0),
        scoring=Scoring("softmax", SCALE),
        variants=(reference,),
        measured={},
        folder=out,
    )
    held = crops.pictures[some_middles(crops)[CALIBRATION:]]
    texts = tuple(background_texts())
    material = Material(crops.pictures[:0], (), held, texts, texts[:100])
    integer = Variant("int8", towers["image-int8.onnx"], towers["text.onnx"])
    compared = beside_reference(views(card, reference, material), card, integer, material, 0.98, 0.9)
    card = replace(card, variants=(reference, compared))
    (out / CARD).write_text(f"{card_text(card)}\n[measured]\n", "utf-8")
    print(compared.compared)
    return card


def write_licence(target: Path) -> None:
    parts = (HERE / "PARTS.md", HERE / "PHOTOS.md", HERE / "TEXTS.md")
    target.write_text("\n".join(part.read_text("utf-8") for part in parts), "utf-8")


def write_golden(card: ModelCard) -> None:
    """What every backend must reproduce (cosine 0.999): one smooth and one busy picture, three texts."""
    side = card.image.size
    down, across = np.mgrid[0:side, 0:side]
    smooth = np.stack([down, across, 255 - down], axis=-1) % 256
    busy = np.stack([(down // 16 % 2) * 255, (across // 16 % 2) * 255, ((down + across) // 32 % 2) * 255], axis=-1)
    pixels = np.stack([smooth, busy]).astype(np.uint8)
    reference = default_candidate(replace(card, variants=card.variants[:1]), "onnxruntime")
    np.savez_compressed(
        card.folder / "golden.npz",
        pixels=pixels,
        image_vectors=ImageTower(card, reference).encode_pixels(pixels),
        texts=np.array(GOLDEN_TEXTS),
        text_vectors=TextTower(card, reference).encode(list(GOLDEN_TEXTS)).vectors,
    )


def _triple(values: torch.Tensor) -> tuple[float, float, float]:
    first, second, third = values.double().numpy().round(8).tolist()
    return first, second, third


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
