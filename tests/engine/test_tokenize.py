"""Texts become exactly the token ids the model was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from clipsearch.engine.cards import TextInput, read_card
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.tokenize import CLIP_BPE, TextTokenizer, cleaned, clip_tokenizer
from clipsearch.errors import ModelError
from tests.conftest import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden"
CLIP_CASES = json.loads((GOLDEN / "clip_tokens.json").read_text("utf-8"))["cases"]
TINY = GOLDEN / "tiny_tokenizers"
EXPECTED = json.loads((TINY / "expected.json").read_text("utf-8"))
TINY_CASES = [(name, case) for name, cases in EXPECTED.items() for case in cases]
START, END = 49_406, 49_407
CLS, SEP = 101, 102


@pytest.fixture(scope="module")
def clip() -> TextTokenizer:
    return TextTokenizer(Path("nowhere"), TextInput(CLIP_BPE, "clip", 77, "context", 0))


@pytest.fixture(scope="module")
def wordpiece() -> TextTokenizer:
    return TextTokenizer(STARTER_FOLDER, read_card(STARTER_FOLDER).text)


def tiny(name: str, **changes: object) -> TextTokenizer:
    pad_id = json.loads((TINY / name / "tokenizer_config.json").read_text("utf-8"))["pad_token"] == "</s>"
    text = {"tokenizer": "tokenizer.json", "cleaning": "canonicalize", "context": 64, "padding": "context"}
    return TextTokenizer(TINY / name, TextInput(**(text | {"pad_id": int(pad_id)} | changes)))  # type: ignore[arg-type]


# -- CLIP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CLIP_CASES, ids=lambda case: case["name"])
def test_clip_ids_equal_upstream(clip: TextTokenizer, case: dict) -> None:
    """One wrong id is another word: a curly quote from a phone's keyboard must not change the answer."""
    tokens = clip.encode([case["text"]])
    expected = case["ids"] + [0] * (77 - len(case["ids"]))
    assert tokens.ids.tolist() == [expected]
    assert tokens.ids.dtype == np.int64
    assert tokens.truncated.tolist() == [case["truncated"]]
    assert tokens.mask.sum() == len(case["ids"])


def test_clip_golden_has_truncated_texts() -> None:
    """Without one the test above would not look at truncation."""
    truncated = [case["ids"] for case in CLIP_CASES if case["truncated"]]
    assert truncated and all(len(ids) == 77 and ids[-1] == END for ids in truncated)


def test_clip_vocabulary_has_the_published_size() -> None:
    """One merge line too many or too few shifts every id after it."""
    tokenizer = clip_tokenizer()
    assert tokenizer.get_vocab_size() == 49_408
    assert (tokenizer.token_to_id("<|startoftext|>"), tokenizer.token_to_id("<|endoftext|>")) == (START, END)


@pytest.mark.parametrize("typed", ["<|endoftext|>", "<|startoftext|>", "a dog <|endoftext|> on a beach"])
def test_a_typed_special_token_is_text(clip: TextTokenizer, typed: str) -> None:
    """As a token it would end the prompt, and the rest of the words would count for nothing."""
    spelled = typed.replace("<|", "<| ").replace("|>", " |>")
    ids = clip.encode([typed, spelled]).ids
    assert ids[0].tolist() == ids[1].tolist()
    assert (ids[0] == START).sum() == (ids[0] == END).sum() == 1


@pytest.mark.parametrize(("name", "typed", "end"), [("siglip2", "<eos>", 1), ("starter", "[SEP]", SEP)])
def test_a_typed_special_token_is_text_to_tokenizers_from_files(
    name: str, typed: str, end: int, wordpiece: TextTokenizer
) -> None:
    """As above: their files list the special tokens, and the library looks for them in the text."""
    tokenizer = wordpiece if name == "starter" else tiny(name, cleaning="none", padding="longest")
    ids = tokenizer.encode([f"a dog {typed} on a beach"]).ids[0]
    assert (ids == end).sum() == 1 and ids[-1] == end


# -- SigLIP, Gemma --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "case"), TINY_CASES, ids=lambda value: value if isinstance(value, str) else None)
def test_siglip_and_gemma_ids_equal_the_reference(name: str, case: dict) -> None:
    """These models read the last position: without padding to the context the vector is another one."""
    assert cleaned(case["text"], "canonicalize") == case["cleaned"]
    assert tiny(name).encode([case["text"]]).ids.tolist() == [case["ids"]]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_truncated_text_keeps_its_end_token(name: str) -> None:
    """The model was never shown a text without an end; its vector would be nonsense."""
    tokens = tiny(name).encode(["dog " * 100, "dog"])
    assert tokens.ids.shape == (2, 64)
    assert tokens.ids[0, -1] == 1 and (tokens.ids[0, :-1] != 1).all()
    assert tokens.truncated.tolist() == [True, False]


# -- WordPiece ------------------------------------------------------------------------------------


def test_wordpiece_begins_with_cls_and_ends_with_sep(wordpiece: TextTokenizer) -> None:
    """The starter's sentence vector is made of all tokens, these two among them."""
    tokens = wordpiece.encode(["a dog"])
    assert tokens.ids.tolist() == [[CLS, 1037, 3899, SEP]]
    assert tokens.mask.tolist() == [[1, 1, 1, 1]]


def test_wordpiece_keeps_sep_when_it_truncates(wordpiece: TextTokenizer) -> None:
    """A long description must still be a sentence to the model, and the user must hear that it was cut."""
    tokens = wordpiece.encode(["dog " * 62, "dog " * 63])
    assert tokens.ids.shape == (2, 64)
    assert tokens.ids[:, 0].tolist() == [CLS, CLS] and tokens.ids[:, -1].tolist() == [SEP, SEP]
    assert tokens.truncated.tolist() == [False, True]


def test_wordpiece_reads_capitals_as_small_letters(wordpiece: TextTokenizer) -> None:
    """ "Dog" and "dog" must find the same photos."""
    tokens = wordpiece.encode(["A Dog On The BEACH", "a dog on the beach"])
    assert tokens.ids[0].tolist() == tokens.ids[1].tolist()
    assert 100 not in tokens.ids  # [UNK]


# -- padding and cleaning -------------------------------------------------------------------------


def test_padding_is_to_the_longest_text_or_to_the_context_as_the_card_says(wordpiece: TextTokenizer) -> None:
    """Padding is part of the input of models that were trained with it, and wasted time for the others."""
    texts = ["a dog", "a dog on a beach"]
    to_longest = wordpiece.encode(texts)
    assert to_longest.ids.shape == (2, 7)
    assert to_longest.ids[0].tolist() == [CLS, 1037, 3899, SEP, 0, 0, 0]
    assert to_longest.mask.tolist() == [[1, 1, 1, 1, 0, 0, 0], [1] * 7]
    assert tiny("siglip", padding="longest").encode(["a dog", "dog"]).ids.shape[1] < 64
    to_context = tiny("siglip", pad_id=0).encode(["a dog", "dog"])
    assert to_context.ids.shape == (2, 64) and (to_context.ids[:, -1] == 0).all()
    assert (to_context.ids[to_context.mask == 1] != 0).all() and (to_context.ids[to_context.mask == 0] == 0).all()


def test_a_fixed_length_is_given_to_graphs_that_read_one_width(wordpiece: TextTokenizer) -> None:
    """A graph exported for 77 tokens refuses every other width."""
    tokens = wordpiece.encode(["a dog"], length=77)
    assert tokens.ids.shape == tokens.mask.shape == (1, 77)
    assert tokens.mask.sum() == 4 and (tokens.ids[0, 4:] == 0).all()


def test_truncated_is_told_for_each_text(clip: TextTokenizer) -> None:
    """The warning must name the text that was cut and no other."""
    assert clip.encode(["dog", "dog " * 75, "dog " * 76, ""]).truncated.tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("cleaning", "expected"),
    [("none", "  A_Big &amp; “Red”  Dog! "), ("lower", "  a_big &amp; “red”  dog! "),
     ("clip", 'a_big & "red" dog!'), ("canonicalize", "a big amp “red” dog")],
)  # fmt: skip
def test_cleaning_is_the_one_of_the_training_code(cleaning: str, expected: str) -> None:
    """Each family was trained on texts cleaned its own way."""
    assert cleaned("  A_Big &amp; “Red”  Dog! ", cleaning) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [None, "{}", "not json"])
def test_a_tokenizer_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    """A half-fetched model must not end in a traceback of a Rust library."""
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        TextTokenizer(tmp_path, TextInput("tokenizer.json", "none", 64, "longest", 0))
