"""All of `clipsearch model quantize`, one step after the other: make the files, compare, add."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from clipsearch.engine.backends import is_installed
from clipsearch.engine.candidates import Candidate, default_candidate
from clipsearch.engine.cards import ModelCard, TowerFile, Variant
from clipsearch.engine.quantize.activations import to_int8
from clipsearch.engine.quantize.adding import added, described, new_stem, opened_for_adding
from clipsearch.engine.quantize.compare import Views, compared
from clipsearch.engine.quantize.feeds import embedding_output, image_feeds, text_feeds
from clipsearch.engine.quantize.material import Material
from clipsearch.engine.quantize.weights import to_blocks, to_fp16
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.errors import ModelError

Precision = Literal["fp16", "int8", "int4"]
Role = Literal["image", "text"]
ROLES: tuple[Role, Role] = ("image", "text")

_MODULES = ("onnx", "nncf")  # of the extra
_BATCH = 4  # photos at a time where they are compared


@dataclass(frozen=True, slots=True)
class Doing:
    """A step that begins now."""

    what: str


@dataclass(frozen=True, slots=True)
class Added:
    """A variant is in the model's folder."""

    card: ModelCard
    variant: Variant


@dataclass(frozen=True, slots=True)
class _Recipe:
    name: str  # of the variant
    runtimes: tuple[str, ...]  # that open it; all where none is named
    suffix: str
    make: Callable[[ModelCard, Role, Path, Material], Iterator[str]]


def check_extra() -> None:
    """Raises ModelError where the extra is not installed; loads nothing."""
    if missing := [module for module in _MODULES if importlib.util.find_spec(module) is None]:
        raise ModelError(f"Quantising needs {' and '.join(missing)}.", "pip install 'clipsearch[quantize]'")


def quantized(
    card: ModelCard, models: Path, precision: Precision, material: Material, least_cosine: float, least_top10: float
) -> Iterator[Doing | Added]:
    """Makes the variants of that precision, compares each with the reference and adds it to the model's card.

    Raises ModelError for a model that cannot be quantised, SystemFault for the disk, LibraryError where another
    process changes the model.
    """
    with opened_for_adding(card, models) as here:
        yield Doing("the reference's vectors")
        reference = _views(here, default_candidate(here), material)
        for recipe in _recipes(precision):
            towers: dict[Role, TowerFile] = {}
            for role in ROLES:
                yield Doing(f"{recipe.name}: the {role} tower")
                target = here.folder / f"{new_stem(recipe.name, role)}{recipe.suffix}"
                for what in recipe.make(here, role, target, material):
                    yield Doing(f"{recipe.name}: the {role} tower, {what}")
                towers[role] = described(target)
            variant = Variant(recipe.name, towers["image"], towers["text"], recipe.runtimes)
            yield Doing(f"{recipe.name}: beside the reference")
            views = _views(_only(here, variant), default_candidate(_only(here, variant)), material)
            comparison = compared(views, reference, material.owners, least_cosine, least_top10)
            variant = replace(variant, compared=comparison)
            here = added(here, variant)
            yield Added(here, variant)


def _recipes(precision: Precision) -> list[_Recipe]:
    if precision == "fp16":
        return [_Recipe("fp16", (), ".onnx", lambda card, role, target, _: _plainly(to_fp16, card, role, target))]
    blocks = _Recipe(
        f"{precision}-onnxruntime",
        ("onnxruntime",),
        ".onnx",
        lambda card, role, target, _: _plainly(partial(to_blocks, bits=int(precision[3:])), card, role, target),
    )
    if precision == "int4":
        return [blocks]
    openvino = _Recipe("int8-openvino", ("openvino",), ".xml", _int8_ir)
    return [one for one in (openvino, blocks) if is_installed(one.runtimes[0])]


def _plainly(make: Callable[[Path, Path], None], card: ModelCard, role: Role, target: Path) -> Iterator[str]:
    make(card.folder / _tower(card, role).file, target)
    yield from ()


def _int8_ir(card: ModelCard, role: Role, target: Path, material: Material) -> Iterator[str]:
    feeds = image_feeds(card, material.pixels) if role == "image" else text_feeds(card, material.texts)
    yield from to_int8(card.folder / _tower(card, role).file, target, feeds, embedding_output(card, role))


def _tower(card: ModelCard, role: Role) -> TowerFile:
    return card.reference.image if role == "image" else card.reference.text


def _only(card: ModelCard, variant: Variant) -> ModelCard:
    """The card as if that were all of the model."""
    return replace(card, variants=(variant,))


def _views(card: ModelCard, candidate: Candidate, material: Material) -> Views:
    """One tower at a time is in memory."""
    candidate = replace(candidate, batch=_BATCH)
    photos = ImageTower(card, candidate).encode_pixels(material.held_pixels)
    tower = TextTower(card, candidate)
    texts, labels = (tower.encode(list(some)).vectors for some in (material.held_texts, material.labels))
    return Views(photos, texts, labels)
