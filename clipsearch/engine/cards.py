"""Model cards: `card.toml` -> ModelCard. Data, not code: what a model is stands in its card and nowhere else.

Reads and checks the card only; it opens no graph and no tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from clipsearch.errors import ModelError

CARD = "card.toml"
T = TypeVar("T")

Resize = Literal["shortest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]
Cleaning = Literal["none", "whitespace", "lower", "clip", "canonicalize"]
Padding = Literal["longest", "context"]
ScoringKind = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """Preprocessing: the definition of the model, not of a backend."""

    size: int  # px, both sides
    resize: Resize  # the shortest side to `size` and a centre crop, or both sides to it
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    soften: float = 0.0  # px, radius of a Gaussian blur at the model's size, for a tower that reacts to JPEG noise


@dataclass(frozen=True, slots=True)
class TextInput:
    tokenizer: str  # a file beside the card, or "clip-bpe" for the published CLIP vocabulary
    cleaning: Cleaning
    context: int  # tokens
    padding: Padding
    pad_id: int


@dataclass(frozen=True, slots=True)
class Scoring:
    """From cosines to label probabilities: softmax(scale * cos), or sigmoid(scale * cos + bias) for each pair."""

    kind: ScoringKind
    scale: float
    bias: float = 0.0


@dataclass(frozen=True, slots=True)
class TowerFile:
    """A graph, and the files beside it that hold weights of it (ONNX's external data)."""

    file: str
    sha256: str
    data: tuple[tuple[str, str], ...] = ()  # (file, sha256)

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """(file, sha256) of all of it."""
        return ((self.file, self.sha256), *self.data)

    @property
    def identity(self) -> str | tuple[str, ...]:
        """What the weights are: a graph whose weights lie beside it is the same for two sets of them."""
        return (self.sha256, *sorted(digest for _, digest in self.data)) if self.data else self.sha256


LEAST_COSINE, LEAST_TOP10 = 0.98, 0.9  # the gate, where nobody sets another one


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variant beside the reference, on photos and texts that it was not made from; and what was asked of it."""

    photos: int
    texts: int
    image_mean: float  # cosine of its vectors of photos with the reference's
    image_least: float
    text_mean: float
    text_least: float
    top10: float  # share of the ten photos nearest to a text that the reference has among its ten, on average
    labels: float  # share of photos whose likeliest label is another one
    recall: tuple[float, ...] = ()  # R@1, R@5, R@10 less the reference's, where texts are captions of the photos
    least_cosine: float = LEAST_COSINE  # the gate: of both means, below which `auto` takes no variant
    least_top10: float = LEAST_TOP10


@dataclass(frozen=True, slots=True)
class Variant:
    """One precision of a model."""

    name: str
    image: TowerFile
    text: TowerFile
    runtimes: tuple[str, ...] = ()  # those that its files are made for; all where none is named
    compared: Comparison | None = None  # None: it is the reference itself, or nobody did and it is not taken


@dataclass(frozen=True, slots=True)
class ModelCard:
    name: str
    version: str
    summary: str
    licence: str
    caution: str | None  # what a person must know before using it
    dim: int
    image: ImageInput
    text: TextInput
    scoring: Scoring
    variants: tuple[Variant, ...]  # the first one is the reference, which defines the space
    measured: dict[str, float | str]
    folder: Path
    origin: str | None = None  # where it was pulled from: repository and commit, or a folder
    files: dict[str, str] = field(default_factory=dict)  # sha256 of each further file: tokenizer, licence, settings
    activation: str | None = None  # of the towers' MLPs: no weight tells it, and vectors of another one differ

    @property
    def reference(self) -> Variant:
        return self.variants[0]

    @property
    def image_fingerprint(self) -> str:
        """Changes when a photo's vector could: weights of the reference variant, preprocessing, dimension."""
        return _fingerprint(self.reference.image.identity, asdict(self.image), self.dim, *self._said_activation)

    @property
    def text_fingerprint(self) -> str:
        """Changes when a text's vector could."""
        vocabulary = self.files.get(self.text.tokenizer)
        parts = (self.reference.text.identity, asdict(self.text), self.dim, *self._said_activation)
        return _fingerprint(*parts, vocabulary) if vocabulary else _fingerprint(*parts)

    @property
    def scoring_fingerprint(self) -> str:
        """Changes when the logit of a photo with a text could."""
        return _fingerprint(self.image_fingerprint, self.text_fingerprint, asdict(self.scoring))

    @property
    def _said_activation(self) -> tuple[str, ...]:
        return () if self.activation is None else (self.activation,)

    @property
    def digests(self) -> dict[str, str]:
        """sha256 of every file that this card names."""
        towers = [tower for variant in self.variants for tower in (variant.image, variant.text)]
        weights = {name: digest for tower in towers for name, digest in tower.files}
        return weights | self.files


def read_card(folder: Path) -> ModelCard:
    """The card in a model's folder. Raises ModelError naming the file and the key that is wrong."""
    path = folder / CARD
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror}).",
            "A model is a folder with a card.toml: see clipsearch model list",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not valid TOML: {error}", "Mend the card or fetch the model again.") from error
    try:
        return _card(table, folder)
    except ValueError as error:
        raise ModelError(f"{path}: {error}", "Mend the card or fetch the model again.") from error


def _card(table: dict[str, Any], folder: Path) -> ModelCard:
    variants = tuple(
        Variant(
            name,
            _tower(table, name, "image"),
            _tower(table, name, "text"),
            _at(table, _texts, "variants", name, "runtimes") if "runtimes" in table["variants"][name] else (),
            _comparison(table, name) if "compared" in table["variants"][name] else None,
        )
        for name in _at(table, _table, "variants")
    )
    if not variants:
        raise ValueError("variants is empty; there must be one")
    return ModelCard(
        name=_at(table, _text, "name"),
        version=_at(table, str, "version"),
        summary=_at(table, _text, "summary"),
        licence=_at(table, _text, "licence"),
        caution=_at(table, _text, "caution") if "caution" in table else None,
        dim=_at(table, _count, "dim"),
        image=ImageInput(
            size=_at(table, _count, "image", "size"),
            resize=_at(table, _one_of(Resize), "image", "resize"),
            interpolation=_at(table, _one_of(Interpolation), "image", "interpolation"),
            mean=_at(table, _triple, "image", "mean"),
            std=_at(table, _divisors, "image", "std"),
            soften=_at(table, _number, "image", "soften") if "soften" in table["image"] else 0.0,
        ),
        text=TextInput(
            tokenizer=_at(table, _text, "text", "tokenizer"),
            cleaning=_at(table, _one_of(Cleaning), "text", "cleaning"),
            context=_at(table, _count, "text", "context"),
            padding=_at(table, _one_of(Padding), "text", "padding"),
            pad_id=_at(table, _token_id, "text", "pad_id"),
        ),
        scoring=Scoring(
            kind=_at(table, _one_of(ScoringKind), "scoring", "kind"),
            scale=_at(table, _number, "scoring", "scale"),
            bias=_at(table, _number, "scoring", "bias") if "bias" in table["scoring"] else 0.0,
        ),
        variants=variants,
        measured=_at(table, _table, "measured") if "measured" in table else {},
        folder=folder,
        origin=_at(table, _text, "origin") if "origin" in table else None,
        files=_at(table, _digests, "files") if "files" in table else {},
        activation=_at(table, _text, "activation") if "activation" in table else None,
    )


def _tower(table: dict[str, Any], variant: str, role: str) -> TowerFile:
    data = f"{role}_data"
    return TowerFile(
        _at(table, _text, "variants", variant, role),
        _at(table, _text, "variants", variant, f"{role}_sha256"),
        tuple(_at(table, _digests, "variants", variant, data).items()) if data in table["variants"][variant] else (),
    )


def _comparison(table: dict[str, Any], variant: str) -> Comparison:
    readers: dict[str, Callable[[Any], Any]] = {"photos": _count, "texts": _count, "recall": _numbers}
    said = _at(table, _table, "variants", variant, "compared")
    values = {
        one.name: _at(table, readers.get(one.name, _number), "variants", variant, "compared", one.name)
        for one in fields(Comparison)
        if one.name in said or one.default is MISSING
    }
    return Comparison(**values)


def _at(table: dict[str, Any], read: Callable[[Any], T], *keys: str) -> T:
    """The value under the keys as `read` gives it; a ValueError names the key."""
    value: Any = table
    for depth, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f'misses "{".".join(keys[: depth + 1])}"')
        value = value[key]
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{'.'.join(keys)} is {json.dumps(value, default=str)}; it must be {error}") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("a list of texts")
    return tuple(value)


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a table")
    return value


def _digests(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(digest, str) for digest in value.values()):
        raise ValueError("a table of files and their sha256")
    return value


def _token_id(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a whole number, not below 0")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("a whole number above 0")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of numbers")
    return tuple(map(_number, value))


def _triple(value: Any) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError("3 numbers")
    red, green, blue = (_number(number) for number in value)
    return red, green, blue


def _divisors(value: Any) -> tuple[float, float, float]:
    triple = _triple(value)
    if 0 in triple:
        raise ValueError("3 numbers other than 0")
    return triple


def _one_of(allowed: Any) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value not in get_args(allowed):
            raise ValueError(f"one of {', '.join(get_args(allowed))}")
        return value

    return read


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
