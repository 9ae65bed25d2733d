"""Checkpoints of tiny models with random weights, and what is broken about them.

The towers are of OpenAI's shape: 64 channels a head, and CLIP's whole vocabulary.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import CLIPConfig, CLIPModel

WORDS, CONTEXT, SIZE, DIM = 49_408, 16, 32, 32
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
# clip.cpp models/convert_hf_to_gguf.py, get_tensor_name
_CPP_NAMES = [
    ("text_model", "t"), ("vision_model", "v"), ("encoder.layers", "blk"), ("embeddings.", ""), ("_proj", ""),
    ("self_attn.", "attn_"), ("layer_norm", "ln"), ("layernorm", "ln"), ("mlp.fc1", "ffn_down"),
    ("mlp.fc2", "ffn_up"), ("embedding", "embd"), ("final", "post"), ("layrnorm", "ln"),
]  # fmt: skip


def pixels(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def ids() -> torch.Tensor:
    """Three short texts in the whole context."""
    tokens = torch.zeros(3, CONTEXT, dtype=torch.long)
    tokens[:, :5] = torch.tensor([[49406, 1, 2, 3, 49407], [49406, 7, 8, 9, 49407], [49406, 5, 5, 5, 49407]])
    return tokens


def openclip_model(*, layers: int | list[int] = 2, patch: int | None = 8, quick_gelu: bool = True) -> Any:
    """OpenCLIP's CLIP, which has OpenAI's names."""
    from tests.support import torchvision

    torchvision.install()
    import open_clip

    torch.manual_seed(0)
    model = open_clip.model.CLIP(
        embed_dim=DIM,
        quick_gelu=quick_gelu,
        vision_cfg={"image_size": SIZE, "layers": layers, "width": 64 if patch else 2, "patch_size": patch},
        text_cfg={"context_length": CONTEXT, "vocab_size": WORDS, "width": 64, "heads": 1, "layers": 2},
    ).eval()
    if patch is None:
        model(pixels(), ids())  # means and deviations of the batch norms move away from 0 and 1
    return model


def save_torchscript(model: Any, path: Path, *given: torch.Tensor) -> Path:
    """As OpenAI saved its models: traced, which PyTorch no longer wants anybody to do."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(model, given or (pixels(), ids()[:2]), check_trace=False).save(str(path))
    return path


def transformers_model(activation: str = "gelu") -> CLIPModel:
    torch.manual_seed(0)
    config = CLIPConfig(
        projection_dim=DIM,
        text_config={"vocab_size": WORDS, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 128, "max_position_embeddings": CONTEXT, "hidden_act": activation},
        vision_config={"image_size": SIZE, "patch_size": 8, "hidden_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 192, "hidden_act": activation},
    )  # fmt: skip
    return CLIPModel(config).eval()


def cpp_name(name: str) -> str:
    if "projection" in name:
        return name
    for ours, theirs in _CPP_NAMES:
        name = name.replace(ours, theirs)
    return name


def save_gguf(
    model: CLIPModel, path: Path, kind: str = "F32", towers: tuple[str, ...] = ("text", "vision")
) -> dict[str, np.ndarray]:
    """As clip.cpp's converter and its quantiser write it; returns what the numbers then are, by their own names."""
    quantised = gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(path, "clip")
    kept: dict[str, np.ndarray] = {}
    for tower, config in (("text", model.config.text_config), ("vision", model.config.vision_config)):
        writer.add_bool(f"clip.has_{tower}_encoder", tower in towers)
        if tower in towers:
            writer.add_uint32(f"clip.{tower}.attention.head_count", config.num_attention_heads)
            writer.add_float32(f"clip.{tower}.attention.layer_norm_epsilon", config.layer_norm_eps)
    writer.add_file_type(0)
    if "text" in towers:
        writer.add_token_list(["a"] * WORDS)
    writer.add_uint32("clip.vision.image_size", SIZE)
    writer.add_array("clip.vision.image_mean", MEAN)
    writer.add_array("clip.vision.image_std", STD)
    writer.add_bool("clip.use_gelu", model.config.vision_config.hidden_act == "gelu")
    for name, tensor in model.state_dict().items():
        array = tensor.numpy()
        if name == "logit_scale" or not name.startswith((*towers, "visual" if "vision" in towers else "text")):
            continue
        if array.ndim == 4:
            packed, kept[name] = array.astype(np.float16), array.astype(np.float16).astype(np.float32)
            writer.add_tensor(cpp_name(name), packed)
        elif array.ndim == 2 and name.endswith("weight"):
            packed = gguf.quants.quantize(array, quantised)
            kept[name] = np.array(gguf.quants.dequantize(packed, quantised))
            writer.add_tensor(cpp_name(name), packed, raw_dtype=quantised)
        else:
            kept[name] = array
            writer.add_tensor(cpp_name(name), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return kept


class Touch:
    """What a hostile pickle is: unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def archive(path: Path, members: Mapping[str, bytes], *, compressed: bool = False) -> Path:
    """A zip of these, below a folder as PyTorch has it."""
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as writer:
        for name, content in members.items():
            writer.writestr(f"archive/{name}", content)
    return path
