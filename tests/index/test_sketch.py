"""Sketches keep the order of cosines, and say of which vectors they do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsearch.index.sketch import fitted

DIM, TRUE = 64, 24


def made(seed: int, count: int, spread: NDArray[np.float64]) -> NDArray[np.float32]:
    """Unit vectors around a common direction, as images of a model lie."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, DIM)) * spread + np.eye(DIM)[0] * 3
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


NARROW = np.where(np.arange(DIM) < TRUE, 1.0, 0.05)
PHOTOS = made(0, 5000, NARROW).astype(np.float16)


def test_products_of_sketches_order_photos_as_cosines_do() -> None:
    """The best 100 sketches must hold the true 20 best, or a text loses hits in silence; the text lies far outside."""
    projection = fitted(PHOTOS[::5])
    sketches, _ = projection.drawn(PHOTOS)
    assert sketches.shape == (5000, 32), "as many directions as the photos use, in steps of 32"
    for query in made(1, 20, np.ones(DIM)):
        turned = query - 2 * np.eye(DIM, dtype=np.float32)[0]
        turned /= np.linalg.norm(turned)
        true = set(np.argsort(-(PHOTOS.astype(np.float64) @ turned))[:20].tolist())
        products = sketches.astype(np.int64) @ projection.of_query(turned).astype(np.int64)
        assert true <= set(np.argsort(-products)[:100].tolist())


def test_photos_outside_the_directions_are_known_as_poorly_drawn() -> None:
    """An X-ray among holidays has a sketch of nearly nothing; unlisted, nothing would ever find it."""
    projection = fitted(PHOTOS[::5])
    assert projection.drawn(PHOTOS)[1].mean() <= 0.02
    assert projection.drawn(made(2, 50, NARROW[::-1]).astype(np.float16))[1].all()


def test_the_same_sample_gives_the_same_projection() -> None:
    """A checkpoint is compared with what its vectors would be drawn as; drift would refuse it."""
    one, other = fitted(PHOTOS), fitted(PHOTOS)
    assert np.array_equal(one.directions, other.directions) and one.step == other.step
