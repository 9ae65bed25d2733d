"""Vectors of the bank's texts under one model: shipped with it, or made once and kept in the cache folder.

A bank is read whole with every query, so it is one small file and not some hundred rows of the text cache,
whose order of use it would upset. Knows nothing of what the texts are for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.cards import ModelCard
from clipsearch.files import publish

Vectors = NDArray[np.float32]


def bank_vectors(
    card: ModelCard, texts: Sequence[str], cache_folder: Path, encode: Callable[[Sequence[str]], Vectors], *, keep: bool
) -> Vectors:
    """float32 (texts, dim), unit rows. `encode` is called when no file holds them, and its result kept if asked."""
    name = bank_file(card, texts)
    for folder in (card.folder, cache_folder):
        if (stored := _read(folder / name, (len(texts), card.dim))) is not None:
            return stored
    vectors = encode(texts)
    if keep:
        # A cache that cannot be written costs the next query its time, and this one nothing.
        with contextlib.suppress(OSError):
            cache_folder.mkdir(parents=True, exist_ok=True)
            write_bank(cache_folder / name, vectors)
    return vectors


def bank_file(card: ModelCard, texts: Sequence[str]) -> str:
    """Its name changes with the texts and with the tower that reads them."""
    identity = "\n".join([card.text_fingerprint, *texts]).encode()
    return f"background-{hashlib.sha256(identity).hexdigest()[:16]}.npy"


def write_bank(path: Path, vectors: Vectors) -> None:
    """As f16: half the bytes, and the rounding moves no relevance by a thousandth."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    with temporary.open("wb") as handle:
        np.save(handle, vectors.astype(np.float16), allow_pickle=False)
    publish(temporary, path)


def _read(path: Path, shape: tuple[int, int]) -> Vectors | None:
    """The vectors of a file that is there and whole."""
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if stored.shape != shape or stored.dtype != np.float16:
        return None
    vectors = stored.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths if np.all(np.abs(lengths - 1) < 1e-2) else None
