"""Models of transformers: CLIPModel, and SiglipModel, whose class fixed-size SigLIP 2 has too."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clipsearch.engine.cards import ImageInput, Scoring, TextInput
from clipsearch.engine.export.causal import CausalText, project
from clipsearch.engine.export.loaded import LoadedModel
from clipsearch.engine.pulling.catalogue import canonical, entry_for
from clipsearch.engine.pulling.layouts import HF_CONFIG, HF_IMAGE, checkpoint_layout
from clipsearch.engine.pulling.published import described
from clipsearch.errors import ModelError

_ACTIVATIONS = {"quick_gelu": "quickgelu", "gelu": "gelu", "gelu_pytorch_tanh": "gelu-tanh"}
_ARGMAX = 2  # as the id of the end: files older than transformers 4.31, whose texts end at the largest id (#24773)


def open_transformers(folder: Path) -> LoadedModel:
    """A folder with config.json, preprocessor_config.json and weights; SigLIP's has a tokenizer.json too.

    Raises ModelError.
    """
    import transformers

    library: Any = transformers  # its types say less than it does
    names = [path.name for path in folder.iterdir()]
    for needed in (HF_CONFIG, HF_IMAGE):
        if needed not in names:
            raise ModelError(f"{folder} is not a whole model: {needed} is missing.", "Fetch the folder again.")
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        raise ModelError(f"{folder} holds no weights.", "Fetch model.safetensors into it.")
    entry = entry_for(folder.name)
    origin = str(folder.absolute())
    found = described(checkpoint_layout(names), folder, origin, entry)
    kind = _kind(folder / HF_CONFIG)
    classes = {"clip": library.CLIPModel, "siglip": library.SiglipModel}
    if kind not in classes:
        raise ModelError(
            f'{folder} is a "{kind}", of which no export is known; clipsearch exports clip and siglip.',
            "Fetch its ONNX towers instead: clipsearch model list",
        )
    # It narrates its loading, and draws a bar.
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    try:
        model = classes[kind].from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    except Exception as error:  # transformers raises what its readers and torch raise
        raise ModelError(f"transformers cannot load {folder}: {error}", "Fetch the folder again.") from error
    return loaded_transformers(
        model,
        found.image,
        found.text,
        entry.name if entry else canonical(folder.name),
        origin,
        entry.licence_text if entry else "not stated",
        folder / "tokenizer.json" if found.text.tokenizer == "tokenizer.json" else None,
    )


def loaded_transformers(
    model: Any,  # CLIPModel or SiglipModel
    image: ImageInput,
    text: TextInput,
    name: str,
    origin: str,
    licence: str,
    tokenizer: Path | None = None,
) -> LoadedModel:
    """A CLIPModel or a SiglipModel with its weights; `image` and `text` say what it is fed with."""
    model = model.float().eval()
    is_clip = hasattr(model, "visual_projection")
    scale = math.exp(float(model.logit_scale.detach()))
    return LoadedModel(
        name=name,
        origin=origin,
        licence=licence,
        image=_Image(model),
        text=_causal_text(model) if is_clip else _SiglipText(model.text_model),
        dim=model.config.projection_dim if is_clip else model.config.text_config.projection_size,
        image_input=image,
        text_input=replace(text, padding="longest" if is_clip else "context"),
        scoring=Scoring("softmax", scale) if is_clip else Scoring("sigmoid", scale, float(model.logit_bias.detach())),
        activation=_activation(model.config),
        is_causal=is_clip,
        tokenizer=tokenizer,
    )


class _Image(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower = model.vision_model
        self.projection = getattr(model, "visual_projection", None)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.tower(pixel_values=pixels).pooler_output
        return pooled if self.projection is None else project(pooled, self.projection)


class _SiglipText(nn.Module):
    """As the published class, which makes a mask that hides nothing, and that no graph needs."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.embeddings, self.norm, self.head = tower.embeddings, tower.final_layer_norm, tower.head
        self.transformer = _Layers(tower.encoder)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states = self.norm(self.transformer(self.embeddings(input_ids=ids)))
        pooled: torch.Tensor = self.head(states[:, -1])  # the last position, which may be padding
        return pooled


class _Layers(nn.Module):
    """The encoder's layers, under one mask as CausalText calls a transformer."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.layers = encoder.layers

    def forward(self, states: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        for layer in self.layers:
            states = layer(states, None if attn_mask is None else attn_mask[None, None])
        return states


def _causal_text(model: Any) -> CausalText:
    tower = model.text_model
    end = tower.config.eos_token_id
    return CausalText(
        tower.embeddings.token_embedding,
        tower.embeddings.position_embedding.weight,
        _Layers(tower.encoder),
        tower.final_layer_norm,
        model.text_projection,
        None if end == _ARGMAX else end,
    )


def _activation(config: Any) -> str:
    names = [part.hidden_act for part in (config.vision_config, config.text_config)]
    if unknown := [name for name in names if name not in _ACTIVATIONS]:
        raise ModelError(f'The activation "{unknown[0]}" is not known to clipsearch.', "Report the model.")
    return ", ".join(dict.fromkeys(_ACTIVATIONS[name] for name in names))


def _kind(path: Path) -> str:
    return str(json.loads(path.read_text("utf-8")).get("model_type"))
