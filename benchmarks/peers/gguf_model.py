"""The random ViT-B/32 of random_clip.py as clip.cpp's converter would write it: GGUF, matrices in f16.

    python benchmarks/peers/gguf_model.py OUT.gguf

Names and types are those of clip.cpp's convert_hf_to_gguf.py: tensors of rank 2 called weight and those of rank 4 are
f16, all others f32; a vocabulary without merges. Needs gguf, torch and transformers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np
from random_clip import random_clip

from clipsearch.engine.tokenize import clip_tokenizer

NAME = "vit-b-32"
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
RENAMED = (
    ("text_model", "t"), ("vision_model", "v"), ("encoder.layers", "blk"), ("embeddings.", ""), ("_proj", ""),
    ("self_attn.", "attn_"), ("layer_norm", "ln"), ("layernorm", "ln"), ("mlp.fc1", "ffn_down"),
    ("mlp.fc2", "ffn_up"), ("embedding", "embd"), ("final", "post"), ("layrnorm", "ln"),
)  # fmt: skip


def write(path: Path) -> None:
    model = random_clip(NAME)
    text, vision, dim = model.config.text_config, model.config.vision_config, model.config.projection_dim
    out = gguf.GGUFWriter(str(path), "clip")
    out.add_bool("clip.has_text_encoder", True)
    out.add_bool("clip.has_vision_encoder", True)
    out.add_file_type(1)  # f16
    out.add_name(NAME)
    out.add_description("random weights, for benchmarks")
    out.add_bool("clip.use_gelu", False)  # QuickGELU
    for part, config in (("text", text), ("vision", vision)):
        out.add_uint32(f"clip.{part}.embedding_length", config.hidden_size)
        out.add_uint32(f"clip.{part}.feed_forward_length", config.intermediate_size)
        out.add_uint32(f"clip.{part}.projection_dim", dim)
        out.add_uint32(f"clip.{part}.attention.head_count", config.num_attention_heads)
        out.add_float32(f"clip.{part}.attention.layer_norm_epsilon", config.layer_norm_eps)
        out.add_uint32(f"clip.{part}.block_count", config.num_hidden_layers)
    out.add_uint32("clip.text.context_length", text.max_position_embeddings)
    words = clip_tokenizer().get_vocab()
    out.add_token_list(sorted(words, key=words.__getitem__))
    out.add_uint32("clip.vision.image_size", vision.image_size)
    out.add_uint32("clip.vision.patch_size", vision.patch_size)
    out.add_array("clip.vision.image_mean", MEAN)
    out.add_array("clip.vision.image_std", STD)
    for name, tensor in model.state_dict().items():
        if name == "logit_scale" or name.endswith("position_ids"):
            continue
        values = tensor.numpy().squeeze()
        is_half = values.ndim == 4 or (values.ndim == 2 and name.endswith(".weight"))
        out.add_tensor(renamed(name), values.astype(np.float16 if is_half else np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def renamed(name: str) -> str:
    if "projection" not in name:
        for hers, theirs in RENAMED:
            name = name.replace(hers, theirs)
    return name


if __name__ == "__main__":
    write(Path(sys.argv[1]))
