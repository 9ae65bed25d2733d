"""What a graph is fed with, as calibration wants it: arrays by the names of its inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.backends import Port, default_way, open_session
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.quantize.material import Pixels
from clipsearch.engine.tokenize import TextTokenizer

Feeds = dict[str, NDArray[np.generic]]


def image_feeds(card: ModelCard, pixels: Pixels) -> list[Feeds]:
    """One photo each, repeated where the graph takes several and no fewer."""
    (port,) = _inputs(card, card.reference.image.file)
    tensors = Preprocess(card.image).tensor(pixels).astype(port.dtype)
    return [{port.name: np.repeat(one[None], port.shape[0] or 1, axis=0)} for one in tensors]


def text_feeds(card: ModelCard, texts: Sequence[str]) -> list[Feeds]:
    """One text each, with its mask where the graph reads one."""
    ports = _inputs(card, card.reference.text.file)
    tokenizer = TextTokenizer(card.folder, card.text)
    found = []
    for text in texts:
        tokens = tokenizer.encode([text], length=next(port for port in ports if "mask" not in port.name).shape[1])
        rows = {port: tokens.mask if "mask" in port.name else tokens.ids for port in ports}
        found.append(
            {port.name: np.repeat(array.astype(port.dtype), port.shape[0] or 1, axis=0) for port, array in rows.items()}
        )
    return found


def embedding_output(card: ModelCard, role: str) -> str:
    """The name of the output that is the vector, as the towers find it."""
    file = card.reference.image.file if role == "image" else card.reference.text.file
    ports = open_session(card.folder / file, default_way()).outputs
    return next(port.name for port in ports if len(port.shape) == 2 and port.shape[1] in (None, card.dim))


def _inputs(card: ModelCard, file: str) -> tuple[Port, ...]:
    return open_session(card.folder / file, default_way()).inputs
