"""The layouts that models are published in (MODELS section 1): which of a repository's files make a model, and which
file plays which part. What the settings among them say is read in published.py.

    clipsearch        card.toml and what it names
    immich            visual/model.onnx, textual/model.onnx, config.json, visual/preprocess_cfg.json
    transformers.js   onnx/vision_model.onnx, onnx/text_model.onnx, config.json, preprocessor_config.json
    graphs            visual.onnx and textual.onnx in a folder that the catalogue names, nothing else (rclip)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from clipsearch.engine.cards import CARD
from clipsearch.errors import ModelError

Kind = Literal["clipsearch", "immich", "transformers.js", "graphs"]

IMMICH_CONFIG, IMMICH_IMAGE = "config.json", "visual/preprocess_cfg.json"
HF_CONFIG, HF_IMAGE = "config.json", "preprocessor_config.json"

_LEGAL = ("license", "licence", "notice", "mit.txt", "readme")
# Graphs of ARM NN and Rockchip boards, and half-precision copies for them.
_FOREIGN = (".armnn", ".rknn")


@dataclass(frozen=True, slots=True)
class Layout:
    kind: Kind
    image: str  # graphs; empty for clipsearch, whose card names them
    text: str
    image_data: tuple[str, ...]  # files beside a graph that may hold its weights
    text_data: tuple[str, ...]
    tokenizer: str | None  # tokenizer.json
    tokenizer_config: str | None
    others: tuple[str, ...]  # settings, licence, readme

    @property
    def wanted(self) -> tuple[str, ...]:
        """All files of the model."""
        named = (self.image, self.text, self.tokenizer, self.tokenizer_config, *self.image_data, *self.text_data)
        return tuple(sorted({name for name in (*named, *self.others) if name}))


def layout_of(names: Collection[str], origin: str, graphs: str | None = None) -> Layout:
    """The layout of a repository with these files. Raises ModelError for one that is not known, or lacks a part."""
    if CARD in names:
        kept = tuple(name for name in names if not any(part.startswith(".") for part in PurePosixPath(name).parts))
        return Layout("clipsearch", "", "", (), (), None, None, kept)
    if graphs:
        return _graphs(names, graphs, origin)
    if "visual/model.onnx" in names or "textual/model.onnx" in names:
        return _immich(names, origin)
    if "onnx/vision_model.onnx" in names or "onnx/text_model.onnx" in names:
        return _transformers_js(names, origin)
    raise ModelError(
        f"{origin} is in none of the layouts that clipsearch reads: immich's (visual/ and textual/), "
        "transformers.js's (onnx/vision_model.onnx and onnx/text_model.onnx), or its own (card.toml).",
        "See the models that are known to work with: clipsearch model list",
    )


def checkpoint_layout(names: Collection[str]) -> Layout:
    """Where the settings of a PyTorch checkpoint are: what OpenCLIP and transformers put beside the weights."""
    tokenizer, settings = _if_there(names, "tokenizer.json"), _if_there(names, "tokenizer_config.json")
    return Layout("transformers.js", "", "", (), (), tokenizer, settings, ())


def _immich(names: Collection[str], origin: str) -> Layout:
    needed = ("visual/model.onnx", "textual/model.onnx", IMMICH_CONFIG, IMMICH_IMAGE)
    _all_there(names, needed, origin)
    # Whole folders: some models keep each large tensor in a file of its own, with any name.
    folders = {role: [name for name in names if _is_part(name, role)] for role in ("visual", "textual")}
    settings = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"}
    text_data = [name for name in folders["textual"] if PurePosixPath(name).name not in settings]
    return Layout(
        "immich",
        "visual/model.onnx",
        "textual/model.onnx",
        _data(folders["visual"], "visual/model.onnx", IMMICH_IMAGE),
        _data(text_data, "textual/model.onnx"),
        _if_there(names, "textual/tokenizer.json"),
        _if_there(names, "textual/tokenizer_config.json"),
        (IMMICH_CONFIG, IMMICH_IMAGE, *_legal(names)),
    )


def _is_part(name: str, folder: str) -> bool:
    path = PurePosixPath(name)
    return path.parts[0] == folder and len(path.parts) == 2 and path.suffix not in _FOREIGN


def _transformers_js(names: Collection[str], origin: str) -> Layout:
    image, text = "onnx/vision_model.onnx", "onnx/text_model.onnx"
    _all_there(names, (image, text, HF_CONFIG, HF_IMAGE), origin)
    return Layout(
        "transformers.js",
        image,
        text,
        tuple(sorted(name for name in names if name.startswith((f"{image}_data", f"{image}.data")))),
        tuple(sorted(name for name in names if name.startswith((f"{text}_data", f"{text}.data")))),
        _if_there(names, "tokenizer.json"),
        _if_there(names, "tokenizer_config.json"),
        (HF_CONFIG, HF_IMAGE, *_legal(names)),
    )


def _graphs(names: Collection[str], folder: str, origin: str) -> Layout:
    image, text = f"{folder}/visual.onnx", f"{folder}/textual.onnx"
    _all_there(names, (image, text), origin)
    return Layout("graphs", image, text, (), (), None, None, tuple(_legal(names)))


def _all_there(names: Collection[str], needed: tuple[str, ...], origin: str) -> None:
    if missing := [name for name in needed if name not in names]:
        raise ModelError(
            f"{origin} is not a whole model: {', '.join(missing)} is missing.",
            "Take another source, or report it to whoever has published it.",
        )


def _data(names: Collection[str], *others: str) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name not in others))


def _if_there(names: Collection[str], name: str) -> str | None:
    return name if name in names else None


def _legal(names: Collection[str]) -> list[str]:
    """Files at the top that say under which terms the model may be used, and by whom it is."""
    top = [name for name in names if "/" not in name]
    return sorted(name for name in top if any(word in name.lower() for word in _LEGAL))
