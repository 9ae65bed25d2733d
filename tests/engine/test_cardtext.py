"""What is written of a card is what is read of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.engine.cards import (
    CARD,
    Comparison,
    ImageInput,
    ModelCard,
    Scoring,
    TextInput,
    TowerFile,
    Variant,
    read_card,
)
from clipsearch.engine.cardtext import card_text

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NUMBERS = st.floats(-1e3, 1e3)
COUNTS = st.integers(1, 4096)
TRIPLES = st.tuples(NUMBERS, NUMBERS, NUMBERS)
DIVISORS = st.tuples(*[st.floats(0.1, 9)] * 3)
DIGESTS = st.dictionaries(WORDS, WORDS, max_size=3)
TOWERS = st.builds(TowerFile, WORDS, WORDS, DIGESTS.map(lambda files: tuple(files.items())))
COMPARISONS = st.builds(
    Comparison, COUNTS, COUNTS, *[NUMBERS] * 6, st.lists(NUMBERS, max_size=3).map(tuple), NUMBERS, NUMBERS
)
RUNTIMES = st.lists(WORDS, max_size=3).map(tuple)
VARIANTS = st.lists(
    st.builds(Variant, WORDS, TOWERS, TOWERS, RUNTIMES, st.none() | COMPARISONS),
    min_size=1, max_size=3, unique_by=lambda one: one.name,
).map(tuple)  # fmt: skip
IMAGES = st.builds(
    ImageInput, COUNTS, st.sampled_from(["shortest", "squash"]), st.sampled_from(["bicubic", "bilinear"]),
    TRIPLES, DIVISORS, st.floats(0, 3),
)  # fmt: skip
TEXTS = st.builds(
    TextInput, WORDS, st.sampled_from(["none", "clip"]), COUNTS, st.sampled_from(["longest", "context"]), COUNTS
)
CARDS = st.builds(
    ModelCard, name=WORDS, version=WORDS, summary=WORDS, licence=WORDS, caution=st.none() | WORDS, dim=COUNTS,
    image=IMAGES, text=TEXTS, scoring=st.builds(Scoring, st.sampled_from(["softmax", "sigmoid"]), NUMBERS, NUMBERS),
    variants=VARIANTS, measured=st.dictionaries(WORDS, NUMBERS | WORDS, max_size=2), folder=st.just(Path()),
    origin=st.none() | WORDS, files=DIGESTS,
)  # fmt: skip


@settings(max_examples=40)
@given(CARDS)
def test_a_card_that_is_written_reads_as_the_same_card(card: ModelCard) -> None:
    """A variant that loses its runtimes is opened by one that cannot; one that loses its numbers passes every gate."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, CARD).write_text(card_text(card), "utf-8")
        read = read_card(Path(folder))
    assert read == ModelCard(**{**{name: getattr(card, name) for name in ModelCard.__slots__}, "folder": Path(folder)})
