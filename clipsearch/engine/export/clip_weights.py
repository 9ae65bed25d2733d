"""The weights of OpenAI's CLIP, under OpenAI's and OpenCLIP's names -> a model of that shape, which its tensors tell.

A ViT becomes transformers' CLIPModel; a ResNet needs OpenCLIP, the only one that has it. What tensors do not tell is
handed in: the activation. Models are made without memory first, so that no size is believed before all agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from clipsearch.engine.cards import ImageInput, TextInput
from clipsearch.engine.export.openclip import open_clip_package
from clipsearch.engine.tokenize import CLIP_BPE
from clipsearch.errors import ModelError

Weights = Mapping[str, torch.Tensor]

CLIP_WORDS = 49_408
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
_HEAD = 64  # channels a head in each of OpenAI's towers
_WIDEST = 1024  # channels up to which that holds; H/14 has 80 a head in 1280, g/14 88 in 1408
_ACTIVATIONS = {"quickgelu": "quick_gelu", "gelu": "gelu"}  # ours -> transformers'
# Of an archive: what is no weight.
_NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")

_BLOCK = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}  # fmt: skip
_TABLES = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
}
_NORMS = {
    "ln_final": "text_model.final_layer_norm",
    "visual.ln_pre": "vision_model.pre_layrnorm",  # misspelt, really
    "visual.ln_post": "vision_model.post_layernorm",
}
_PROJECTIONS = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}


@dataclass(frozen=True, slots=True)
class ClipShape:
    dim: int
    context: int  # tokens
    text_width: int
    text_layers: int
    vision_width: int
    vision_layers: tuple[int, ...]  # one number for a ViT, four stages of a ResNet
    patch: int | None  # px; None for a ResNet
    image_size: int  # px

    @property
    def image_input(self) -> ImageInput:
        return ImageInput(self.image_size, "shortest", "bicubic", MEAN, STD)

    @property
    def text_input(self) -> TextInput:
        return TextInput(CLIP_BPE, "clip", self.context, "longest", 0)


class UnknownShape(Exception):
    """Why these are not the weights of a CLIP, as the end of a sentence."""


def weights_only(tensors: Weights) -> dict[str, torch.Tensor]:
    """Without what is no weight."""
    return {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] not in _NO_WEIGHTS}


def inferred_shape(weights: Weights) -> ClipShape:
    """What the tensors say (open_clip model.py, build_model_from_openai_state_dict). Raises UnknownShape."""
    dim = _size(weights, "text_projection", 2)[1]
    context, text_width = _size(weights, "positional_embedding", 2)
    words, _ = _size(weights, "token_embedding.weight", 2)
    if words != CLIP_WORDS:
        raise UnknownShape(f"has a vocabulary of {words:,} words and not CLIP's {CLIP_WORDS:,}")
    text_layers = _blocks(weights, "transformer.resblocks.")
    if "visual.proj" in weights:
        width, _, patch, _ = _size(weights, "visual.conv1.weight", 4)
        side = _side(weights, "visual.positional_embedding") * patch
        layers: tuple[int, ...] = (_blocks(weights, "visual.transformer.resblocks."),)
    elif "visual.attnpool.positional_embedding" in weights:
        width, patch = _size(weights, "visual.layer1.0.conv1.weight", 4)[0], None
        side = _side(weights, "visual.attnpool.positional_embedding") * 32
        layers = tuple(_blocks(weights, f"visual.layer{stage}.") for stage in (1, 2, 3, 4))
    else:
        raise UnknownShape("holds neither a ViT nor a ResNet as OpenAI made them")
    if text_width % _HEAD or (patch and width % _HEAD):
        raise UnknownShape(f"has towers of {text_width} and {width} channels, which are no whole number of heads")
    if patch and width > _WIDEST:
        raise UnknownShape(f"is {width} channels wide, from which nobody can tell its heads")
    return ClipShape(dim, context, text_width, text_layers, width, layers, patch, side)


def built_vit(weights: Weights, shape: ClipShape, activation: str) -> nn.Module:
    """transformers' CLIPModel with these weights. Raises UnknownShape where one is missing or too many."""
    renamed = dict(_renamed(weights))
    return clip_model(
        renamed,
        {
            "projection_dim": shape.dim,
            "text_config": {
                "hidden_size": shape.text_width,
                "num_hidden_layers": shape.text_layers,
                "num_attention_heads": shape.text_width // _HEAD,
                "max_position_embeddings": shape.context,
            },
            "vision_config": {
                "hidden_size": shape.vision_width,
                "num_hidden_layers": shape.vision_layers[0],
                "num_attention_heads": shape.vision_width // _HEAD,
                "image_size": shape.image_size,
                "patch_size": shape.patch,
            },
        },
        activation,
    )


def clip_model(weights: Weights, config: dict[str, Any], activation: str) -> nn.Module:
    """transformers' CLIPModel of that config, holding just these tensors. Raises UnknownShape."""
    from transformers import CLIPConfig, CLIPModel

    towers = {"text": ("text_config", CLIP_WORDS), "vision": ("vision_config", None)}
    parts: dict[str, dict[str, Any]] = {}
    for tower, (part, words) in towers.items():
        inner = weights.get(f"{tower}_model.encoder.layers.0.mlp.fc1.weight")
        parts[part] = {
            **config[part],
            "intermediate_size": inner.shape[0] if inner is not None and inner.ndim else 1,
            "hidden_act": _ACTIVATIONS[activation],
            "projection_dim": config["projection_dim"],
            **({"vocab_size": words} if words else {}),
        }
    with torch.device("meta"):
        model: nn.Module = CLIPModel(CLIPConfig(**{**config, **parts}))
    filled(model, weights)
    for tower in ("text", "vision"):  # no weights, so they were left without memory
        positions = weights[f"{tower}_model.embeddings.position_embedding.weight"]
        model.get_submodule(f"{tower}_model.embeddings").register_buffer(
            "position_ids", torch.arange(len(positions))[None], persistent=False
        )
    return model


def filled(model: nn.Module, weights: Weights) -> None:
    """Gives a model without memory these tensors as its own. Raises UnknownShape."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for what, names in (("misses", wanted.keys() - weights.keys()), ("holds", weights.keys() - wanted.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UnknownShape(f"{what} {min(names)}{more}, {'which' if what == 'misses' else 'and'} no such CLIP does")
    for name, shape in wanted.items():
        if tuple(weights[name].shape) != shape:
            raise UnknownShape(f"has {name} of shape {tuple(weights[name].shape)} where {shape} goes")
        if not torch.isfinite(weights[name]).all():
            raise UnknownShape(f"has something in {name} that is no number")
    model.load_state_dict(dict(weights), strict=True, assign=True)


def built_resnet(weights: Weights, config: dict[str, Any]) -> nn.Module:
    """OpenCLIP's CLIP with these weights; the mask of its texts, which is no weight, is left without memory.

    Raises UnknownShape, and ModelError where OpenCLIP is not installed."""
    with torch.device("meta"):
        model: nn.Module = open_clip_package().model.CLIP(**config)
    filled(model, weights)
    return model


def built_openclip(weights: Weights, config: dict[str, Any]) -> nn.Module:
    """Whatever OpenCLIP makes of its own config, with these weights. Raises UnknownShape and ModelError."""
    kinds = open_clip_package().model
    parts = {key: value for key, value in config.items() if key != "custom_text"}
    try:
        model: nn.Module = (kinds.CustomTextCLIP if config.get("custom_text") else kinds.CLIP)(**parts)
    except Exception as error:  # OpenCLIP, timm and transformers raise what they like on settings they do not know
        raise ModelError(f"OpenCLIP cannot build this model: {error}", "Compare its open_clip_config.json.") from error
    filled(model, weights)
    return model


def openclip_config(shape: ClipShape, activation: str) -> dict[str, Any]:
    return {
        "embed_dim": shape.dim,
        "quick_gelu": activation == "quickgelu",
        "vision_cfg": {
            "image_size": shape.image_size,
            "layers": list(shape.vision_layers) if shape.patch is None else shape.vision_layers[0],
            "width": shape.vision_width,
            "patch_size": shape.patch,
        },
        "text_cfg": {
            "context_length": shape.context,
            "vocab_size": CLIP_WORDS,
            "width": shape.text_width,
            "heads": shape.text_width // _HEAD,
            "layers": shape.text_layers,
        },
    }


def _renamed(weights: Weights) -> Iterator[tuple[str, torch.Tensor]]:
    """OpenAI's names -> transformers'; what has none keeps its own, and is refused as one too many."""
    for name, tensor in weights.items():
        stem, _, kind = name.rpartition(".")
        tower, found, block = name.partition("transformer.resblocks.")
        if name in _TABLES:
            yield _TABLES[name], tensor
        elif stem in _NORMS:
            yield f"{_NORMS[stem]}.{kind}", tensor
        elif name in _PROJECTIONS:
            yield _PROJECTIONS[name], tensor.T.contiguous()
        elif found:
            number, _, part = block.partition(".")
            prefix = f"{'vision' if tower else 'text'}_model.encoder.layers.{number}"
            if part in ("attn.in_proj_weight", "attn.in_proj_bias"):
                thirds = zip("qkv", tensor.chunk(3), strict=False)  # a wrong number of them is found as missing
                yield from ((f"{prefix}.self_attn.{one}_proj.{kind[8:]}", third) for one, third in thirds)
            else:
                part, _, kind = part.rpartition(".")
                yield f"{prefix}.{_BLOCK.get(part, part)}.{kind}", tensor
        else:
            yield name, tensor


def _size(weights: Weights, name: str, rank: int) -> tuple[int, ...]:
    if name not in weights:
        raise UnknownShape(f"misses {name}, which every CLIP of OpenAI's kind has")
    shape = tuple(weights[name].shape)
    if len(shape) != rank or not all(shape):
        raise UnknownShape(f"has {name} of shape {shape}, which no CLIP has")
    return shape


def _side(weights: Weights, name: str) -> int:
    """Of a square of positions, beside which there is one more."""
    count, _ = _size(weights, name, 2)
    side = math.isqrt(count - 1)
    if side * side + 1 != count or not side:
        raise UnknownShape(f"has {count} positions of an image, which are no square and one")
    return side


def _blocks(weights: Weights, prefix: str) -> int:
    count = len({name.removeprefix(prefix).partition(".")[0] for name in weights if name.startswith(prefix)})
    if not count:
        raise UnknownShape(f"holds nothing below {prefix.rstrip('.')}")
    return count
