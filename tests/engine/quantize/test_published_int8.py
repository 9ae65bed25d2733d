"""The gate against a graph that people have published: dynamic int8 with one range for a whole tensor."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from clipsearch.decoding.decode import decode
from clipsearch.engine.cards import CARD, ImageInput, ModelCard, Scoring, TextInput, TowerFile, Variant, read_card
from clipsearch.engine.cardtext import card_text
from clipsearch.engine.choosing.candidates import refusal
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.quantize.making import beside, views
from clipsearch.engine.quantize.material import Material
from clipsearch.types import Decoded

PHOTOS = 48


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_dynamic_int8_of_a_real_clip_is_refused(shared: Path, tmp_path: Path) -> None:
    """Its vectors are 0.976 like the float ones' and move with their batch mates; it loads, and is twice as fast."""
    folder = shared / "models" / "clip-vit-b16-minilm"
    tower = Path(os.environ.get("CLIP_VIT_B16_IMAGE_TOWER", folder / "vision_fp32.onnx"))
    dynamic = tower.with_name("vision_int8.onnx")
    if not (tower.is_file() and dynamic.is_file()):
        pytest.skip(
            f"there are no image towers of CLIP ViT-B/16 at {tower} and {dynamic}: make them as "
            "../shared/models/README.md says, and name the first in CLIP_VIT_B16_IMAGE_TOWER"
        )
    card = card_of(tmp_path, tower, dynamic, shared / "models" / "standin")
    lines = (shared / "data" / "captions" / "captions.tsv").read_text("utf-8").splitlines()[1:]
    captions = [line.split("\t") for line in lines[: 5 * PHOTOS]]
    names = list(dict.fromkeys(name for name, _ in captions))
    pixels = np.stack([pixels_of(shared / "data" / "captions" / name, card) for name in names])
    material = Material(
        pixels, (), pixels, tuple(text for _, text in captions), ("a dog", "a car", "food", "a room"),
        tuple(names.index(name) for name, _ in captions),
    )  # fmt: skip
    truth, int8 = views(card, card.reference, material), card.variants[1]
    judged = beside(truth, card, int8, material, 0.98, 0.9)
    assert judged.compared is not None and judged.compared.image_mean < 0.98
    assert "is asked for" in (refusal(card, judged) or "")


def card_of(folder: Path, tower: Path, dynamic: Path, standin: Path) -> ModelCard:
    for file in (tower, dynamic, standin / "text.onnx", standin / "tokenizer.json"):
        (folder / file.name).symlink_to(file.absolute()) if file in (tower, dynamic) else shutil.copy(file, folder)
    image, int8, text = (
        TowerFile(name, hashlib.sha256((folder / name).read_bytes()).hexdigest())
        for name in (tower.name, dynamic.name, "text.onnx")
    )
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    card = ModelCard(
        name="clip-vit-b16", version="1", summary="OpenAI's image tower", licence="MIT", caution=None, dim=512,
        image=ImageInput(224, "shortest", "bicubic", mean, std),
        text=TextInput("tokenizer.json", "none", 64, "longest", 0), scoring=Scoring("softmax", 60.0),
        variants=(Variant("fp32", image, text), Variant("int8", int8, text)), measured={}, folder=folder,
    )  # fmt: skip
    (folder / CARD).write_text(card_text(card), "utf-8")
    return read_card(folder)


def pixels_of(photo: Path, card: ModelCard) -> np.ndarray:
    decoded = decode(os.fsencode(photo), Preprocess(card.image))
    assert isinstance(decoded, Decoded), photo
    return np.frombuffer(decoded.pixels, np.uint8).reshape(224, 224, 3)
