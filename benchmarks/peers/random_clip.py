"""CLIP models of full size with random weights: real work, no meaning.

The same seed gives the same weights, so that all programs of benchmarks/encode.py run the same model without a
checkpoint of hundreds of megabytes between them. Needs torch and transformers; RN50 needs open_clip and timm.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import normalize
from without_torchvision import install

SEED = 1
SIZE, CONTEXT = 224, 77  # px, tokens
VISION = {"vit-b-32": (32, 768, 12), "vit-b-16": (16, 768, 12), "vit-l-14": (14, 1024, 24)}  # patch, width, layers
TEXT = {"vit-b-32": (512, 8), "vit-b-16": (512, 8), "vit-l-14": (768, 12)}  # width (and the space's), heads
NAMES = ("rn50", *VISION)


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
    """Token ids -> unit vectors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        if hasattr(self.model, "visual"):
            return normalize(self.model.encode_text(input_ids), dim=-1)
        return normalize(self.model.get_text_features(input_ids=input_ids).pooler_output, dim=-1)


def random_clip(name: str) -> nn.Module:
    """A CLIPModel of transformers, or OpenCLIP's RN50; with QuickGELU, as OpenAI's are."""
    torch.manual_seed(SEED)
    if name == "rn50":
        os.environ["HF_HUB_OFFLINE"] = "1"
        install()
        import open_clip

        return open_clip.create_model("RN50-quickgelu", pretrained=None).eval()
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


def save(model: nn.Module, folder: Path) -> Path:
    """A checkpoint as its library publishes them: what `clipsearch model export` is given."""
    if hasattr(model, "visual"):
        from safetensors.torch import save_file

        save_file(
            {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "rn50.safetensors"
        )
        return folder / "rn50.safetensors"
    from transformers import CLIPImageProcessor

    model.save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    return folder
