"""What a published model says of itself, in the words of our card: settings of immich and of transformers.js.

The settings beside the graphs decide; the catalogue is what they are checked against. Nothing is guessed: what cannot
be said by a card, or contradicts what is known of the model, is a ModelError, and the model is not installed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from clipsearch.engine.cards import ImageInput, Interpolation, Resize, TextInput
from clipsearch.engine.pulling.catalogue import Entry, Family
from clipsearch.engine.pulling.layouts import HF_CONFIG, HF_IMAGE, IMMICH_CONFIG, IMMICH_IMAGE, Layout
from clipsearch.engine.tokenize import CLIP_BPE
from clipsearch.errors import ModelError

_RESAMPLE: dict[int, Interpolation] = {2: "bilinear", 3: "bicubic"}  # PIL's numbers
_CLIP_WORDS = 49_408
_NEAR = 0.005  # between a mean that is written with eight digits and one with three


@dataclass(frozen=True, slots=True)
class Described:
    image: ImageInput
    text: TextInput
    dim: int


class _Unfit(Exception):
    """What the settings say and a card cannot, as the end of a sentence."""


def described(layout: Layout, folder: Path, origin: str, entry: Entry | None) -> Described:
    """What the model in `folder` is. Raises ModelError."""
    try:
        if layout.kind == "graphs":
            if entry is None:
                raise _Unfit("holds graphs without their settings")
            found = Described(entry.image, _known_text(entry.family, layout, entry.family.context), entry.dim)
        elif layout.kind == "immich":
            found = _immich(layout, folder, entry)
        else:
            found = _transformers_js(layout, folder, entry)
        if entry:
            _agree(found, entry)
            if found.text.tokenizer != CLIP_BPE:
                _check_vocabulary(folder, layout, found.text, entry.family)
    except _Unfit as unfit:
        raise ModelError(
            f"{origin} {unfit}.", "Take another source of the model; the catalogue names the one that is known to fit."
        ) from None
    return found


def openclip_described(
    config: dict[str, Any], preprocess: dict[str, Any], layout: Layout, folder: Path, origin: str, entry: Entry | None
) -> Described:
    """What a model is whose OpenCLIP settings are at hand; its tokenizer, if it has one, is the layout's in `folder`.

    Raises ModelError.
    """
    try:
        found = _openclip(config, preprocess, layout, folder, entry)
        if entry:
            _agree(found, entry)
    except _Unfit as unfit:
        raise ModelError(f"{origin} {unfit}.", "Export another model, or mend its settings.") from None
    return found


# -- immich: the OpenCLIP config, and how the image is prepared ------------------------------------


def _immich(layout: Layout, folder: Path, entry: Entry | None) -> Described:
    return _openclip(_json(folder / IMMICH_CONFIG), _json(folder / IMMICH_IMAGE), layout, folder, entry)


def _openclip(
    config: dict[str, Any], preprocess: dict[str, Any], layout: Layout, folder: Path, entry: Entry | None
) -> Described:
    text = _at(config, dict, IMMICH_CONFIG, "text_cfg")
    size = preprocess.get("size")
    if isinstance(size, list):
        size = size[0] if size and size == size[:1] * 2 else _side({"both": size})
    image = ImageInput(
        _count(size, f"the size of its pictures in {IMMICH_IMAGE}"),
        # The key is younger than the layout.
        _known(preprocess.get("resize_mode", "shortest"), Resize, "resize_mode"),
        _known(preprocess.get("interpolation"), Interpolation, "interpolation"),
        _triple(preprocess.get("mean"), "mean"),
        _divisors(preprocess.get("std"), "std"),
    )
    context = _count(text.get("context_length", 77), "how many tokens it reads")
    if entry:
        words = _known_text(entry.family, layout, context)
    elif not text.get("hf_tokenizer_name"):
        _check_clip_words(text.get("vocab_size", _CLIP_WORDS))
        words = TextInput(CLIP_BPE, "clip", context, "context", 0)
    elif "nllb" in str(text["hf_tokenizer_name"]).lower():
        raise _Unfit("wants a code of the language before each text, which clipsearch does not know")
    else:
        how = text.get("tokenizer_kwargs") or {}
        clean = how.get("clean", "whitespace") if isinstance(how, dict) else how
        if clean not in ("canonicalize", "lower", "whitespace"):
            raise _Unfit(f'cleans texts by "{clean}", which clipsearch does not know')
        pad = _pad_id(folder, layout, _tokenizer(folder, layout))
        words = TextInput(_needed(layout.tokenizer, "tokenizer.json"), clean, context, "context", pad)
    return Described(image, words, _count(config.get("embed_dim"), "how wide its vectors are"))


# -- transformers.js: the transformers config and image processor ----------------------------------


def _transformers_js(layout: Layout, folder: Path, entry: Entry | None) -> Described:
    config = _json(folder / HF_CONFIG)
    text = _at({"text_config": config.get("text_config") or {}}, dict, HF_CONFIG, "text_config")
    kind = config.get("model_type")
    usual = entry.family.context if entry else 77 if kind == "clip" else 64  # transformers' own defaults
    context = _count(text.get("max_position_embeddings", usual), "how many tokens it reads")
    if entry:
        words = _known_text(entry.family, layout, context)
    elif kind == "clip":
        _check_clip_words(text.get("vocab_size", _CLIP_WORDS))
        # Whether its text tower is causal is not said; padded to the context every one of them is right.
        words = TextInput(CLIP_BPE, "clip", context, "context", 0)
    elif kind in ("siglip", "siglip2"):
        pad = _pad_id(folder, layout, _tokenizer(folder, layout))
        words = TextInput(_needed(layout.tokenizer, "tokenizer.json"), "canonicalize", context, "context", pad)
    else:
        raise _Unfit(f'is a "{kind}", which clipsearch does not know; it reads clip, siglip and siglip2')
    # SiglipModel has no projection; its vectors are as wide as its text tower.
    dim = config.get("projection_dim") or text.get("projection_dim") or (entry.dim if entry else None)
    if kind in ("siglip", "siglip2"):
        dim = text.get("hidden_size") or (entry.dim if entry else None)
    width = _count(dim, f"in {HF_CONFIG} how wide its vectors are")
    return Described(_hf_image(_json(folder / HF_IMAGE)), words, width)


def _hf_image(said: dict[str, Any]) -> ImageInput:
    if not said.get("do_resize", True) or said.get("do_pad"):
        raise _Unfit("prepares pictures without making them one size")
    factor = said.get("rescale_factor", 1 / 255)
    if not isinstance(factor, (int, float)) or not math.isclose(factor, 1 / 255, rel_tol=1e-3):
        raise _Unfit(f"scales pixels by {factor} and not by 1/255")
    size = said.get("size")
    crop = _side(said.get("crop_size")) if said.get("do_center_crop") else None
    if type(size) is int:
        size = {"shortest_edge": size} if crop else {"height": size, "width": size}
    if not isinstance(size, dict):
        raise _Unfit(f"does not say the size of its pictures in {HF_IMAGE}")
    resize: Resize
    if "shortest_edge" in size:
        side, resize = size["shortest_edge"], "shortest"
        if crop != side:
            raise _Unfit(f"makes the shortest side {side} px and crops to {crop}; clipsearch crops to that side only")
    else:
        side, resize = _side(size), "squash"
        if crop not in (None, side):
            raise _Unfit(f"makes pictures {side} px and crops to {crop}")
    method = said.get("resample")
    if type(method) is not int or method not in _RESAMPLE:
        raise _Unfit(f"resizes by method {method}; clipsearch knows 2 (bilinear) and 3 (bicubic)")
    plain = not said.get("do_normalize", True)
    mean = (0.0, 0.0, 0.0) if plain else _triple(said.get("image_mean"), "image_mean")
    std = (1.0, 1.0, 1.0) if plain else _divisors(said.get("image_std"), "image_std")
    return ImageInput(_count(side, "the size of its pictures"), resize, _RESAMPLE[method], mean, std)


def _side(size: Any) -> int:
    if type(size) is int:
        return size
    if isinstance(size, dict) and size.get("height") == size.get("width") and type(size.get("height")) is int:
        return int(size["height"])
    raise _Unfit(f"reads pictures of {json.dumps(size)}; clipsearch prepares square ones only")


# -- words -----------------------------------------------------------------------------------------


def _known_text(family: Family, layout: Layout, context: int) -> TextInput:
    vocabulary = CLIP_BPE if family.vocabulary == CLIP_BPE else _needed(layout.tokenizer, "tokenizer.json")
    # A graph of a fixed batch (immich's) has a fixed length too and is padded by the tower itself.
    return TextInput(vocabulary, family.cleaning, context, family.padding, family.pad_id)


def _check_clip_words(count: Any) -> None:
    if count != _CLIP_WORDS:
        raise _Unfit(f"has a vocabulary of {count} words and not CLIP's {_CLIP_WORDS}")


def _pad_id(folder: Path, layout: Layout, tokenizer: Any) -> int:
    config = _json(folder / _needed(layout.tokenizer_config, "tokenizer_config.json"))
    pad = config.get("pad_token")
    pad = pad.get("content") if isinstance(pad, dict) else pad
    number = tokenizer.token_to_id(pad) if isinstance(pad, str) else None
    if number is None:
        raise _Unfit("does not say what its texts are padded with")
    return int(number)


def _check_vocabulary(folder: Path, layout: Layout, text: TextInput, family: Family) -> None:
    """Its padding, and what the file puts around a text: the towers were trained with just that."""
    tokenizer = _tokenizer(folder, layout)
    if layout.tokenizer_config and (pad := _pad_id(folder, layout, tokenizer)) != text.pad_id:
        raise _Unfit(f"pads texts with {pad}; the catalogue says {text.pad_id}")
    ids = tokenizer.encode("a photo").ids
    if ids[-1] != family.end_id or (family.start_id is not None and ids[0] != family.start_id):
        framed = f"begin with {family.start_id} and end with" if family.start_id is not None else "end with"
        raise _Unfit(f"has a tokenizer that makes {ids} of two words; they should {framed} {family.end_id}")
    if family.start_id is None and ids[0] in {tokenizer.token_to_id(mark) for mark in ("<bos>", "<s>")}:
        raise _Unfit("has a tokenizer that begins a text with a mark of its own; this family has none")


def _tokenizer(folder: Path, layout: Layout) -> Any:
    from tokenizers import Tokenizer

    path = folder / _needed(layout.tokenizer, "tokenizer.json")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises plain Exception
        raise _Unfit(f"has a {path.name} that cannot be read ({error})") from error


# -- agreement with the catalogue ------------------------------------------------------------------


def _agree(found: Described, entry: Entry) -> None:
    """The interpolation may differ: re-exports of one model do, and the file beside the graph is what was used."""
    known = entry.image
    pairs = [
        ("a size of {} px", found.image.size, known.size),
        ('the resize "{}"', found.image.resize, known.resize),
        ("a context of {} tokens", found.text.context, entry.family.context),
        ("vectors of {} dimensions", found.dim, entry.dim if "dim" not in entry.unconfirmed else found.dim),
    ]
    for words, said, expected in pairs:
        if said != expected:
            raise _Unfit(f"has {words.format(said)}; the catalogue says {expected}")
    for name, numbers, others in (("mean", found.image.mean, known.mean), ("std", found.image.std, known.std)):
        if any(abs(one - other) > _NEAR for one, other in zip(numbers, others, strict=True)):
            raise _Unfit(f"has the {name} {list(numbers)}; the catalogue says {list(others)}")


# -- reading ---------------------------------------------------------------------------------------


def _json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text("utf-8"))
    except ValueError as error:  # also bytes that are not UTF-8
        raise _Unfit(f"has a {path.name} that is not JSON") from error
    if not isinstance(table, dict):
        raise _Unfit(f"has a {path.name} that is not a JSON object")
    return table


def _at(table: dict[str, Any], kind: Callable[..., Any], where: str, key: str) -> Any:
    value = table.get(key)
    if not isinstance(value, kind):  # type: ignore[arg-type]  # a type
        raise _Unfit(f"has no {key} in its {where}")
    return value


def _triple(value: Any, name: str) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(one, (int, float)) for one in value):
        raise _Unfit(f"has no {name} of three numbers")
    red, green, blue = map(float, value)
    return red, green, blue


def _divisors(value: Any, name: str) -> tuple[float, float, float]:
    triple = _triple(value, name)
    if 0 in triple:
        raise _Unfit(f"has a zero in its {name}")
    return triple


def _count(value: Any, what: str) -> int:
    if type(value) is not int or value < 1:
        raise _Unfit(f"does not say {what}")
    return value


def _known(value: Any, allowed: Any, name: str) -> Any:
    if not isinstance(value, str) or value not in get_args(allowed):
        raise _Unfit(f'has the {name} "{value}"; clipsearch knows {_listed(get_args(allowed))}')
    return value


def _listed(words: Iterable[str]) -> str:
    return " and ".join(words)


def _needed(name: str | None, what: str) -> str:
    if name is None:
        raise _Unfit(f"has no {what}")
    return name
