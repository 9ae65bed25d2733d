"""clip.cpp's GGUF file -> transformers' CLIPModel (clip.cpp models/convert_hf_to_gguf.py, whose names these are).

Such a file lacks the scale of probabilities and the merges of its vocabulary. The first is CLIP's limit, which its
training ends at, and the card says so; the second is CLIP's own, so a file with another vocabulary is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipsearch.engine.cards import ImageInput, Scoring, TextInput
from clipsearch.engine.export.clip_weights import CLIP_WORDS, UnknownShape, clip_model
from clipsearch.engine.export.gguf_file import GgufFile, Setting, opened_gguf
from clipsearch.engine.export.loaded import LoadedModel
from clipsearch.engine.export.transformers_clip import loaded_transformers
from clipsearch.engine.tokenize import CLIP_BPE
from clipsearch.errors import ModelError

_SCALE = 100.0
_CAUTION = f"the GGUF file holds no scale of label probabilities; {_SCALE:g}, where CLIP's training ends, was taken"
_HINT = "Export a CLIP file of clip.cpp (ggml-model-*.gguf) with both towers, or the checkpoint that it was made from."

_TOWERS = {"t": "text_model", "v": "vision_model"}
_PARTS = {
    "token_embd": "embeddings.token_embedding", "position_embd": "embeddings.position_embedding",
    "class_embd": "embeddings.class_embedding", "patch_embd": "embeddings.patch_embedding",
    "pre_ln": "pre_layrnorm",  # misspelt, really
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_out": "self_attn.out_proj", "ln1": "layer_norm1", "ln2": "layer_norm2",
    "ffn_down": "mlp.fc1", "ffn_up": "mlp.fc2",  # the other way round than in llama.cpp
}  # fmt: skip
_LAST_NORM = {"t": "final_layer_norm", "v": "post_layernorm"}


def open_clip_cpp(path: Path, name: str, licence: str) -> LoadedModel:
    """Raises ModelError."""
    try:
        with opened_gguf(path) as file:
            _check_towers(file.settings)
            image = _image_input(file)
            weights = {_renamed(name): torch.from_numpy(file.tensor(name)) for name in file.laid}
            activation = "gelu" if _setting(file.settings, bool, "clip.use_gelu") else "quickgelu"
            weights["logit_scale"] = torch.tensor(math.log(_SCALE))
            config = _config(file.settings, weights, image.size)
        model = clip_model(weights, config, activation)
    except UnknownShape as reason:
        raise ModelError(f"{path} {reason}.", _HINT) from None
    text = TextInput(CLIP_BPE, "clip", config["text_config"]["max_position_embeddings"], "longest", 0)
    loaded = loaded_transformers(model, image, text, name, str(path.absolute()), licence)
    return replace(loaded, scoring=Scoring("softmax", _SCALE), caution=_CAUTION)


def _check_towers(settings: Mapping[str, Setting]) -> None:
    if settings.get("general.architecture") != "clip":
        raise UnknownShape(f'holds a model of the kind "{settings.get("general.architecture")}" and no CLIP')
    held = [tower for tower in ("text", "vision") if settings.get(f"clip.has_{tower}_encoder")]
    if len(held) < 2:
        what = f"only the {held[0]} tower" if held else "no tower"
        raise UnknownShape(f"holds {what}; clipsearch needs the text tower and the vision tower in one file")


def _image_input(file: GgufFile) -> ImageInput:
    settings = file.settings
    mean, std = (_triple(settings, f"clip.vision.image_{name}") for name in ("mean", "std"))
    if 0 in std:
        raise UnknownShape("has a zero in clip.vision.image_std")
    return ImageInput(_setting(settings, int, "clip.vision.image_size"), "shortest", "bicubic", mean, std)


def _config(settings: Mapping[str, Setting], weights: Mapping[str, torch.Tensor], size: int) -> dict[str, Any]:
    """Sizes as the tensors have them, and what they do not tell as the settings say it."""
    words, text_width = _shape(weights, "text_model.embeddings.token_embedding.weight", 2)
    context, _ = _shape(weights, "text_model.embeddings.position_embedding.weight", 2)
    width, _, patch, _ = _shape(weights, "vision_model.embeddings.patch_embedding.weight", 4)
    positions, _ = _shape(weights, "vision_model.embeddings.position_embedding.weight", 2)
    dim, _ = _shape(weights, "text_projection.weight", 2)
    if words != CLIP_WORDS:
        raise UnknownShape(f"has a vocabulary of {words:,} words and not CLIP's {CLIP_WORDS:,}")
    if (size // patch) ** 2 + 1 != positions:
        raise UnknownShape(f"has {positions} positions for pictures of {size} px in patches of {patch}")
    sizes = {
        "text": {"hidden_size": text_width, "max_position_embeddings": context},
        "vision": {"hidden_size": width, "image_size": size, "patch_size": patch},
    }
    return {"projection_dim": dim} | {
        f"{tower}_config": {
            **known,
            "num_hidden_layers": _layers(weights, tower),
            "num_attention_heads": _heads(settings, tower, known["hidden_size"]),
            "layer_norm_eps": _setting(settings, float, f"clip.{tower}.attention.layer_norm_epsilon"),
        }
        for tower, known in sizes.items()
    }


def _renamed(name: str) -> str:
    """clip.cpp's name -> transformers'; what has none keeps its own, and is refused as one too many."""
    tower, _, rest = name.partition(".")
    stem, _, kind = rest.rpartition(".")
    if tower not in _TOWERS:
        return name
    if rest in _PARTS:  # the class embedding, which has no kind
        return f"{_TOWERS[tower]}.{_PARTS[rest]}"
    if stem == "post_ln":
        return f"{_TOWERS[tower]}.{_LAST_NORM[tower]}.{kind}"
    block, _, part = stem.rpartition(".")
    layer = f"encoder.layers.{block.removeprefix('blk.')}." if block else ""
    return f"{_TOWERS[tower]}.{layer}{_PARTS.get(part, part)}.{kind}"


def _layers(weights: Mapping[str, torch.Tensor], tower: str) -> int:
    prefix = f"{tower}_model.encoder.layers."
    count = len({name.removeprefix(prefix).partition(".")[0] for name in weights if name.startswith(prefix)})
    if not count:
        raise UnknownShape(f"holds no layer of the {tower} tower")
    return count


def _heads(settings: Mapping[str, Setting], tower: str, width: int) -> int:
    heads: int = _setting(settings, int, f"clip.{tower}.attention.head_count")
    if width % heads:
        raise UnknownShape(f"has {heads} heads in {width} channels")
    return heads


def _shape(weights: Mapping[str, torch.Tensor], name: str, rank: int) -> tuple[int, ...]:
    shape = tuple(weights[name].shape) if name in weights else ()
    if len(shape) != rank:
        raise UnknownShape(f"has no {name} of {rank} dimensions")
    return shape


def _setting(settings: Mapping[str, Setting], kind: type[bool] | type[int] | type[float], name: str) -> Any:
    value = settings.get(name)
    if not isinstance(value, kind) or (kind is not bool and not 0 < value < math.inf):
        raise UnknownShape(f"says nothing sensible of {name}")
    return value


def _triple(settings: Mapping[str, Setting], name: str) -> tuple[float, float, float]:
    value = settings.get(name)
    if not isinstance(value, list) or len(value) != 3 or not all(math.isfinite(one) for one in value):
        raise UnknownShape(f"has no three numbers as {name}")
    red, green, blue = (float(str(np.float32(one))) for one in value)  # kept in 32 bits, and written as they are
    return red, green, blue
