"""What a checkpoint becomes, whatever its kind was: two PyTorch modules, and what the card will say of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from clipsearch.engine.cards import ImageInput, Scoring, TextInput


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """Both towers in float32 and eval mode, on the CPU. Neither divides by the length: the export does that."""

    name: str  # of the model's folder
    origin: str  # for the card: what was read
    licence: str
    image: nn.Module  # float32 (n, 3, size, size), normalised as `image_input` says -> (n, dim)
    text: nn.Module  # int64 (n, tokens) -> (n, dim)
    dim: int
    image_input: ImageInput
    text_input: TextInput
    scoring: Scoring
    activation: str  # "gelu", "quickgelu", …: a part of the model's identity that no weight tells
    is_causal: bool  # padding behind the end of a text changes nothing: the text tower takes any length up to `context`
    tokenizer: Path | None = None  # tokenizer.json to copy beside the card; None where CLIP's own vocabulary is used
    caution: str | None = None  # for the card: what the checkpoint does not say, and was assumed
