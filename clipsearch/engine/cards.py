"""Model cards: `card.toml` -> ModelCard. Data, not code: what a model is stands in its card and nowhere else.

Reads and checks the card only; it opens no graph and no tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from clipsearch.errors import ModelError

CARD = "card.toml"

Resize = Literal["shortest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]
Cleaning = Literal["none", "lower", "clip", "canonicalize"]
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
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One precision of a model."""

    name: str
    image: TowerFile
    text: TowerFile


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

    @property
    def reference(self) -> Variant:
        return self.variants[0]

    @property
    def image_fingerprint(self) -> str:
        """Changes when a photo's vector could: weights of the reference variant, preprocessing, dimension."""
        return _fingerprint(self.reference.image.sha256, asdict(self.image), self.dim)

    @property
    def text_fingerprint(self) -> str:
        """Changes when a text's vector could."""
        return _fingerprint(self.reference.text.sha256, asdict(self.text), self.dim)


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
    except (KeyError, TypeError, ValueError) as error:
        what = f"misses {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"{path}: {what}", "Mend the card or fetch the model again.") from error


def _card(table: dict[str, Any], folder: Path) -> ModelCard:
    image, text, scoring = table["image"], table["text"], table["scoring"]
    variants = tuple(
        Variant(
            name,
            TowerFile(files["image"], files["image_sha256"]),
            TowerFile(files["text"], files["text_sha256"]),
        )
        for name, files in table["variants"].items()
    )
    if not variants:
        raise ValueError("there is no variant")
    return ModelCard(
        name=table["name"],
        version=str(table["version"]),
        summary=table["summary"],
        licence=table["licence"],
        caution=table.get("caution"),
        dim=int(table["dim"]),
        image=ImageInput(
            size=int(image["size"]),
            resize=_one_of(image["resize"], Resize, "image.resize"),
            interpolation=_one_of(image["interpolation"], Interpolation, "image.interpolation"),
            mean=_triple(image["mean"], "image.mean"),
            std=_triple(image["std"], "image.std"),
        ),
        text=TextInput(
            tokenizer=text["tokenizer"],
            cleaning=_one_of(text["cleaning"], Cleaning, "text.cleaning"),
            context=int(text["context"]),
            padding=_one_of(text["padding"], Padding, "text.padding"),
            pad_id=int(text["pad_id"]),
        ),
        scoring=Scoring(
            kind=_one_of(scoring["kind"], ScoringKind, "scoring.kind"),
            scale=float(scoring["scale"]),
            bias=float(scoring.get("bias", 0.0)),
        ),
        variants=variants,
        measured=table.get("measured", {}),
        folder=folder,
    )


def _one_of(value: Any, allowed: Any, key: str) -> Any:
    if value not in get_args(allowed):
        raise ValueError(f'{key} is "{value}"; it may be {", ".join(get_args(allowed))}')
    return value


def _triple(values: Any, key: str) -> tuple[float, float, float]:
    if len(values) != 3:
        raise ValueError(f"{key} has {len(values)} numbers instead of 3")
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
