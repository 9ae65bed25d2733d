"""OpenAI's CLIP ViT-B/16 image tower, where somebody has made it, and OpenAI's own vectors of class names for it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.engine.cards import CARD, ImageInput, ModelCard, Scoring, TextInput, TowerFile, Variant, read_card
from clipsearch.engine.cardtext import card_text

_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def clip_vit_b16(shared: Path, folder: Path) -> ModelCard:
    """A model in `folder`: that image tower, and a text tower taught to fit it. Skips where it is not there."""
    beside = shared / "models" / "clip-vit-b16-minilm" / "vision_fp32.onnx"
    tower = Path(os.environ.get("CLIP_VIT_B16_IMAGE_TOWER", beside))
    if not tower.is_file():
        pytest.skip(
            f"there is no image tower of CLIP ViT-B/16 at {tower}: make it as ../shared/models/README.md says, "
            "and name it in CLIP_VIT_B16_IMAGE_TOWER"
        )
    (folder / "image.onnx").symlink_to(tower.absolute())
    for name in ("text.onnx", "tokenizer.json"):
        shutil.copy(shared / "models" / "standin" / name, folder)
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    image, text = (TowerFile(name, digests[name]) for name in ("image.onnx", "text.onnx"))
    card = ModelCard(
        name="clip-vit-b16-minilm", version="2", summary="OpenAI's image tower", licence="for tests", caution=None,
        dim=512, image=ImageInput(224, "shortest", "bicubic", _MEAN, _STD),
        text=TextInput("tokenizer.json", "none", 64, "longest", 0), scoring=Scoring("softmax", 60.0),
        variants=(Variant("fp32", image, text),), measured={}, folder=folder,
        files={"tokenizer.json": digests["tokenizer.json"]},
    )  # fmt: skip
    (folder / CARD).write_text(card_text(card), "utf-8")
    return read_card(folder)


class Anchors:
    """Vectors of class names as OpenAI's text tower gave them: ../shared/models/anchors. Skips where they are not."""

    def __init__(self, shared: Path) -> None:
        file = shared / "models" / "anchors" / "anchors.npz"
        if not file.is_file():
            pytest.skip(f"there are no vectors of class names at {file}")
        stored = np.load(file)
        self._vectors = stored["vectors"].astype(np.float32)
        self._names, self._sets = stored["names"], stored["sets"]

    def of(self, *names: str, sets: Collection[str] = ()) -> NDArray[np.float32]:
        """(512,), unit: the mean of all rows with one of the names, in these sets where some are named."""
        rows = np.isin(self._names, names)
        if sets:
            rows &= np.isin(self._sets, list(sets))
        assert rows.any(), names
        mean = self._vectors[rows].mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean))
