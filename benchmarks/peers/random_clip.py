"""CLIP models of full size with random weights, as PyTorch modules: real work, no meaning.

The same seed gives the same weights, so that every program of benchmarks/encode.py runs the same model without a
checkpoint of hundreds of megabytes between them. Needs torch and transformers; RN50 needs open_clip and timm.
"""

from __future__ import annotations

import enum
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize

SEED = 1
SIZE, CONTEXT = 224, 77  # px, tokens
VISION = {"vit-b-32": (32, 768, 12), "vit-b-16": (16, 768, 12), "vit-l-14": (14, 1024, 24)}  # patch, width, layers
TEXT = {"vit-b-32": (512, 8), "vit-b-16": (512, 8), "vit-l-14": (768, 12)}  # width (and the space's), heads
DIMS = {"rn50": 1024, "vit-b-32": 512, "vit-b-16": 512, "vit-l-14": 768}


class Image(nn.Module):
    """Normalised pixels -> unit vectors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        if hasattr(self.model, "visual"):
            return normalize(self.model.visual(pixel_values), dim=-1)
        return normalize(self.model.get_image_features(pixel_values=pixel_values).pooler_output, dim=-1)


class Text(nn.Module):
    """Token ids of any length up to the context -> unit vectors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        if hasattr(self.model, "visual"):
            return normalize(self.model.encode_text(input_ids), dim=-1)
        return normalize(self.model.get_text_features(input_ids=input_ids).pooler_output, dim=-1)


def random_clip(name: str) -> nn.Module:
    """A CLIPModel of transformers, or OpenCLIP's RN50; QuickGELU, as OpenAI's are."""
    torch.manual_seed(SEED)
    if name == "rn50":
        return _resnet()
    from transformers import CLIPConfig, CLIPModel

    patch, width, layers = VISION[name]
    dim, heads = TEXT[name]
    config = CLIPConfig(
        vision_config={
            "patch_size": patch, "hidden_size": width, "num_hidden_layers": layers, "image_size": SIZE,
            "num_attention_heads": width // 64, "intermediate_size": 4 * width,
        },
        text_config={"hidden_size": dim, "num_attention_heads": heads, "intermediate_size": 4 * dim},
        projection_dim=dim,
    )  # fmt: skip
    return CLIPModel(config).eval()


def _resnet() -> nn.Module:
    os.environ["HF_HUB_OFFLINE"] = "1"
    if importlib.util.find_spec("torchvision") is None:
        sys.meta_path.insert(0, _NoTorchvision())
    import open_clip

    return open_clip.create_model("RN50-quickgelu", pretrained=None).eval()


class _NoTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """OpenCLIP and timm import torchvision for transforms that a model is built and run without."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name.partition(".")[0] == "torchvision" else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Stub(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Stub(ModuleType):
    __path__: list[str] = []
    __version__ = "0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "InterpolationMode":
            modes = ("NEAREST", "NEAREST_EXACT", "BILINEAR", "BICUBIC", "BOX", "HAMMING", "LANCZOS")
            return enum.Enum(name, {mode: mode.lower() for mode in modes})
        if name == "FrozenBatchNorm2d":
            return type(name, (nn.Module,), {})
        return type(name, (), {"__init__": lambda self, *args, **named: None}) if name[0].isupper() else _absent


def _absent(*args: object, **named: object) -> None:
    raise NotImplementedError("torchvision is not installed")
