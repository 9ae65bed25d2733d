"""Matrices in 4 or 8 bits a weight: blocks of 32 along a row share a scale and a zero. Pure numpy.

A value is `(code - zero) * scale`; codes of 4 bits are packed two a byte, the low half first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32  # as in clip.cpp's q4
_SHRUNK = np.linspace(1.0, 0.7, 11)  # of a block's range: what lies beyond is clipped, where all others gain by it


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    codes: NDArray[np.uint8]  # (rows, blocks, BLOCK), not packed
    scales: NDArray[np.float16]  # (rows, blocks)
    zeros: NDArray[np.uint8]  # (rows, blocks)


def in_blocks(rows: NDArray[np.float32], bits: int) -> Blocks:
    """Each row in blocks, padded with zeros, with the range that moves its weights least."""
    highest = (1 << bits) - 1
    count, width = rows.shape
    padded = np.zeros((count, -(-width // BLOCK) * BLOCK), np.float32)
    padded[:, :width] = rows
    blocks = padded.reshape(count, -1, BLOCK)
    # Zero is a code of its own: padding stays zero, and so do weights that were pruned.
    low, high = np.minimum(blocks.min(axis=2), 0), np.maximum(blocks.max(axis=2), 0)
    best = np.full(low.shape, np.inf, np.float32)
    codes = np.zeros(blocks.shape, np.uint8)
    scales, zeros = np.ones(low.shape, np.float16), np.zeros(low.shape, np.uint8)
    for share in _SHRUNK:
        scale = np.maximum((high - low) * np.float32(share) / highest, 1e-7).astype(np.float16)
        step = scale.astype(np.float32)
        zero = np.clip(np.rint(-low * np.float32(share) / step), 0, highest)
        code = np.clip(np.rint(blocks / step[..., None]) + zero[..., None], 0, highest)
        error = np.square((code - zero[..., None]) * step[..., None] - blocks).sum(axis=2)
        better = error < best
        best[better], scales[better], zeros[better], codes[better] = (
            error[better], scale[better], zero[better], code[better]
        )  # fmt: skip
    return Blocks(codes, scales, zeros)


def packed(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Two codes of 4 bits a byte along the last axis, which is filled up with a zero where it is odd."""
    if bits == 8:
        return codes
    if codes.shape[-1] % 2:
        codes = np.concatenate([codes, np.zeros((*codes.shape[:-1], 1), np.uint8)], axis=-1)
    return np.asarray(codes[..., ::2] | codes[..., 1::2] << 4, np.uint8)
