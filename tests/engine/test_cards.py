"""A model is what its card says; a bad card is refused with the name of the file and of the key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from clipsearch.engine.cards import CARD, ImageInput, ModelCard, Scoring, TextInput, TowerFile, Variant, read_card
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.errors import Exit, ModelError

GOOD = """
name = "toy"
version = 3
summary = "A toy."
licence = "MIT"
dim = 8

[image]
size = 64
resize = "squash"
interpolation = "bilinear"
mean = [0, 0.5, 1]
std = [1, 0.5, 0.25]

[text]
tokenizer = "clip-bpe"
cleaning = "clip"
context = 77
padding = "context"
pad_id = 0

[scoring]
kind = "sigmoid"
scale = 110
bias = -12.5

[variants.fp32]
image = "image.onnx"
image_sha256 = "aa"
text = "text.onnx"
text_sha256 = "bb"

[variants.fp16]
image = "image16.onnx"
image_sha256 = "cc"
text = "text16.onnx"
text_sha256 = "dd"
"""


def card_of(folder: Path, content: str | bytes) -> ModelCard:
    folder.joinpath(CARD).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_card(folder)


def test_a_card_reads_as_it_is_written(tmp_path: Path) -> None:
    """A value that is lost or swapped on the way gives plausible vectors of another model."""
    assert card_of(tmp_path, GOOD) == ModelCard(
        name="toy",
        version="3",
        summary="A toy.",
        licence="MIT",
        caution=None,
        dim=8,
        image=ImageInput(64, "squash", "bilinear", (0.0, 0.5, 1.0), (1.0, 0.5, 0.25)),
        text=TextInput("clip-bpe", "clip", 77, "context", 0),
        scoring=Scoring("sigmoid", 110.0, -12.5),
        variants=(
            Variant("fp32", TowerFile("image.onnx", "aa"), TowerFile("text.onnx", "bb")),
            Variant("fp16", TowerFile("image16.onnx", "cc"), TowerFile("text16.onnx", "dd")),
        ),
        measured={},
        folder=tmp_path,
    )


def test_the_first_variant_is_the_reference(tmp_path: Path) -> None:
    """Another one would define the space, and a library would be indexed anew after an update."""
    assert card_of(tmp_path, GOOD).reference.name == "fp32"


def test_the_starter_card_reads() -> None:
    """A fresh install must answer at once, and say what its model is and where it may be used."""
    card = read_card(STARTER_FOLDER)
    assert card.name == "starter" and card.dim == 512 and card.image.size == 128
    assert card.scoring.bias == 0 and card.licence and not card.caution
    assert all(isinstance(value, float | str) for value in card.measured.values())


# -- bad cards ------------------------------------------------------------------------------------

KEYS = [line.split(" = ")[0] for line in GOOD.split("[variants.fp16]")[0].splitlines() if " = " in line]


@pytest.mark.parametrize("key", [key for key in KEYS if key != "bias"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    """Whoever writes a card sees the file and the key, not a KeyError."""
    lines = GOOD.splitlines(keepends=True)
    lines.remove(next(line for line in lines if line.startswith(f"{key} = ")))
    with pytest.raises(ModelError, match=f'misses "([a-z0-9]+\\.)*{key}"') as caught:
        card_of(tmp_path, "".join(lines))
    assert str(tmp_path / CARD) in caught.value.message


@pytest.mark.parametrize("section", ["image", "text", "scoring"])
def test_a_missing_section_is_named(tmp_path: Path, section: str) -> None:
    """As above, for a whole table."""
    with pytest.raises(ModelError, match=f'card.toml: misses "{section}"'):
        card_of(tmp_path, GOOD.replace(f"[{section}]", f"[other_{section}]"))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('name = "toy"', "name = 7", "name"),
        ("dim = 8", 'dim = "eight"', "dim"),
        ("dim = 8", "dim = 0", "dim"),
        ("dim = 8", "dim = true", "dim"),
        ("size = 64", "size = -1", "image.size"),
        ("size = 64", "size = 64.5", "image.size"),
        ('"squash"', '"stretch"', "image.resize"),
        ('"squash"', '["squash"]', "image.resize"),
        ('"bilinear"', '"nearest"', "image.interpolation"),
        ("mean = [0, 0.5, 1]", "mean = [0, 0.5]", "image.mean"),
        ("mean = [0, 0.5, 1]", "mean = 0.5", "image.mean"),
        ("mean = [0, 0.5, 1]", 'mean = ["a", "b", "c"]', "image.mean"),
        ("std = [1, 0.5, 0.25]", "std = [1, 0, 1]", "image.std"),
        ('"clip-bpe"', "5", "text.tokenizer"),
        ('cleaning = "clip"', 'cleaning = "soap"', "text.cleaning"),
        ("context = 77", "context = 0", "text.context"),
        ('padding = "context"', 'padding = "left"', "text.padding"),
        ("pad_id = 0", "pad_id = -1", "text.pad_id"),
        ('"sigmoid"', '"argmax"', "scoring.kind"),
        ("scale = 110", "scale = nan", "scoring.scale"),
        ("bias = -12.5", 'bias = "-12.5"', "scoring.bias"),
        ('text_sha256 = "bb"', "text_sha256 = 1", "variants.fp32.text_sha256"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, old: str, new: str, key: str) -> None:
    """A card that is read half right would index a whole library into a space nobody meant."""
    assert GOOD.count(old) == 1
    with pytest.raises(ModelError) as caught:
        card_of(tmp_path, GOOD.replace(old, new))
    assert caught.value.message.startswith(f"{tmp_path / CARD}: {key} is ")
    assert caught.value.exit_code == Exit.MODEL and caught.value.hint


@pytest.mark.parametrize("variants", ["variants = 3", "variants = []", "variants = {}", "variants.fp32 = 3"])
def test_a_card_without_towers_is_refused(tmp_path: Path, variants: str) -> None:
    """There would be nothing to open, and the first one to notice would be an index run."""
    with pytest.raises(ModelError, match=r"card\.toml: .*variants"):
        card_of(tmp_path, variants + "\n" + GOOD.split("[variants.fp32]")[0])


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[image]\n[image]"])
def test_what_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    """A web page saved under the card's name is a common kind of download."""
    with pytest.raises(ModelError, match=r"card\.toml is not valid TOML"):
        card_of(tmp_path, content)


def test_a_folder_without_a_card_is_named(tmp_path: Path) -> None:
    """The user learns what a model is made of."""
    with pytest.raises(ModelError) as caught:
        read_card(tmp_path)
    assert str(tmp_path / CARD) in caught.value.message and "card.toml" in caught.value.hint


# -- fingerprints ---------------------------------------------------------------------------------


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return card_of(tmp_path, GOOD)


def with_weights(card: ModelCard, **towers: TowerFile) -> ModelCard:
    return replace(card, variants=(replace(card.reference, **towers), *card.variants[1:]))


@pytest.mark.parametrize(
    "change",
    [
        lambda card: with_weights(card, image=TowerFile("image.onnx", "ab")),
        lambda card: replace(card, dim=16),
        lambda card: replace(card, image=replace(card.image, size=96)),
        lambda card: replace(card, image=replace(card.image, resize="shortest")),
        lambda card: replace(card, image=replace(card.image, interpolation="bicubic")),
        lambda card: replace(card, image=replace(card.image, mean=(0.0, 0.5, 0.9))),
        lambda card: replace(card, image=replace(card.image, std=(1.0, 0.5, 0.5))),
    ],
)
def test_a_space_changes_with_weights_and_preprocessing(
    card: ModelCard, change: Callable[[ModelCard], ModelCard]
) -> None:
    """Old and new vectors would be ranked together, and both kinds of photos wrongly."""
    assert change(card).image_fingerprint != card.image_fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda card: with_weights(card, text=TowerFile("text.onnx", "ba")),
        lambda card: replace(card, dim=16),
        lambda card: replace(card, text=replace(card.text, tokenizer="tokenizer.json")),
        lambda card: replace(card, text=replace(card.text, cleaning="lower")),
        lambda card: replace(card, text=replace(card.text, context=64)),
        lambda card: replace(card, text=replace(card.text, padding="longest")),
        lambda card: replace(card, text=replace(card.text, pad_id=1)),
    ],
)
def test_cached_texts_are_forgotten_when_weights_or_tokens_change(
    card: ModelCard, change: Callable[[ModelCard], ModelCard]
) -> None:
    """The text cache would answer with vectors of the old tower for months."""
    assert change(card).text_fingerprint != card.text_fingerprint
    assert change(card).image_fingerprint == card.image_fingerprint or change(card).dim != card.dim


@pytest.mark.parametrize(
    "change",
    [
        lambda card: replace(card, name="other", version="9", summary="", licence="?", caution="!"),
        lambda card: replace(card, folder=Path("elsewhere"), measured={"R@1": 0.5}),
        lambda card: replace(card, scoring=Scoring("softmax", 1.0)),
        lambda card: replace(card, variants=card.variants[:1]),
        lambda card: with_weights(card, image=TowerFile("renamed.onnx", "aa"), text=TowerFile("renamed.onnx", "bb")),
    ],
)
def test_a_new_name_costs_no_reindexing(card: ModelCard, change: Callable[[ModelCard], ModelCard]) -> None:
    """100,000 photos would be encoded again because a summary was reworded."""
    changed = change(card)
    assert (changed.image_fingerprint, changed.text_fingerprint) == (card.image_fingerprint, card.text_fingerprint)


def test_fingerprints_of_the_two_towers_differ(card: ModelCard) -> None:
    """A text vector must never be taken for one of a photo."""
    assert card.image_fingerprint != card.text_fingerprint
