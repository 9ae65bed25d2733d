"""What a comparison says, on vectors made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.engine.quantize.compare import Views, compared


def turned(vectors: np.ndarray, cosine: float) -> np.ndarray:
    """Each vector turned so far, in a plane of its own."""
    aside = np.roll(vectors, 1, axis=1)
    aside -= (aside * vectors).sum(axis=1, keepdims=True) * vectors
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return (cosine * vectors + np.sqrt(1 - cosine**2) * aside).astype(np.float32)


def unit(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


PHOTOS, TEXTS, LABELS = unit(40, 0), unit(30, 1), unit(8, 2)
REFERENCE = Views(PHOTOS, TEXTS, LABELS)


def test_the_same_vectors_are_the_same() -> None:
    found = compared(REFERENCE, REFERENCE, tuple(range(30)), 0.98, 0.9)
    assert (found.photos, found.texts) == (40, 30)
    assert (found.image_mean, found.image_least, found.text_mean, found.text_least) == pytest.approx((1, 1, 1, 1))
    assert (found.top10, found.labels, found.recall) == (1, 0, (0, 0, 0))


def test_cosines_are_means_and_the_least() -> None:
    photos = PHOTOS.copy()
    photos[3] = turned(PHOTOS[3:4], 0.5)[0]
    found = compared(Views(photos, turned(TEXTS, 0.9), LABELS), REFERENCE, None, 0.98, 0.9)
    assert found.image_least == pytest.approx(0.5, abs=1e-4)
    assert found.image_mean == pytest.approx((39 + 0.5) / 40, abs=1e-4)
    assert found.text_mean == pytest.approx(0.9, abs=1e-4) and found.recall == ()


def test_what_is_found_among_the_nearest_counts() -> None:
    """Vectors may keep their cosine and still change places."""
    swapped = np.roll(PHOTOS, 1, axis=0)
    found = compared(Views(swapped, TEXTS, LABELS), REFERENCE, None, 0.98, 0.9)
    assert found.top10 < 0.5 and found.labels > 0.5


def test_recall_is_a_change() -> None:
    """Captions that are their photos' own vectors find them first; turned to another photo's they do not."""
    true = Views(PHOTOS, PHOTOS[:30], LABELS)
    owners = tuple(range(30))
    texts = PHOTOS[:30].copy()
    texts[:3] = PHOTOS[30:33]
    assert compared(true, true, owners, 0.98, 0.9).recall == (0, 0, 0)
    assert compared(Views(PHOTOS, texts, LABELS), true, owners, 0.98, 0.9).recall[0] == pytest.approx(-0.1, abs=1e-4)
