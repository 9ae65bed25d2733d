"""The public models of the CLIP family that are known here: catalogue.toml as data, and the names they go by.

Says what is published about a model and where its files are. Knows no network and nothing of what is installed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clipsearch.engine.cards import Cleaning, ImageInput, Padding, Scoring

_FILE = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True, slots=True)
class Family:
    """What the models of a family have in common: preprocessing without the size, text rules, activation."""

    languages: str
    image: ImageInput  # of the size of no model: `size` is 0
    vocabulary: str  # "clip-bpe", or "file": the tokenizer.json beside the model
    cleaning: Cleaning
    context: int  # tokens
    padding: Padding
    pad_id: int
    start_id: int | None  # what the vocabulary's own file puts around a text
    end_id: int | None
    activation: str  # of the text tower's MLPs: "gelu", "quickgelu", or "any" where it is not looked at
    scoring: Scoring
    caution: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One model, as it is published."""

    name: str
    title: str
    family: Family
    repository: str | None  # of ready-made ONNX towers
    graphs: str | None  # the folder of the two graphs in it, where the layout has no settings of its own
    weights: str | None  # what they could be exported from
    aliases: tuple[str, ...]
    size: int  # px
    dim: int
    params: tuple[float, ...]  # millions: image, text; or both in one
    gflop: float | None  # one photo and one text
    gflop_computed: bool  # by the rule in catalogue.toml, not published
    megabytes: float
    licence: str
    licence_text: str
    restricted: bool  # research only, or no commercial use
    imagenet: float | None  # percent, zero-shot top-1
    flickr: float | None  # percent, text-to-image R@1
    coco: float | None  # percent, text-to-image R@1
    crossmodal: float | None  # percent, text-to-image R@1, mean of 36 languages
    source: str | None  # of the numbers
    unconfirmed: tuple[str, ...]

    @property
    def value(self) -> float | None:
        """COCO text-to-image R@1 per GFLOP: what a photo costs to index decides, and this is what it buys."""
        return self.coco / self.gflop if self.coco and self.gflop else None

    @property
    def image(self) -> ImageInput:
        shared = self.family.image
        return ImageInput(self.size, shared.resize, shared.interpolation, shared.mean, shared.std)


@cache
def catalogue() -> tuple[Entry, ...]:
    """Every entry, most retrieval per cost first; those whose cost or retrieval is unknown follow, by name."""
    table = tomllib.loads(_FILE.read_text("utf-8"))
    entries = [_entry(name, row, table) for name, row in table["models"].items()]
    return tuple(sorted(entries, key=lambda entry: (-(entry.value or 0), entry.name)))


def entry_for(name: str) -> Entry | None:
    """The entry of this name, however it is written: ours, immich's, or that of its repository."""
    wanted = canonical(name)
    return next((entry for entry in catalogue() if wanted in _names(entry)), None)


def canonical(name: str) -> str:
    """How names are compared, and how folders of pulled models are called: `ViT-B-32__openai` is vit-b-32-openai.

    >>> canonical(" ViT-B-32__openai ")
    'vit-b-32-openai'
    """
    return re.sub(r"[\s_:/\\.-]+", "-", name.lower()).strip("-")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, whatever its case; None where none is near."""
    by_form = {canonical(one): one for one in known}
    near = difflib.get_close_matches(canonical(name), by_form, n=1)
    return by_form[near[0]] if near else None


def _names(entry: Entry) -> set[str]:
    repositories = [name for name in (entry.repository, entry.weights) if name]
    # Some repositories hold several models, and their bare name is none of them.
    bare = [name.partition("/")[2] for name in repositories if not entry.graphs]
    whole = [] if entry.graphs else repositories
    return {canonical(name) for name in (entry.name, *entry.aliases, *whole, *bare)}


def _entry(name: str, row: dict[str, Any], table: dict[str, Any]) -> Entry:
    licence = table["licences"][row["licence"]]
    return Entry(
        name=name,
        title=row["title"],
        family=_family(_inherited(row["family"], table["families"])),
        repository=row.get("repository"),
        graphs=row.get("graphs"),
        weights=row.get("weights"),
        aliases=tuple(row.get("aliases", ())),
        size=row["size"],
        dim=row["dim"],
        params=tuple(row["params"]),
        gflop=row.get("gflop"),
        gflop_computed=row.get("gflop_computed", False),
        megabytes=row["megabytes"],
        licence=row["licence"],
        licence_text=licence["text"],
        restricted=licence.get("restricted", False),
        imagenet=row.get("imagenet"),
        flickr=row.get("flickr"),
        coco=row.get("coco"),
        crossmodal=row.get("crossmodal"),
        source=table["sources"][row["numbers"]] if "numbers" in row else None,
        unconfirmed=tuple(row.get("unconfirmed", ())),
    )


def _inherited(name: str, families: dict[str, Any]) -> dict[str, Any]:
    row = families[name]
    return {**_inherited(row["like"], families), **row} if "like" in row else row


def _family(row: dict[str, Any]) -> Family:
    mean, std = tuple(row["mean"]), tuple(row["std"])
    return Family(
        languages=row["languages"],
        image=ImageInput(0, row["resize"], row["interpolation"], mean, std),
        vocabulary=row["vocabulary"],
        cleaning=row["cleaning"],
        context=row["context"],
        padding=row["padding"],
        pad_id=row["pad_id"],
        start_id=row.get("start_id"),
        end_id=row.get("end_id"),
        activation=row["activation"],
        scoring=Scoring("softmax", row["scale"]),
        caution=row.get("caution"),
    )
