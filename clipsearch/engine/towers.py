"""A card and a backend make a tower: pixels or texts in, unit vectors out. The two towers load separately.

Inputs are bound by what the graph says (rank and type), not by name, since exporters name them freely
(MODELS section 1). Vectors are made unit here whatever the graph does, and checked: NaN, zero and
wrong shapes never leave this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.backends import Port, Session, Way, open_session
from clipsearch.engine.cards import ModelCard, TowerFile
from clipsearch.engine.choosing.candidates import IMAGE_BATCH, Candidate, default_candidate, variant_of
from clipsearch.engine.compiled import kept
from clipsearch.engine.digests import sha256
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.tokenize import TextTokenizer, Tokens, rounded_up
from clipsearch.errors import ModelError
from clipsearch.types import SpaceIdentity

TEXT_BATCH = 32
# Texts and tokens of a batch come in these steps. OpenVINO keeps 1 to 2 MB for every shape it has met and plans each
# for 20 ms: one that answers texts of all 75 lengths grows by 150 to 260 MB, and with steps by 40 to 110.
TEXT_STEP = 4
# Tokens of padding that take as long as one run more: what reading the weights costs.
_TOKENS_A_RUN = 16

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class TextVectors:
    vectors: NDArray[np.float32]  # (texts, dim), unit rows
    truncated: NDArray[np.bool_]  # the model read only the beginning of this text
    tokenize_ms: float = 0.0  # of what it took


class ImageTower:
    """Satisfies types.Encoder. `cache` is a folder where it is remembered which files were verified."""

    def __init__(self, card: ModelCard, candidate: Candidate | None = None, cache: Path | None = None) -> None:
        self._card = card
        self._candidate = candidate or default_candidate(card)
        file = variant_of(card, self._candidate.variant).image
        way = replace(self._candidate.way, batch=self._candidate.batch)
        self._session = _verified_session(card.folder, file, way, cache, keep=False)
        self._input = _only(self._session.inputs, "image", _is_picture, card)
        self._output = _embedding_output(self._session, card)
        self._preprocess = Preprocess(card.image)

    @property
    def space(self) -> SpaceIdentity:
        return image_space(self._card)

    @property
    def variant(self) -> str:
        return f"{self._candidate.variant}/{self._session.device}"

    @property
    def prepare(self) -> Preprocess:
        return self._preprocess

    @property
    def batch_size(self) -> int:
        return self._input.shape[0] or self._candidate.batch

    @property
    def takes_batches(self) -> bool:
        """Whether the graph takes any number of pictures at once."""
        return self._input.shape[0] is None

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (n, s, s, 3) as `prepare` makes them -> float32 (n, dim), unit rows. Raises ModelError."""
        if not len(pixels):
            return np.empty((0, self._card.dim), np.float32)
        size, fixed = self.batch_size, not self.takes_batches
        parts = []
        for start in range(0, len(pixels), size):
            batch = pixels[start : start + size]
            padded = _padded(batch, size if fixed else min(size, _next_power_of_two(len(batch))))
            tensor = self._preprocess.tensor(padded).astype(self._input.dtype)
            parts.append(self._session.run({self._input.name: tensor}, self._output)[: len(batch)])
        return unit_vectors(np.concatenate(parts), self._card)


class PendingImageTower:
    """The ImageTower of an index run: it opens when the first batch comes, and all batches have one shape.

    A run which finds nothing new loads no model. Runtimes keep memory for every shape they have met (FIELD 3.2 no. 15),
    so once a batch was full all are filled up to it. A run that has fewer photos than that would pay 16 times for one.
    """

    def __init__(self, card: ModelCard, open_tower: Callable[[], ImageTower]) -> None:
        self._card = card
        self._open_tower = open_tower
        self._was_full = False

    @property
    def space(self) -> SpaceIdentity:
        return image_space(self._card)

    @property
    def prepare(self) -> Preprocess:
        return Preprocess(self._card.image)

    @property
    def variant(self) -> str:
        return self._tower.variant

    @property
    def batch_size(self) -> int:
        """Several batches where one is small: what is handed over together is one commit, which waits for the disk."""
        size = self._tower.batch_size
        return size * max(1, IMAGE_BATCH // size)

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        count, size = len(pixels), self._tower.batch_size
        self._was_full = self._was_full or count >= size
        if self._was_full:
            pixels = _padded(pixels, -(-count // size) * size)
        return self._tower.encode_pixels(pixels)[:count]

    @cached_property
    def _tower(self) -> ImageTower:
        return self._open_tower()


class TextTower:
    """`cache` is a folder where it is remembered which files were verified."""

    def __init__(self, card: ModelCard, candidate: Candidate | None = None, cache: Path | None = None) -> None:
        self.card = self._card = card
        candidate = candidate or default_candidate(card)
        way = replace(candidate.way, tokens=card.text.context)
        file = variant_of(card, candidate.variant).text
        self._session = _verified_session(card.folder, file, way, cache, keep=True)
        self._ids = _only(self._session.inputs, "token ids", _is_token_ids, card)
        self._mask = next(filter(_is_mask, self._session.inputs), None)
        self._output = _embedding_output(self._session, card)
        if (self._ids.shape[1] or card.text.context) < card.text.context:
            raise ModelError(
                f"{card.name}: the graph reads {self._ids.shape[1]} tokens, its card says {card.text.context}.",
                "Mend the card or fetch the model again.",
            )
        self._tokenizer = TextTokenizer(card.folder, card.text)

    def encode(self, texts: list[str]) -> TextVectors:
        """Unit vectors of the texts, in their order. Raises ModelError.

        Those of one length are run together, so that a short label does not pay for the longest.
        """
        started = time.perf_counter()
        tokens = self._tokenizer.encode(texts, length=self._ids.shape[1], step=TEXT_STEP)
        tokenize_ms = (time.perf_counter() - started) * 1000
        vectors = np.empty((len(texts), self._card.dim), np.float32)
        for rows, width in self._batches(tokens):
            vectors[rows] = self._run(tokens.ids[rows, :width], tokens.mask[rows, :width])
        return TextVectors(vectors, tokens.truncated, tokenize_ms)

    def _batches(self, tokens: Tokens) -> Iterator[tuple[list[int], int]]:
        """Which texts are run together, and at how many tokens."""
        count, whole = tokens.ids.shape
        if self._ids.shape[1] is not None or self._card.text.padding == "context":
            widths = [whole] * count
        else:
            widths = [min(rounded_up(int(length), TEXT_STEP), whole) for length in tokens.mask.sum(axis=1)]
        size = self._ids.shape[0] or TEXT_BATCH
        batch: list[int] = []
        for row in sorted(range(count), key=widths.__getitem__):
            if batch and (len(batch) == size or len(batch) * (widths[row] - widths[batch[-1]]) > _TOKENS_A_RUN):
                yield batch, widths[batch[-1]]
                batch = []
            batch.append(row)
        if batch:  # none of no texts
            yield batch, widths[batch[-1]]

    def _run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        count = len(ids)
        size = self._ids.shape[0] or (count if count < 3 else rounded_up(count, TEXT_STEP))
        feeds = {self._ids.name: _padded(ids, size).astype(self._ids.dtype)}
        if self._mask is not None:
            feeds[self._mask.name] = _padded(mask, size).astype(self._mask.dtype)
        return unit_vectors(self._session.run(feeds, self._output)[:count], self._card)


def image_space(card: ModelCard) -> SpaceIdentity:
    return SpaceIdentity(card.image_fingerprint, card.name, card.dim)


def unit_vectors(raw: NDArray[np.float32], card: ModelCard) -> NDArray[np.float32]:
    """Rows divided by their length. Raises ModelError for a wrong width, NaN, infinity or a zero row."""
    if raw.ndim != 2 or raw.shape[1] != card.dim:
        raise ModelError(
            f"{card.name} gave vectors of shape {raw.shape}, its card says {card.dim} dimensions.",
            "Fetch the model again.",
        )
    lengths = np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths < 1e-6).any():
        raise ModelError(
            f"{card.name} gave a vector that is zero or not a number; nothing of this batch was stored.",
            "Try another backend with --backend, and report this processor.",
        )
    return np.asarray(raw / lengths, np.float32)


def _verified_session(folder: Path, tower: TowerFile, way: Way, cache: Path | None, *, keep: bool) -> Session:
    size = 0
    for name, expected in ((tower.file, tower.sha256), *tower.data):
        path = folder / name
        try:
            digest = sha256(path, cache)
            size += path.stat().st_size
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror}).", "Fetch the model again.") from error
        if digest != expected:
            raise ModelError(
                f"{path} does not match its card (expected {expected[:12]}…, got {digest[:12]}…); it was not used.",
                "Fetch the model again.",
            )
    if not keep:
        return open_session(folder / tower.file, way)
    with kept(way, tower, size, cache) as keeping:
        return open_session(folder / tower.file, keeping)


def _embedding_output(session: Session, card: ModelCard) -> str:
    """The output of rank 2 whose width is the card's, or may be."""
    return _only(
        session.outputs, "embedding", lambda port: len(port.shape) == 2 and port.shape[1] in (None, card.dim), card
    ).name


def _is_picture(port: Port) -> bool:
    """Normalised channels before rows; a graph that wants bytes or rows first would answer nonsense."""
    return len(port.shape) == 4 and port.dtype.startswith("float") and port.shape[1] in (None, 3)


def _is_token_ids(port: Port) -> bool:
    return len(port.shape) == 2 and port.dtype.startswith("int") and not _is_mask(port)


def _is_mask(port: Port) -> bool:
    return "mask" in port.name


def _only(ports: tuple[Port, ...], role: str, fits: Callable[[Port], bool], card: ModelCard) -> Port:
    found = [port for port in ports if fits(port)]
    if len(found) != 1:
        names = ", ".join(f"{port.name}{list(port.shape)}" for port in ports)
        raise ModelError(
            f"{card.name}: {len(found)} of the graph's ports could be the {role} ({names}).", "Mend or fetch the model."
        )
    return found[0]


def _next_power_of_two(count: int) -> int:
    """Shapes of questions, which come by ones and twos: five of them up to 16, and at most twice the work."""
    return 1 << (count - 1).bit_length()


def _padded(batch: NDArray[Scalar], size: int) -> NDArray[Scalar]:
    """Repeats the last row up to `size`. Not zeros: graphs that scale a whole batch by its range (dynamic int8) would
    give the real rows other vectors."""
    return np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)]) if len(batch) < size else batch
