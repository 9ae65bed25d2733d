"""4 and 8 bits a weight: what comes back is near, and packed as the runtimes read it."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.engine.quantize.blocks import BLOCK, Blocks, in_blocks, packed


def unpacked(blocks: Blocks) -> np.ndarray:
    steps = blocks.scales.astype(np.float32)[..., None]
    return (blocks.codes.astype(np.float32) - blocks.zeros[..., None]) * steps


@pytest.mark.parametrize(("bits", "most"), [(4, 0.11), (8, 0.008)])
def test_what_comes_back_is_near(bits: int, most: float) -> None:
    rows = np.random.default_rng(0).standard_normal((50, 3 * BLOCK)).astype(np.float32)
    error = unpacked(in_blocks(rows, bits)).reshape(rows.shape) - rows
    assert np.linalg.norm(error) < most * np.linalg.norm(rows)


def test_clipping_a_range_is_better_than_keeping_it() -> None:
    """One weight far out would cost all 31 others their precision."""
    rows = np.random.default_rng(1).standard_normal((200, BLOCK)).astype(np.float32)
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    step = (high - low) / 15
    plain = np.clip(np.rint((rows - low) / step), 0, 15) * step + low
    ours = unpacked(in_blocks(rows, 4)).reshape(rows.shape)
    assert np.linalg.norm(ours - rows) < 0.97 * np.linalg.norm(plain - rows)


@pytest.mark.parametrize("bits", [4, 8])
def test_zeros_stay_zeros_and_fill_a_short_block(bits: int) -> None:
    rows = np.ones((2, BLOCK + 3), np.float32)
    rows[0] = 0
    found = unpacked(in_blocks(rows, bits))
    assert found.shape == (2, 2, BLOCK) and not found[0].any() and not found[1, 1, 3:].any()


def test_weights_too_large_for_a_small_scale_stay_finite() -> None:
    rows = np.full((1, BLOCK), 60_000, np.float32)
    assert np.isfinite(unpacked(in_blocks(rows, 4))).all()


def test_two_codes_a_byte_the_low_half_first() -> None:
    assert packed(np.array([[1, 2, 3]], np.uint8), 4).tolist() == [[0x21, 0x03]]
    assert packed(np.array([[1, 2, 3]], np.uint8), 8).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("width", [2 * BLOCK, 2 * BLOCK + 5])
def test_what_is_lost_is_made_up_for_where_inputs_are_alike(width: int) -> None:
    """Inputs of a real layer are not independent, and some are a hundred times the others."""
    random = np.random.default_rng(2)
    rows = random.standard_normal((40, width)).astype(np.float32)
    inputs = random.standard_normal((500, 12)) @ random.standard_normal((12, width))
    inputs[:, 7] *= 30
    inputs = (inputs + 0.1 * random.standard_normal((500, width))).astype(np.float32)

    def error(blocks: Blocks) -> float:
        found = unpacked(blocks).reshape(len(rows), -1)[:, :width]
        return float(np.linalg.norm(inputs @ (found - rows).T))

    assert error(in_blocks(rows, 4, inputs.T @ inputs)) < 0.5 * error(in_blocks(rows, 4))


def test_inputs_that_were_never_seen_are_no_trouble() -> None:
    rows = np.random.default_rng(3).standard_normal((4, BLOCK)).astype(np.float32)
    found = unpacked(in_blocks(rows, 4, np.zeros((BLOCK, BLOCK), np.float32))).reshape(rows.shape)
    assert np.linalg.norm(found - rows) < 0.2 * np.linalg.norm(rows)
