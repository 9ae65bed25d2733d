"""Checkpoints of a megabyte, in the folders that transformers and OpenCLIP keep them in: random weights, real classes.

torch and what builds on it is loaded by who calls.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

SIZE, DIM, WIDTH, LAYERS = 32, 32, 64, 2
_CLIP_MEAN, _CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
_TOWER: dict[str, Any] = {
    "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2,
}  # fmt: skip


def clip_folder(folder: Path, *, size: int = SIZE, patch: int = 16, tower: dict[str, Any] = _TOWER, dim: int = DIM,
                vision: dict[str, Any] | None = None) -> Path:  # fmt: skip
    """A CLIPModel, as transformers saves it."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(1)
    config = CLIPConfig(
        projection_dim=dim,
        text_config={**tower, "projection_dim": dim, "eos_token_id": 49_407},
        vision_config={**(vision or tower), "image_size": size, "patch_size": patch, "projection_dim": dim},
    )
    CLIPModel(config).save_pretrained(folder)
    processor = {
        "do_resize": True, "size": {"shortest_edge": size}, "resample": 3, "do_center_crop": True,
        "crop_size": {"height": size, "width": size}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def siglip_folder(folder: Path, *, size: int = SIZE, patch: int = 16, tower: dict[str, Any] = _TOWER,
                  words: int = 12) -> Path:  # fmt: skip
    """A SiglipModel with a vocabulary of its own, and a scale and a bias that somebody has learned."""
    import torch
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(2)
    config = SiglipConfig(
        text_config={**tower, "vocab_size": words, "projection_size": tower["hidden_size"]},
        vision_config={**tower, "image_size": size, "patch_size": patch},
    )
    model = SiglipModel(config)
    with torch.no_grad():
        model.logit_scale.fill_(4.7)
        model.logit_bias.fill_(-12.5)
    model.save_pretrained(folder)
    processor = {
        "do_resize": True, "size": {"height": size, "width": size}, "resample": 3, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    known = ["<pad>", "</s>", "<unk>", "a", "dog", "cat", "two", "cups", "of", "coffee", "on", "wooden"]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(known)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="$0 </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "</s>"}))
    return folder


def openclip_folder(folder: Path, settings: dict[str, Any], preprocess: dict[str, Any], *, seed: int = 3) -> Path:
    """A model of OpenCLIP's with these `model_cfg`; needs tests.support.torchvision where there is no torchvision."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": settings, "preprocess_cfg": preprocess}))
    built = {key: value for key, value in settings.items() if key != "custom_text"}
    kind = open_clip.model.CustomTextCLIP if settings.get("custom_text") else open_clip.model.CLIP
    model = kind(**json.loads(json.dumps(built)))
    save_file({name: one.contiguous() for name, one in model.state_dict().items()},
              folder / "open_clip_model.safetensors")  # fmt: skip
    return folder


def openclip_settings(*, quick_gelu: bool) -> dict[str, Any]:
    return {
        "embed_dim": DIM, "quick_gelu": quick_gelu,
        "vision_cfg": {"image_size": SIZE, "layers": LAYERS, "width": WIDTH, "patch_size": 16, "head_width": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49_408, "width": WIDTH, "heads": 2, "layers": 3},
    }  # fmt: skip


OPENCLIP_PICTURES = {
    "mean": _CLIP_MEAN, "std": _CLIP_STD, "interpolation": "bicubic", "resize_mode": "shortest",
}  # fmt: skip
