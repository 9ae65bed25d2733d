"""All of `clipsearch model quantize`, one step after the other: make the files, compare, add."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from clipsearch.engine.backends import is_installed
from clipsearch.engine.cards import ModelCard, TowerFile, Variant
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.quantize.activations import to_int8
from clipsearch.engine.quantize.adding import added, described, new_stem, opened_for_adding
from clipsearch.engine.quantize.compare import Views, compared
from clipsearch.engine.quantize.feeds import Feeds, embedding_output, image_feeds, text_feeds
from clipsearch.engine.quantize.material import Material
from clipsearch.engine.quantize.weights import to_blocks, to_fp16
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.errors import ClipsearchError, ModelError

Precision = Literal["fp16", "int8", "int4"]
Role = Literal["image", "text"]
ROLES: tuple[Role, Role] = ("image", "text")

_MODULES = ("onnx", "nncf")  # of the extra
_MOST_SEEN: dict[Role, int] = {"image": 40, "text": 400}  # inputs that int4 looks at: some 8,000 tokens of photos
_BATCH = 4  # photos at a time where they are compared: what moves with its batch mates is seen to


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
    _check_onnx(card)
    with opened_for_adding(card, models) as here:
        yield Doing("the reference's vectors")
        reference = views(here, here.reference, material)
        for recipe in _recipes(precision):
            towers: dict[Role, TowerFile] = {}
            for role in ROLES:
                yield Doing(f"{recipe.name}: the {role} tower")
                target = here.folder / f"{new_stem(recipe.name, role)}{recipe.suffix}"
                for what in _made(recipe, here, role, target, material):
                    yield Doing(f"{recipe.name}: the {role} tower, {what}")
                towers[role] = described(target)
            variant = Variant(recipe.name, towers["image"], towers["text"], recipe.runtimes)
            yield Doing(f"{recipe.name}: beside the reference")
            variant = beside(reference, here, variant, material, least_cosine, least_top10)
            here = added(here, variant)
            yield Added(here, variant)


def _check_onnx(card: ModelCard) -> None:
    for role in ROLES:
        if not (name := _tower(card, role).file).endswith(".onnx"):
            raise ModelError(
                f"{card.name} cannot be quantised: {name} is no ONNX graph.",
                "Export the model again: clipsearch model export SOURCE --format onnx",
            )


def views(card: ModelCard, variant: Variant, material: Material) -> Views:
    """What a variant makes of the held-out material, one tower at a time in memory. Raises ModelError."""
    alone = replace(card, variants=(replace(variant, compared=None),))  # as if that were all of the model
    candidate = replace(default_candidate(alone), batch=_BATCH)
    photos = ImageTower(alone, candidate).encode_pixels(material.held_pixels)
    tower = TextTower(alone, candidate)
    texts, labels = (tower.encode(list(some)).vectors for some in (material.held_texts, material.labels))
    return Views(photos, texts, labels)


def beside(
    reference: Views, card: ModelCard, variant: Variant, material: Material, least_cosine: float, least_top10: float
) -> Variant:
    """The variant with its comparison."""
    found = views(card, variant, material)
    return replace(variant, compared=compared(found, reference, material.owners, least_cosine, least_top10))


def _recipes(precision: Precision) -> list[_Recipe]:
    if precision == "fp16":
        return [_Recipe("fp16", (), ".onnx", lambda card, role, target, _: _plainly(to_fp16, card, role, target))]
    blocks = _Recipe(
        f"{precision}-onnxruntime",
        ("onnxruntime",),
        ".onnx",
        _blocks_of_4 if precision == "int4" else _blocks_of_8,
    )
    if precision == "int4":
        return [blocks]
    openvino = _Recipe("int8-openvino", ("openvino",), ".xml", _int8_ir)
    return [one for one in (openvino, blocks) if is_installed(one.runtimes[0])]


def _made(recipe: _Recipe, card: ModelCard, role: Role, target: Path, material: Material) -> Iterator[str]:
    try:
        yield from recipe.make(card, role, target, material)
    except (ClipsearchError, OSError):
        raise
    except Exception as error:  # NNCF, onnx and the runtimes raise their own classes straight from Exception
        raise ModelError(
            f"The {role} tower of {card.name} cannot be made {recipe.name}: {error}",
            "The model is as it was. Take other bits: --to fp16",
        ) from error


def _plainly(make: Callable[[Path, Path], None], card: ModelCard, role: Role, target: Path) -> Iterator[str]:
    make(card.folder / _tower(card, role).file, target)
    yield from ()


def _blocks_of_8(card: ModelCard, role: Role, target: Path, material: Material) -> Iterator[str]:
    """8 bits are enough without a look at what is multiplied."""
    to_blocks(card.folder / _tower(card, role).file, target, 8)
    yield from ()


def _blocks_of_4(card: ModelCard, role: Role, target: Path, material: Material) -> Iterator[str]:
    feeds = _feeds(card, role, material)[: _MOST_SEEN[role]]
    yield f"looking at {len(feeds)} inputs"
    to_blocks(card.folder / _tower(card, role).file, target, 4, feeds)


def _int8_ir(card: ModelCard, role: Role, target: Path, material: Material) -> Iterator[str]:
    feeds = _feeds(card, role, material)
    yield from to_int8(card.folder / _tower(card, role).file, target, feeds, embedding_output(card, role))


def _feeds(card: ModelCard, role: Role, material: Material) -> list[Feeds]:
    return image_feeds(card, material.pixels) if role == "image" else text_feeds(card, material.texts)


def _tower(card: ModelCard, role: Role) -> TowerFile:
    return card.reference.image if role == "image" else card.reference.text
