"""The text tower: MiniLM as codes, and a head that reads it, learnt on what the coded layers say.

    python experiments/starter/text_tower.py WORK

Reads WORK/minilm (model.safetensors and tokenizer.json as published), WORK/texts.json and .npz, WORK/vectors.npz;
writes WORK/text.pt.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from codes import CodedLinear
from minilm import load, pooled, tokenizer, with_codes
from text_head import Head, Lessons, trained
from torch import Tensor

CALIBRATION = 2_000  # texts


def main() -> None:
    work = Path(sys.argv[1])
    texts = json.loads((work / "texts.json").read_text("utf-8"))
    encodings = tokenizer(work / "minilm/tokenizer.json").encode_batch(all_texts(texts))
    ids = [encoding.ids for encoding in encodings]
    chosen = np.random.default_rng(0).permutation(len(texts["texts"]))[:CALIBRATION]
    model = load(work / "minilm/model.safetensors")
    with_codes(model, [ids[number] for number in chosen])
    inputs = pooled(model, ids)
    learnt = lessons(texts, np.load(work / "texts.npz"), np.load(work / "vectors.npz"), inputs)
    head = trained(learnt)
    torch.save({"model": model, "head": head, "coded": coded_head(head, inputs)}, work / "text.pt")


def all_texts(texts: dict) -> list[str]:
    """Every text, and after them every name alone, as people type it."""
    return [*texts["texts"], *(row["name"] for row in texts["rows"])]


def lessons(texts: dict, vectors: np.lib.npyio.NpzFile, photos: np.lib.npyio.NpzFile, inputs: Tensor) -> Lessons:
    return Lessons(
        inputs=inputs,
        row_texts=torch.tensor([*(row["text"] for row in texts["rows"]), *range(len(texts["texts"]), len(inputs))]),
        row_vectors=_unit(vectors["rows"]).repeat(2, 1),
        class_texts=[one["texts"] for one in texts["classes"]],
        class_vectors=_unit(vectors["classes"]),
        pair_texts=[pair["texts"] for pair in texts["pairs"]],
        pair_vectors=_unit(photos["pairs"]),
        captions=texts["captions"],
        photos=_unit(photos["round0"]),
    )


def target_vectors(work: Path) -> Tensor:
    """Every text vector that CLIP itself gave, (n, 512)."""
    stored = np.load(work / "texts.npz")
    return torch.cat([_unit(stored["rows"]), _unit(stored["classes"])])


@torch.no_grad()
def coded_head(head: Head, inputs: Tensor, d: int = 2) -> dict[str, CodedLinear]:
    inner = F.gelu(head.inner(inputs))
    read = {"straight": inputs, "inner": inputs, "outer": inner}
    return {name: CodedLinear(getattr(head, name), x.T @ x / len(x), d, integer=False) for name, x in read.items()}


def _unit(vectors: np.ndarray) -> Tensor:
    return F.normalize(torch.from_numpy(vectors.astype(np.float32)), dim=1)


if __name__ == "__main__":
    main()
