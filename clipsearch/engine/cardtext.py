"""ModelCard -> the text of its card.toml, which `cards.read_card` reads back as the same card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from clipsearch.engine.cards import ModelCard, TowerFile

_BARE = re.compile(r"[A-Za-z0-9_-]+")  # a key that TOML reads without quotes


def card_text(card: ModelCard) -> str:
    lines = _pairs(
        name=card.name,
        version=card.version,
        summary=card.summary,
        licence=card.licence,
        caution=card.caution,
        origin=card.origin,
        dim=card.dim,
    )
    image, text, scoring = card.image, card.text, card.scoring
    lines += _table(
        "image",
        size=image.size,
        resize=image.resize,
        interpolation=image.interpolation,
        mean=image.mean,
        std=image.std,
        soften=image.soften or None,
    )
    lines += _table(
        "text",
        tokenizer=text.tokenizer,
        cleaning=text.cleaning,
        context=text.context,
        padding=text.padding,
        pad_id=text.pad_id,
    )
    lines += _table("scoring", kind=scoring.kind, scale=scoring.scale, bias=scoring.bias or None)
    for variant in card.variants:
        towers: dict[str, TowerFile] = {"image": variant.image, "text": variant.text}
        key = f"variants.{variant.name if _BARE.fullmatch(variant.name) else _string(variant.name)}"
        digests = {f"{role}_sha256": tower.sha256 for role, tower in towers.items()}
        files = {role: tower.file for role, tower in towers.items()}
        lines += _table(key, **files, **digests, runtimes=variant.runtimes or None)
        for role, tower in towers.items():
            lines += _named(f"{key}.{role}_data", dict(tower.data))
        if variant.compared is not None:
            lines += _table(f"{key}.compared", **asdict(variant.compared))
    lines += _named("measured", card.measured)
    lines += _named("files", card.files)
    return "\n".join(lines) + "\n"


def _table(name: str, **values: object) -> list[str]:
    return ["", f"[{name}]", *_pairs(**values)]


def _pairs(**values: object) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]


def _named(name: str, values: Mapping[str, object]) -> list[str]:
    """A table whose keys are names of files or sentences; none where it is empty."""
    return ["", f"[{name}]", *(f"{_string(key)} = {_value(value)}" for key, value in values.items())] if values else []


def _value(value: object) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Iterable):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _string(text: str) -> str:
    """A basic string of TOML: as JSON writes it, but DEL must be escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
