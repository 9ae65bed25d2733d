"""An encoder without weights: pixels are hashed into unit vectors, the same ones every time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from clipsearch.decoding.decode import decode, decoder_identity
from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from clipsearch.types import Decoded, Failure, SpaceIdentity


@dataclass
class HashEncoder:
    """Satisfies types.Encoder. `seed` makes another model of it; `encoded` counts photos."""

    dim: int = 32
    seed: int = 0
    encoded: int = 0

    variant = "fake/hash"
    batch_size = 4

    @property
    def space(self) -> SpaceIdentity:
        return SpaceIdentity(f"hash-{self.seed}-{self.dim}", f"hash-{self.seed}", self.dim)

    @property
    def prepare(self) -> Preprocess:
        return Preprocess(ImageInput(16, "squash", "bilinear", (0, 0, 0), (1, 1, 1)))

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.encoded += len(pixels)
        return np.stack([hashed_vector(row.tobytes(), self.dim, self.seed) for row in pixels])


def hashed_vector(content: bytes, dim: int, seed: int = 0) -> NDArray[np.float32]:
    digest = hashlib.sha256(seed.to_bytes(8, "little") + content).digest()
    vector = np.random.default_rng(list(digest)).standard_normal(dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class InlineDecoder:
    """Satisfies types.Decoder in this process, for tests of what comes after decoding."""

    def __init__(self, prepare: Preprocess) -> None:
        self._prepare = prepare

    @property
    def identity(self) -> str:
        return decoder_identity()

    ahead = 1
    suspects: Mapping[bytes, int] = MappingProxyType({})
    spent = (0.0, 0.0)

    def submit(self, path: bytes) -> Future[Decoded | Failure]:
        done: Future[Decoded | Failure] = Future()
        done.set_result(decode(path, self._prepare))
        return done

    def decode_alone(self, path: bytes) -> Decoded | Failure:
        return decode(path, self._prepare)
