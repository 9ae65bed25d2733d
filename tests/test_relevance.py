"""Relevance: worlds of a few directions, in which one can see what is there and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsearch.background import background_texts
from clipsearch.relevance import (
    DEFAULT_THRESHOLD,
    Background,
    background_of,
    likeness,
    relevance,
)
from clipsearch.search import cosines

SUBJECTS = 40  # of photos and texts; each is a direction
DIMENSIONS = 512


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


class World:
    """Photos share a direction and texts another one, as CLIP's do; each has one subject, and noise."""

    def __init__(self, seed: int = 0, *, gap: float = 0.3, contrast: float = 1.0) -> None:
        self.random = np.random.default_rng(seed)
        self.gap, self.contrast = gap, contrast  # what any pair has in common; what only a right one has
        self.of_photos, self.of_texts = np.linalg.qr(self.random.standard_normal((DIMENSIONS, 2)))[0].T
        self.subjects = unit(self.random.standard_normal((SUBJECTS, DIMENSIONS)))

    def photos(self, subjects: np.ndarray) -> np.ndarray:
        noise = 0.5 * unit(self.random.standard_normal((len(subjects), DIMENSIONS)))
        return unit(
            1.0 * self.of_photos + self.gap * self.of_texts + 0.8 * self.contrast * self.subjects[subjects] + noise
        )

    def texts(self, subjects: np.ndarray, *, vague: float = 0.5) -> np.ndarray:
        noise = vague * unit(self.random.standard_normal((len(subjects), DIMENSIONS)))
        return unit(1.0 * self.of_texts + 0.6 * self.contrast * self.subjects[subjects] + noise)

    def bank(self) -> np.ndarray:
        """Everyday texts come near to what a photo shows and seldom name it, so they are vaguer than what is asked."""
        return self.texts(np.tile(np.arange(SUBJECTS), 5), vague=1.5)


def best(query: np.ndarray, photos: np.ndarray, background: Background) -> float:
    return float(relevance(query, cosines(query, photos.astype(np.float16)), photos, background).max())


@pytest.mark.parametrize(("gap", "contrast"), [(0.3, 1.0), (0.8, 1.0), (0.0, 1.0), (0.3, 0.8)])
@pytest.mark.parametrize("size", [20, 200])
def test_what_is_there_is_told_from_what_is_not(size: int, gap: float, contrast: float) -> None:
    """The whole point: "nothing here looks like that", with one threshold for every model and library."""
    world = World(gap=gap, contrast=contrast)
    present = np.arange(SUBJECTS // 2)
    photos = world.photos(np.resize(present, size))
    background = background_of(photos, world.bank(), photos=size)
    there = [best(query, photos, background) for query in world.texts(present)]
    absent = [best(query, photos, background) for query in world.texts(np.arange(SUBJECTS // 2, SUBJECTS))]
    assert np.mean(np.array(there) >= DEFAULT_THRESHOLD) >= 0.9
    assert np.mean(np.array(absent) < DEFAULT_THRESHOLD) >= 0.9


def test_a_library_of_one_photo_answers() -> None:
    """A first photo has no library to stand out from; it must still be found, and not by anything."""
    world = World()
    photos = world.photos(np.array([3]))
    background = background_of(photos, world.bank(), photos=1)
    assert best(world.texts(np.array([3]))[0], photos, background) >= DEFAULT_THRESHOLD
    others = world.texts(np.arange(4, SUBJECTS))
    assert np.mean([best(query, photos, background) < DEFAULT_THRESHOLD for query in others]) >= 0.9


def test_a_library_of_one_subject_loses_nothing() -> None:
    """Where all photos are of dogs, none stands out among them; "dog" must not be answered with "nothing"."""
    world = World()
    photos = world.photos(np.full(100, 7))
    background = background_of(photos, world.bank(), photos=100)
    assert best(world.texts(np.array([7]))[0], photos, background) >= DEFAULT_THRESHOLD


def test_more_photos_ask_for_more() -> None:
    """The best of many is high by chance: without this, everything is found in a large library."""
    world = World()
    photos = world.photos(np.arange(SUBJECTS))
    chances = [background_of(photos, world.bank(), photos=size).chance for size in (1, 10, 100, 1000)]
    assert chances == sorted(set(chances))


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 12), st.sampled_from([np.float16, np.float32]))
def test_relevance_is_defined_for_any_unit_vectors(seed: int, photos: int, texts: int, kind: type) -> None:
    """A mixture, an image, a blank photo, a tiny bank: never NaN, never outside 0..1."""
    random = np.random.default_rng(seed)
    rows = unit(random.standard_normal((photos, 8)))
    background = background_of(rows.astype(kind), unit(random.standard_normal((texts, 8))), photos=photos)
    query = unit(random.standard_normal(8))
    for values in (
        relevance(query, rows @ query, rows.astype(kind), background),
        likeness(query, rows.astype(kind), background),
    ):
        assert values.shape == (photos,)
        assert np.isfinite(values).all()
        assert values.min() >= 0 and values.max() <= 1


def test_equal_photos_and_equal_texts_divide_by_nothing() -> None:
    """A folder of copies and a model that gives one vector to all: no warning, no NaN."""
    photos = unit(np.ones((5, 8)))
    background = background_of(photos, photos, photos=5)
    assert np.isfinite(relevance(photos[0], photos @ photos[0], photos, background)).all()
    assert np.isfinite(likeness(photos[0], photos, background)).all()


@pytest.mark.parametrize("seed", range(5))
def test_of_one_photo_relevance_rises_with_the_score(seed: int) -> None:
    """A better score that looks worse would make the dots a riddle."""
    world = World(seed)
    photos = world.photos(np.arange(SUBJECTS))
    background = background_of(photos, world.bank(), photos=SUBJECTS)
    query = world.texts(np.array([0]))[0]
    rising = np.linspace(-1, 1, 50, dtype=np.float32)
    values = relevance(query, rising, np.repeat(photos[:1], 50, axis=0), background)
    assert (np.diff(values) >= 0).all()
    assert values[0] < 0.01 and values[-1] > 0.99


def test_f16_photos_give_what_f32_photos_give() -> None:
    """Vectors are stored as f16; what is shown must not depend on where they were read from."""
    world = World()
    photos = world.photos(np.arange(SUBJECTS))
    bank, query = world.bank(), world.texts(np.array([1]))[0]
    values = [
        relevance(query, photos @ query, rows, background_of(rows, bank, photos=SUBJECTS))
        for rows in (photos, photos.astype(np.float16))
    ]
    np.testing.assert_allclose(*values, atol=0.005)


def test_likeness_knows_the_same_photo_and_the_same_subject() -> None:
    """Dots beside the answers to a picture would say nothing if all were full, as they are by the cosine."""
    world = World()
    photos = world.photos(np.repeat(np.arange(SUBJECTS), 2))
    values = likeness(photos[0], photos, background_of(photos, world.bank(), photos=len(photos)))
    assert values[0] == pytest.approx(1, abs=1e-6)
    assert values[1] > 0.5
    assert np.median(values[2:]) < 0.2


def test_the_bank_is_short_and_has_no_text_twice() -> None:
    """It is encoded once on every machine: 300 short texts are seconds, 3,000 would be half a minute."""
    texts = background_texts()
    assert 200 <= len(texts) <= 300
    assert len({text.casefold() for text in texts}) == len(texts)
    assert all(text == text.strip() and len(text) < 60 for text in texts)
