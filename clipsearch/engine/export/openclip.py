"""OpenCLIP's models: by its own name and tag, or a folder in its layout (open_clip_config.json and weights)."""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clipsearch.engine.cards import Scoring
from clipsearch.engine.export.causal import CausalText
from clipsearch.engine.export.loaded import LoadedModel
from clipsearch.engine.pulling.catalogue import canonical, entry_for, nearest
from clipsearch.engine.pulling.layouts import checkpoint_layout
from clipsearch.engine.pulling.published import openclip_described
from clipsearch.errors import ModelError

OPENCLIP_CONFIG = "open_clip_config.json"
_WHERE_ANY_TEXT_ENDS = ("argmax", "eos")  # pooling that finds the end of a text by its ids, wherever it is


def open_openclip(name: str, pretrained: str | None = None) -> LoadedModel:
    """`NAME` with its tag, `NAME/tag`, or a folder with open_clip_config.json. Raises ModelError."""
    if (Path(name) / OPENCLIP_CONFIG).is_file():
        return _from_folder(Path(name))
    architecture, _, tag = name.partition("/")
    return _from_tag(architecture, pretrained or tag)


def loaded_openclip(
    model: Any,  # CLIP or CustomTextCLIP
    model_cfg: dict[str, Any],
    preprocess_cfg: dict[str, Any],
    name: str,
    origin: str,
    licence: str,
    tokenizer: Path | None = None,
) -> LoadedModel:
    """A model of OpenCLIP's classes, with the settings that it was built from. Raises ModelError."""
    from timm.models import reparameterize_model

    # MobileCLIP trains with several branches a layer, which are one convolution afterwards (ml-mobileclip README).
    model = reparameterize_model(model.float().eval())
    folder = tokenizer.parent if tokenizer else Path()
    size = getattr(model.visual, "image_size", None)
    size = list(size) if isinstance(size, tuple) else size
    described = openclip_described(
        model_cfg,
        {"resize_mode": "shortest", "interpolation": "bicubic", **_listed(preprocess_cfg), "size": size},
        checkpoint_layout([path.name for path in folder.iterdir()] if tokenizer else []),
        folder,
        origin,
        entry_for(name),
    )
    text, is_causal = _text_tower(model)
    bias = getattr(model, "logit_bias", None)
    return LoadedModel(
        name=name,
        origin=origin,
        licence=licence,
        image=model.visual,
        text=text,
        dim=described.dim,
        image_input=described.image,
        text_input=replace(described.text, padding="longest" if is_causal else "context"),
        scoring=Scoring("softmax", _exp(model.logit_scale)) if bias is None
        else Scoring("sigmoid", _exp(model.logit_scale), float(bias.detach())),
        activation=_activation(model_cfg),
        is_causal=is_causal,
        tokenizer=tokenizer,
    )  # fmt: skip


def _text_tower(model: Any) -> tuple[nn.Module, bool]:
    """The text tower, and whether it takes texts of any length."""
    text = getattr(model, "text", model)  # CLIP keeps the parts of its text tower itself, CustomTextCLIP in `text`
    pool = getattr(text, "text_pool_type", None) or getattr(text, "pool_type", None)
    mask = getattr(text, "attn_mask", None)
    if mask is None or pool not in _WHERE_ANY_TEXT_ENDS or getattr(text, "cls_emb", None) is not None:
        if text is model:
            raise ModelError(f"The text tower of this model pools by {pool}, which clipsearch does not know.", "")
        return text, False
    end = getattr(text, "text_eos_id", None) or getattr(text, "eos_id", None) if pool == "eos" else None
    return CausalText(
        text.token_embedding, text.positional_embedding, text.transformer, text.ln_final, text.text_projection, end
    ), True


def _from_folder(folder: Path) -> LoadedModel:
    try:
        model_cfg = json.loads((folder / OPENCLIP_CONFIG).read_text("utf-8"))["model_cfg"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder / OPENCLIP_CONFIG} is no configuration of OpenCLIP ({error}).", "Fetch the folder again."
        ) from error
    model = _created(f"local-dir:{folder}", str(folder), require_pretrained=True)
    entry = entry_for(folder.name)
    tokenizer = folder / "tokenizer.json"
    return loaded_openclip(
        model,
        model_cfg,
        open_clip_package().get_model_preprocess_cfg(model),  # the folder's, and OpenCLIP's own where it says nothing
        entry.name if entry else canonical(folder.name),
        str(folder.absolute()),
        entry.licence_text if entry else "not stated",
        tokenizer if model_cfg["text_cfg"].get("hf_tokenizer_name") and tokenizer.is_file() else None,
    )


def _from_tag(architecture: str, tag: str) -> LoadedModel:
    open_clip = open_clip_package()
    config = open_clip.get_model_config(architecture)
    if config is None:
        near = nearest(architecture, open_clip.list_models())
        did = f' Did you mean "{near}"?' if near else ""
        raise ModelError(
            f'OpenCLIP has no model "{architecture}", and there is no such folder.{did}',
            "Name one of OpenCLIP's models with its weights (ViT-B-32/laion2b_s34b_b79k), or a folder.",
        )
    known = open_clip.get_pretrained_cfg(architecture, tag) if tag else None
    if not known:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        which = f'"{tag}" is none of' if tag else "Say which of its weights are meant:"
        raise ModelError(
            f"{architecture} alone is no model. {which} {', '.join(tags)}.",
            f"clipsearch model export {architecture}/{tags[0] if tags else 'WEIGHTS'}",
        )
    # The tag knows what its weights were trained with, and create_model only warns (open_clip#771).
    quick = bool(known.get("quick_gelu", False))
    origin = f"OpenCLIP {architecture}/{tag}"
    model = _created(architecture, origin, pretrained=tag, quick_gelu=quick, require_pretrained=True)
    entry = entry_for(f"{architecture}__{tag}")
    return loaded_openclip(
        model,
        {**config, "quick_gelu": quick},
        open_clip.get_model_preprocess_cfg(model),
        entry.name if entry else canonical(f"{architecture}-{tag}"),
        origin,
        entry.licence_text if entry else "not stated",
        _fetched_tokenizer(config["text_cfg"].get("hf_tokenizer_name"), origin),
    )


def _created(name: str, origin: str, **settings: Any) -> Any:
    open_clip = open_clip_package()
    try:
        with _quietly():
            return open_clip.create_model(name, **settings)
    except Exception as error:  # OpenCLIP raises what its readers, its hub and torch raise
        raise ModelError(
            f"OpenCLIP cannot load {origin}: {error}", "Check the name and the network, or name the folder of a copy."
        ) from error


def _fetched_tokenizer(repository: str | None, origin: str) -> Path | None:
    if not repository:
        return None
    from transformers.utils.hub import cached_file

    try:
        cached_file(repository, "tokenizer_config.json")
        found = cached_file(repository, "tokenizer.json")
    except OSError as error:
        raise ModelError(f"The tokenizer of {origin} cannot be had: {error}", "Check the network.") from error
    return Path(str(found))


def open_clip_package() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise ModelError(
            f"The export of OpenCLIP's models needs a package that is not installed ({error.name}).",
            "pip install 'clipsearch[openclip]'",
        ) from error
    return open_clip


@contextmanager
def _quietly() -> Iterator[None]:
    """OpenCLIP tells its story on the root logger, and warns of the activation that is set right above."""
    root, before = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(before)


def _activation(config: dict[str, Any]) -> str:
    if config.get("quick_gelu"):
        return "quickgelu"
    kind = (config["text_cfg"].get("act_kwargs") or {}).get("approximate", "none")
    return "gelu" if kind == "none" else f"gelu-{kind}"


def _listed(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}


def _exp(scale: torch.Tensor) -> float:
    return math.exp(float(scale.detach()))
