"""SOURCE of `clipsearch model export` -> LoadedModel: what it is, is told by its content and never by its name.

    a folder    open_clip_config.json: OpenCLIP. config.json and weights: transformers
    a file      GGUF: clip.cpp. A zip with code in it: OpenAI's archive. Other zips, pickles, safetensors: a state dict
    a name      of OpenCLIP, with its weights

A state dict alone says neither its activation nor how pictures are prepared, and a wrong guess loads without an error:
OpenCLIP's settings beside it say it, or the person who exports.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from clipsearch.engine.export.clip_cpp import open_clip_cpp
from clipsearch.engine.export.clip_weights import (
    ClipShape,
    UnknownShape,
    Weights,
    built_openclip,
    built_resnet,
    built_vit,
    inferred_shape,
    openclip_config,
    weights_only,
)
from clipsearch.engine.export.gguf_file import MAGIC
from clipsearch.engine.export.loaded import LoadedModel
from clipsearch.engine.export.openai_archive import is_torchscript, read_archive
from clipsearch.engine.export.openclip import OPENCLIP_CONFIG, loaded_openclip, open_openclip
from clipsearch.engine.export.state_dict import is_safetensors, read_state_dict
from clipsearch.engine.export.transformers_clip import loaded_transformers, open_transformers
from clipsearch.engine.pulling.catalogue import canonical, entry_for
from clipsearch.engine.pulling.layouts import HF_CONFIG
from clipsearch.errors import ModelError, SystemFault, UsageError

_KINDS = "OpenCLIP's NAME/WEIGHTS, a folder of OpenCLIP or transformers, a .pt, .bin, .safetensors or .gguf file"
_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors", ".gguf", ".ckpt")
_OLD_GGML = (b"lmgg", b"tjgg", b"fmgg")
_ASSUMED = "the checkpoint does not say how pictures are prepared; OpenAI's way was assumed"


def loaded_source(source: str, activation: str | None = None) -> LoadedModel:
    """The model that SOURCE is; `activation` says what a state dict alone does not.

    Raises ModelError, UsageError, SystemFault.
    """
    path = Path(source)
    if path.is_dir() or path.is_file():
        try:
            loaded = _from_folder(path) if path.is_dir() else _from_file(path, activation)
        except OSError as error:
            raise SystemFault(f"{source} cannot be read ({error.strerror}).", "Change its permissions.") from error
    elif source.startswith(("/", "./", "../", "~")) or source.lower().endswith(_SUFFIXES):
        raise ModelError(f"There is no {source}.", f"Name what is to be exported: {_KINDS}.")
    else:
        loaded = open_openclip(source)
    if activation not in (None, loaded.activation):
        raise UsageError(
            f"{source} says itself that its activation is {loaded.activation}, not {activation}.",
            "Leave --activation out.",
        )
    return loaded


def _from_folder(folder: Path) -> LoadedModel:
    names = {entry.name for entry in folder.iterdir()}
    if OPENCLIP_CONFIG in names:
        return open_openclip(str(folder))
    if names & {"card.toml", "visual", "onnx"}:
        raise ModelError(f"{folder} holds towers that are exported already.", f"clipsearch model pull {folder}")
    if HF_CONFIG in names:
        return open_transformers(folder)
    raise ModelError(
        f"{folder} holds neither {OPENCLIP_CONFIG} nor {HF_CONFIG}, so it is no folder of a checkpoint.",
        f"Name what is to be exported: {_KINDS}.",
    )


def _from_file(path: Path, activation: str | None) -> LoadedModel:
    with path.open("rb") as handle:
        head = handle.read(16)
    if head.startswith(MAGIC):
        return open_clip_cpp(path, _name(path), _licence(path))
    if is_torchscript(path):
        archive = read_archive(path)
        weights = weights_only({name: torch.from_numpy(array) for name, array in archive.tensors.items()})
        return _built(path, weights, _shape(path, weights), archive.activation)
    is_safe = is_safetensors(path, head)
    if not is_safe and not head.startswith((b"PK\x03\x04", b"\x80")):  # a zip, a pickle
        kind = "a file of the time before GGUF" if head.startswith(_OLD_GGML) else "no checkpoint that clipsearch knows"
        raise ModelError(f"{path} is {kind}.", f"Name what is to be exported: {_KINDS}.")
    return _from_weights(path, weights_only(read_state_dict(path, is_safe=is_safe)), activation)


def _from_weights(path: Path, weights: Weights, activation: str | None) -> LoadedModel:
    config = path.parent / OPENCLIP_CONFIG
    if config.is_file():
        return _configured(path, weights, config)
    if any(name.startswith(("vision_model.", "text_model.")) for name in weights):
        raise ModelError(
            f"{path} holds weights in transformers' form, which say nothing of how they are used.",
            f"Name their folder, with its {HF_CONFIG} in it: clipsearch model export {path.parent}",
        )
    shape = _shape(path, weights)  # what it is not, is said before what it does not say
    if activation is None:
        raise ModelError(
            f"{path} does not say which activation its towers were trained with, and with a wrong one they find worse.",
            f"For OpenAI's, DFN's and MetaCLIP's weights add --activation quickgelu, for LAION's and DataComp's "
            f"--activation gelu; or put their {OPENCLIP_CONFIG} beside it.",
        )
    return replace(_built(path, weights, shape, activation), caution=_ASSUMED)


def _shape(path: Path, weights: Weights) -> ClipShape:
    try:
        return inferred_shape(weights)
    except UnknownShape as reason:
        raise _unknown(path, reason) from None


def _built(path: Path, weights: Weights, shape: ClipShape, activation: str) -> LoadedModel:
    described = (_name(path), str(path.absolute()), _licence(path))
    try:
        if shape.patch is not None:
            model = built_vit(weights, shape, activation)
            return loaded_transformers(model, shape.image_input, shape.text_input, *described)
        config = openclip_config(shape, activation)
        model = built_resnet(weights, config)
    except UnknownShape as reason:
        raise _unknown(path, reason) from None
    image = shape.image_input
    return loaded_openclip(model, config, {"mean": image.mean, "std": image.std}, *described)


def _configured(path: Path, weights: Weights, config: Path) -> LoadedModel:
    """Built as OpenCLIP's settings beside it say."""
    try:
        settings = json.loads(config.read_text("utf-8"))
        model_cfg, preprocess_cfg = dict(settings["model_cfg"]), dict(settings["preprocess_cfg"])
        words = model_cfg["text_cfg"].get("hf_tokenizer_name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{config} is no configuration of OpenCLIP ({error}).", "Fetch it again.") from error
    try:
        model = built_openclip(weights, model_cfg)
    except UnknownShape as reason:
        raise ModelError(f"{path} {reason} as its {OPENCLIP_CONFIG} says.", "Put the right one beside it.") from None
    tokenizer = path.parent / "tokenizer.json" if words else None
    described = (_name(path), str(path.absolute()), _licence(path))
    return loaded_openclip(model, model_cfg, preprocess_cfg, *described, tokenizer)


def _unknown(path: Path, reason: UnknownShape) -> ModelError:
    return ModelError(f"{path} {reason}.", f"Put its {OPENCLIP_CONFIG} beside it, or name another source.")


def _name(path: Path) -> str:
    entry = entry_for(path.stem)
    return entry.name if entry else canonical(path.stem)


def _licence(path: Path) -> str:
    entry = entry_for(path.stem)
    return entry.licence_text if entry else "not stated"
