"""A model of a few kilobytes in programs of torch.export, with the vectors that PyTorch itself gives for it.

Its weights are random; its vectors depend on what goes in, and on nothing that is padded or beside it in the batch.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from clipsearch.engine.cards import ModelCard, read_card
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.tokenize import TextTokenizer

SIZE, DIM, CONTEXT, WORDS = 32, 16, 77, 49_408
TEXTS = ["a photo of a dog on a beach", "kids in yellow raincoats", "an old wooden boat on a quiet lake"]
CARD = """\
name = "tiny"
version = "1"
summary = "Random weights."
licence = "CC0-1.0"
dim = {dim}

[image]
size = {size}
resize = "shortest"
interpolation = "bicubic"
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]

[text]
tokenizer = "clip-bpe"
cleaning = "clip"
context = {context}
padding = "longest"
pad_id = 0

[scoring]
kind = "softmax"
scale = 100.0

[variants.torch]
image = "image.pt2"
image_sha256 = "{image}"
text = "text.pt2"
text_sha256 = "{text}"
"""


def exported(folder: Path) -> ModelCard:
    """Writes image.pt2, text.pt2, card.toml and golden.npz."""
    import torch

    torch.manual_seed(3)
    with warnings.catch_warnings():  # PyTorch's own, about itself
        warnings.simplefilter("ignore")
        image, text = _image_tower(), _text_tower()
        _save(image, "pixel_values", torch.zeros(2, 3, SIZE, SIZE), {0: "batch"}, folder / "image.pt2")
        ids = torch.ones(2, 5, dtype=torch.int64)
        _save(text, "input_ids", ids, {0: "batch", 1: "tokens"}, folder / "text.pt2")
    sums = {name: hashlib.sha256((folder / f"{name}.pt2").read_bytes()).hexdigest() for name in ("image", "text")}
    (folder / "card.toml").write_text(CARD.format(dim=DIM, size=SIZE, context=CONTEXT, **sums))
    card = read_card(folder)
    pixels = np.random.default_rng(2).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    with torch.inference_mode():
        tokens = [TextTokenizer(folder, card.text).encode([one]).ids for one in TEXTS]
        np.savez(
            folder / "golden.npz",
            pixels=pixels,
            texts=np.array(TEXTS),
            image_vectors=image(torch.from_numpy(Preprocess(card.image).tensor(pixels))).numpy(),
            text_vectors=np.concatenate([text(torch.from_numpy(ids)).numpy() for ids in tokens]),
        )
    return card


def _save(module: Any, name: str, example: Any, sizes: dict[int, str], path: Path) -> None:
    import torch

    most = {"batch": 64, "tokens": CONTEXT}
    dimensions = {place: torch.export.Dim(one, min=1, max=most[one]) for place, one in sizes.items()}
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes={name: dimensions}), path)


def _image_tower() -> Any:
    from torch import Tensor, nn

    class Image(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 24, 8, 8)
            self.last = nn.Linear(24 * (SIZE // 8) ** 2, DIM)

        def forward(self, pixel_values: Tensor) -> Tensor:
            return self.last(self.patches(pixel_values).tanh().flatten(1))

    return Image().eval()


def _text_tower() -> Any:
    """Causal, and read at the end of the text, as CLIP's is: padding behind the end changes nothing."""
    import torch
    from torch import Tensor, nn

    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(WORDS, 24)
            self.last = nn.Linear(24, DIM)

        def forward(self, input_ids: Tensor) -> Tensor:
            seen = self.words(input_ids).cumsum(1).tanh()
            return self.last(seen[torch.arange(input_ids.shape[0]), input_ids.argmax(1)])

    return Text().eval()
