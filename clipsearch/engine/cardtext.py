"""ModelCard -> the text of its card.toml, which `cards.read_card` reads back as the same card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from clipsearch.engine.cards import ModelCard, TowerFile
from clipsearch.toml_text import key_text, pairs, quoted, table, value_text


def card_text(card: ModelCard) -> str:
    lines = pairs(
        name=card.name,
        version=card.version,
        summary=card.summary,
        licence=card.licence,
        caution=card.caution,
        origin=card.origin,
        dim=card.dim,
        activation=card.activation,
    )
    image, text, scoring = card.image, card.text, card.scoring
    lines += table(
        "image",
        size=image.size,
        resize=image.resize,
        interpolation=image.interpolation,
        mean=image.mean,
        std=image.std,
        soften=image.soften or None,
    )
    lines += table(
        "text",
        tokenizer=text.tokenizer,
        cleaning=text.cleaning,
        context=text.context,
        padding=text.padding,
        pad_id=text.pad_id,
    )
    lines += table("scoring", kind=scoring.kind, scale=scoring.scale, bias=scoring.bias or None)
    for variant in card.variants:
        towers: dict[str, TowerFile] = {"image": variant.image, "text": variant.text}
        key = f"variants.{key_text(variant.name)}"
        digests = {f"{role}_sha256": tower.sha256 for role, tower in towers.items()}
        files = {role: tower.file for role, tower in towers.items()}
        lines += table(key, **files, **digests, runtimes=variant.runtimes or None)
        for role, tower in towers.items():
            lines += _named(f"{key}.{role}_data", dict(tower.data))
        if variant.compared is not None:
            lines += table(f"{key}.compared", **asdict(variant.compared))
    lines += _named("measured", card.measured)
    lines += _named("files", card.files)
    return "\n".join(lines) + "\n"


def _named(name: str, values: Mapping[str, object]) -> list[str]:
    """A table whose keys are names of files or sentences; none where it is empty."""
    return (
        ["", f"[{name}]", *(f"{quoted(key)} = {value_text(value)}" for key, value in values.items())] if values else []
    )
