"""What others published of their models, to stand beside what was measured here: published.toml as data.

A published figure is never ours: tables keep the two in columns of their own.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clipsearch.engine.cards import ModelCard
from clipsearch.engine.pulling.catalogue import canonical, entry_for

_FILE = Path(__file__).with_suffix(".toml")
_FACTS = {"title", "source", "params"}  # of a model; all other keys are sets
_NEAREST = 3  # models that stand in for one without figures


@dataclass(frozen=True, slots=True)
class PublishedModel:
    name: str  # the catalogue's, where it has it
    title: str  # as its publishers write it
    source: str
    params: float | None  # millions, both towers
    figures: dict[str, tuple[float, ...]]  # percent: top-1 of a set; of captions R@1 to the photo and of the photo


@cache
def published_models() -> tuple[PublishedModel, ...]:
    table = tomllib.loads(_FILE.read_text("utf-8"))
    return tuple(_model(name, row, table["sources"]) for name, row in table["models"].items())


@dataclass(frozen=True, slots=True)
class Beside:
    """What may stand beside a measured figure."""

    model: PublishedModel | None  # the same one, if its figure over this set is published
    others: tuple[PublishedModel, ...]  # without it: those with a figure over this set, nearest in size first


def published_beside(card: ModelCard, set_name: str | None) -> Beside:
    """`set_name` as known_sets names it, or flickr30k or coco. Beside a set without figures stands nothing."""
    having = [one for one in published_models() if set_name in one.figures]
    entry = entry_for(card.name)
    same = next((one for one in having if one.name == (entry.name if entry else canonical(card.name))), None)
    if same is not None:
        return Beside(same, ())
    return Beside(None, tuple(sorted(having, key=lambda one: _distance(one, _millions(card)))[:_NEAREST]))


def sources(models: Sequence[PublishedModel]) -> tuple[str, ...]:
    """Where the figures stand, each source once."""
    return tuple(dict.fromkeys(one.source for one in models))


def _distance(model: PublishedModel, millions: float) -> float:
    """Twice the size is as far as half of it; a size that nobody published is farthest."""
    return abs(math.log(model.params / millions)) if model.params else math.inf


def _millions(card: ModelCard) -> float:
    """Weights of the card's reference, were each of them four bytes: near enough to say which models are alike."""
    towers = (card.reference.image, card.reference.text)
    files = {name for tower in towers for name, _ in tower.files}
    return max(1.0, sum((card.folder / name).stat().st_size for name in files) / 4e6)


def _model(name: str, row: dict[str, Any], names: dict[str, str]) -> PublishedModel:
    figures = {key: _figures(value) for key, value in row.items() if key not in _FACTS}
    return PublishedModel(name, row["title"], names[row["source"]], row.get("params"), figures)


def _figures(value: Any) -> tuple[float, ...]:
    return (value["text_to_image"], value["image_to_text"]) if isinstance(value, dict) else (value,)
