"""Texts -> token ids, exactly as the model was trained: cleaning, vocabulary, truncation, padding.

The vocabularies are read by `tokenizers` (BPE, WordPiece, SentencePiece unigram, Gemma); what differs
between models is what the host does around them, and that stands in the card.
"""

from __future__ import annotations

import gzip
import html
import re
import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.cards import Cleaning, TextInput
from clipsearch.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CLIP_BPE = "clip-bpe"
_VOCABULARY = Path(__file__).parent / "vocab" / "bpe_simple_vocab_16e6.txt.gz"
_MERGES_BYTES = 524645  # of the published file that are used, a heading and 48,894 lines: 49,408 ids in all
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Tokens:
    ids: NDArray[np.int64]  # (texts, tokens), padded
    mask: NDArray[np.int64]  # 1 for a token, 0 for padding
    truncated: NDArray[np.bool_]  # (texts,): the text was longer than the context


class TextTokenizer:
    """One model's tokenizer. Raises ModelError when its file cannot be read."""

    def __init__(self, folder: Path, text: TextInput) -> None:
        self._text = text
        self._tokenizer = clip_tokenizer() if text.tokenizer == CLIP_BPE else _tokenizer_file(folder / text.tokenizer)
        self._tokenizer.enable_truncation(text.context)
        self._tokenizer.no_padding()
        # A person who types <|endoftext|> means these letters; as a special token it would end the prompt.
        self._tokenizer.encode_special_tokens = True

    def encode(self, texts: list[str], *, length: int | None = None, step: int = 1) -> Tokens:
        """Token ids of the texts; `length` fixes the width for a graph that reads one width only.

        Where the card leaves the width to the longest text, it is a multiple of `step`, or the context.
        """
        encodings = self._tokenizer.encode_batch([cleaned(text, self._text.cleaning) for text in texts])
        longest = max((len(encoding.ids) for encoding in encodings), default=0)
        whole = self._text.padding == "context"
        width = length or (self._text.context if whole else min(rounded_up(longest, step), self._text.context))
        ids = np.full((len(texts), width), self._text.pad_id, np.int64)
        mask = np.zeros((len(texts), width), np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        truncated = np.array([bool(encoding.overflowing) for encoding in encodings], np.bool_)
        return Tokens(ids, mask, truncated)


def rounded_up(count: int, step: int) -> int:
    return -(-count // step) * step


def cleaned(text: str, cleaning: Cleaning) -> str:
    """What the training code does to a text before its vocabulary sees it.

    clip: OpenAI's and OpenCLIP's `basic_clean` and `whitespace_clean`, lower case; it makes the `tokenizers`
    vocabulary equal to the reference on curly quotes, entities, ligatures and mojibake.
    whitespace: runs of blanks are one blank, as immich feeds the models whose vocabulary keeps capitals.
    canonicalize: big_vision's for SigLIP: no ASCII punctuation, underscores are blanks, lower case.
    """
    if cleaning == "clip":
        import ftfy

        mended = html.unescape(html.unescape(ftfy.fix_text(text)))
        return _SPACES.sub(" ", mended).strip().lower()
    if cleaning == "canonicalize":
        plain = text.replace("_", " ").translate(str.maketrans("", "", string.punctuation))
        return _SPACES.sub(" ", plain).strip().lower()
    if cleaning == "whitespace":
        return _SPACES.sub(" ", text).strip()
    if cleaning == "lower":
        return text.lower()
    return text


def clip_tokenizer() -> Tokenizer:
    """CLIP's BPE from its published vocabulary (open_clip tokenizer.py), 49,408 ids."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import BPE

    # A cold query waits for this, so no more is unpacked than is used, and lists are made whole. A tokenizer saved as
    # JSON takes longer to read.
    with gzip.open(_VOCABULARY) as packed:
        lines = packed.read(_MERGES_BYTES).decode().splitlines()
    halves = " ".join(lines[1:]).split(" ")  # a heading; then two a line, and no token holds a blank
    merges = list(zip(halves[::2], halves[1::2], strict=True))
    alphabet = _byte_alphabet()
    vocabulary = [*alphabet, *(letter + "</w>" for letter in alphabet), *map("".join, merges)]
    start, end = len(vocabulary), len(vocabulary) + 1
    ids = dict(zip([*vocabulary, "<|startoftext|>", "<|endoftext|>"], range(end + 1), strict=True))
    tokenizer = Tokenizer(BPE(ids, merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase()])
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $0 <|endoftext|>",
        special_tokens=[("<|startoftext|>", start), ("<|endoftext|>", end)],
    )
    return tokenizer


def _byte_alphabet() -> list[str]:
    """GPT-2's letters for the 256 bytes, in the order of CLIP's ids: printable ones first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + offset) for offset in range(len(others))]


def _tokenizer_file(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer: Any = Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises plain Exception for a missing and for a broken file
        raise ModelError(f"The tokenizer {path} cannot be read ({error}).", "Fetch the model again.") from error
    return tokenizer  # type: ignore[no-any-return]  # `tokenizers` ships no types for it
