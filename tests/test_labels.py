"""Zero-shot labels: prompts, ensembles, and the questions that cannot be answered."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.labels import PLAIN_TEMPLATE, checked_labels, checked_templates, ensembled, prompts, ranked


def test_an_ensemble_is_the_mean_of_unit_vectors_made_unit_again() -> None:
    """open_clip's definition; a mean that is not made unit would shrink the cosines of varied prompts."""
    vectors = np.array([[1, 0], [0, 1]], np.float32)
    np.testing.assert_allclose(ensembled(vectors), [np.sqrt(0.5), np.sqrt(0.5)], atol=1e-6)


def test_labels_come_most_probable_first_with_their_own_scores() -> None:
    """A probability under another label's name would be worse than none."""
    scores = ranked(["a", "b", "c"], np.array([0.1, 0.3, 0.2], np.float32), np.array([0.2, 0.5, 0.3]))
    assert [(s.label, s.probability) for s in scores] == [("b", 0.5), ("c", 0.3), ("a", 0.2)]
    assert scores[0].score == pytest.approx(0.3)


def test_one_label_says_nothing_under_softmax_and_something_under_sigmoid() -> None:
    """100 % for whatever was asked looks like an answer."""
    with pytest.raises(UsageError, match="shares 100 %"):
        checked_labels([" cat "], exclusive=True)
    assert checked_labels([" cat "], exclusive=False) == ("cat",)


@pytest.mark.parametrize("labels", [[], ["", "  "], ["cat", "dog", "cat "]])
def test_no_labels_and_labels_twice_are_refused(labels: list[str]) -> None:
    """The same label twice would halve its probability."""
    with pytest.raises(UsageError):
        checked_labels(labels, exclusive=True)


def test_a_template_needs_one_place_for_the_label() -> None:
    """Without it every label would be asked with the same words."""
    for template in ("a photo", "{} and {}"):
        with pytest.raises(UsageError, match=r"place"):
            checked_templates([template])
    assert checked_templates([]) == (PLAIN_TEMPLATE,)
    assert prompts("red car", ["a {}.", "{}!"]) == ("a red car.", "red car!")
