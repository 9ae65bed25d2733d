"""Matrices in 4 or 8 bits a weight: blocks of 32 along a row share a scale and a zero. Pure numpy.

A value is `(code - zero) * scale`; codes of 4 bits are packed two a byte, the low half first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLOCK = 32  # as in clip.cpp's q4
_SHRUNK = np.linspace(1.0, 0.7, 11)  # of a block's range: what lies beyond is clipped, where all others gain by it
_DAMPING = 0.01  # of the mean square of the inputs: what was seen of them is a sample


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    codes: NDArray[np.uint8]  # (rows, blocks, BLOCK), not packed
    scales: NDArray[np.float16]  # (rows, blocks)
    zeros: NDArray[np.uint8]  # (rows, blocks)


def in_blocks(rows: Floats, bits: int, moments: Floats | None = None) -> Blocks:
    """Each row in blocks, padded with zeros.

    `moments` (width, width) are sums of products of the inputs that the rows are multiplied by. With them, what one
    weight loses by rounding is made up for by those after it (GPTQ): the product stays near, not each weight.
    """
    count, width = rows.shape
    filled = -(-width // BLOCK) * BLOCK
    left = np.zeros((count, filled), np.float32)
    left[:, :width] = rows
    passed_on = None if moments is None else _passed_on(moments, filled)
    codes = np.empty((count, filled // BLOCK, BLOCK), np.uint8)
    scales, zeros = np.empty(codes.shape[:2], np.float16), np.empty(codes.shape[:2], np.uint8)
    for place in range(filled // BLOCK):
        here = slice(place * BLOCK, (place + 1) * BLOCK)
        block = left[:, here]
        scales[:, place], zeros[:, place] = _ranges(block, bits)
        step, zero = scales[:, place].astype(np.float32), zeros[:, place].astype(np.float32)
        if passed_on is None:
            codes[:, place] = _rounded(block, step[:, None], zero[:, None], bits)
            continue
        lost = np.empty_like(block)
        for one in range(BLOCK):
            along = passed_on[here.start + one, here]
            code = _rounded(block[:, one], step, zero, bits)
            codes[:, place, one] = code
            lost[:, one] = (block[:, one] - (code - zero) * step) / along[one]
            block[:, one:] -= np.outer(lost[:, one], along[one:])
        left[:, here.stop :] -= lost @ passed_on[here, here.stop :]
    return Blocks(codes, scales, zeros)


def packed(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Two codes of 4 bits a byte along the last axis, which is filled up with a zero where it is odd."""
    if bits == 8:
        return codes
    if codes.shape[-1] % 2:
        codes = np.concatenate([codes, np.zeros((*codes.shape[:-1], 1), np.uint8)], axis=-1)
    return np.asarray(codes[..., ::2] | codes[..., 1::2] << 4, np.uint8)


def _ranges(blocks: Floats, bits: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Scale and zero of each row (rows, BLOCK): those that move its weights least."""
    # Zero is a code of its own: padding stays zero, and so do weights that were pruned.
    low, high = np.minimum(blocks.min(axis=1), 0), np.maximum(blocks.max(axis=1), 0)
    highest = (1 << bits) - 1
    best = np.full(len(blocks), np.inf, np.float32)
    scales, zeros = np.ones(len(blocks), np.float16), np.zeros(len(blocks), np.uint8)
    for share in _SHRUNK:
        scale = np.maximum((high - low) * np.float32(share) / highest, 1e-7).astype(np.float16)
        step = scale.astype(np.float32)
        zero = np.clip(np.rint(-low * np.float32(share) / step), 0, highest)
        codes = _rounded(blocks, step[:, None], zero[:, None], bits)
        error = np.square((codes - zero[:, None]) * step[:, None] - blocks).sum(axis=1)
        better = error < best
        best[better], scales[better], zeros[better] = error[better], scale[better], zero[better]
    return scales, zeros


def _rounded(values: Floats, step: Floats, zero: Floats, bits: int) -> Floats:
    return np.asarray(np.clip(np.rint(values / step) + zero, 0, (1 << bits) - 1), np.float32)


def _passed_on(moments: Floats, width: int) -> Floats:
    """The upper Cholesky factor of the inverse moments: how much of a weight's loss each later one takes over."""
    full = np.eye(width, dtype=np.float64)
    full[: len(moments), : len(moments)] = moments
    diagonal = np.diagonal(full).copy()
    mean = float(np.diagonal(moments).mean()) or 1.0
    full[np.diag_indices(width)] = np.where(diagonal > 0, diagonal, mean) + _DAMPING * mean
    return np.asarray(np.linalg.cholesky(np.linalg.inv(full)).T, np.float32)
