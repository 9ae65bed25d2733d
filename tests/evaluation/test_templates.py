"""Averaging as published, and forward selection beside one that is written out."""

from __future__ import annotations

import tracemalloc

import numpy as np

from clipsearch.evaluation.templates import forward_selection, hits, together


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def some(templates: int = 7, classes: int = 4, photos: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photos near the mean of their class, templates that miss it by unlike distances."""
    random = np.random.default_rng(0)
    truth = np.arange(photos) % classes
    centres = random.standard_normal((classes, 8))
    vectors = centres + random.standard_normal((templates, classes, 8)) * np.linspace(0.5, 2, templates)[:, None, None]
    return unit(centres[truth] + 1.2 * random.standard_normal((photos, 8))), unit(vectors), truth


def test_templates_are_averaged_as_the_notebook_does() -> None:
    """Without the second normalisation a class whose prompts disagree is never the best."""
    agreeing, apart = unit(np.array([[1.0, 0.1], [1.0, -0.1]])), unit(np.array([[0.2, 1.0], [-1.0, 0.2]]))
    weights = together(np.stack([agreeing, apart], axis=1))
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1, atol=1e-6)
    # By hand: (0.2, 1)/1.0198 + (-1, 0.2)/1.0198 has the direction (-0.8, 1.2).
    np.testing.assert_allclose(weights[1], np.array([-0.8, 1.2]) / np.hypot(0.8, 1.2), atol=1e-6)


def test_each_step_takes_what_brings_most_and_counts_what_is_recognised() -> None:
    """The short cut by sums and lengths must be the mean of unit vectors, made unit again, at every step."""
    photos, vectors, truth = some()
    chosen: list[int] = []
    for step in forward_selection(photos, vectors, truth):
        left = [one for one in range(len(vectors)) if one not in chosen]
        shares = [float(hits(photos, together(vectors[[*chosen, one]]), truth).mean()) for one in left]
        assert (step.template, step.accuracy) == (left[int(np.argmax(shares))], max(shares))
        chosen.append(step.template)
    assert sorted(chosen) == list(range(len(vectors)))


def test_lengths_count_in_the_short_cut() -> None:
    """Scores that are only summed favour the class whose prompts agree; made unit, the other one is nearer.

    By hand: the sums are (2, 0) and (0.87, 1.49), of lengths 2 and 1.72, and the photo lies at (1, 0.66): 2 to 1.85,
    and by lengths 1 to 1.08.
    """
    vectors = np.stack([unit(np.array([[1.0, 0.0], [0.0, 1.0]])), unit(np.array([[1.0, 0.0], [0.9, 0.5]]))])
    photo = unit(np.array([[1.0, 0.66]]))
    steps = forward_selection(photo, vectors, np.array([1]))
    assert steps[-1].accuracy == 1.0
    summed = (photo @ vectors.sum(axis=0).T).argmax()
    assert summed == 0  # what this must not say


def test_the_scores_of_all_templates_are_held_once() -> None:
    """What is checked before the work is one such array: two of them and the hour before ends with Killed."""
    photos, vectors, truth = some(templates=20, classes=40, photos=2000)
    tracemalloc.start()
    try:
        forward_selection(photos, vectors, truth)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1.5 * 20 * 40 * 2000 * 4
