"""What may be said of a photo: the best label, a broader one, or none."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.labels.sets import label_set, read_label_set
from clipsearch.labels.verdicts import alternatives, ensembled, rivals_of, verdicts
from clipsearch.types import LabelSet

PETS = read_label_set(
    b"""
    labels = ["car"]
    [label.pet]
    threshold = 0.6
    [label.cat]
    under = "pet"
    threshold = 0.5
    [label.dog]
    under = "pet"
    threshold = 0.5
    """,
    "pets.toml",
)


def said(
    labels: LabelSet, shares: list[float], *, fits: bool = True, margin: float = 0.0, exclusive: bool = True
) -> str | None:
    probabilities = np.array([shares])
    cosines = probabilities.astype(np.float32)
    (verdict,) = verdicts(labels, cosines, probabilities, exclusive=exclusive, fits=np.array([fits]), margin=margin)
    return verdict.label


def test_an_ensemble_is_the_mean_of_unit_vectors_made_unit_again() -> None:
    """open_clip's definition; a mean that is not made unit would shrink the cosines of varied prompts."""
    vectors = np.array([[1, 0], [0, 1]], np.float32)
    np.testing.assert_allclose(ensembled(vectors), [np.sqrt(0.5), np.sqrt(0.5)], atol=1e-6)


def test_labels_come_most_probable_first_with_their_own_scores() -> None:
    """A probability under another label's name would be worse than none."""
    cosines = np.array([[0.1, 0.3, 0.2], [0.3, 0.2, 0.1]], np.float32)
    probabilities = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    fits = np.ones(2, np.bool_)
    first, second = verdicts(label_set("abc"), cosines, probabilities, exclusive=True, fits=fits)
    assert [(one.label, one.probability) for one in first.labels] == [("b", 0.5), ("c", 0.3), ("a", 0.2)]
    assert first.labels[0].score == pytest.approx(0.3)
    assert (first.label, second.label) == ("b", "a")
    short, _ = verdicts(label_set("abc"), cosines, probabilities, exclusive=True, fits=fits, top=2)
    assert short.labels == first.labels[:2]


def test_nothing_is_said_where_nothing_fits() -> None:
    """100 % among labels that are all wrong moved 21,488 photos away."""
    assert said(label_set("ab"), [0.99, 0.01]) == "a"
    assert said(label_set("ab"), [0.99, 0.01], fits=False) is None
    assert said(PETS, [0.0, 0.99, 0.01], fits=False) is None  # nor a broader one


def test_a_margin_asks_for_a_clear_winner() -> None:
    """Two labels that share a photo would both be wrong half of the time."""
    assert said(label_set("abc"), [0.4, 0.35, 0.25], margin=0.1) is None
    assert said(label_set("abc"), [0.5, 0.3, 0.2], margin=0.1) == "a"


def test_a_label_that_is_not_sure_enough_gives_way_to_the_broader_one() -> None:
    """Cat or dog, a pet it is: of kinds that exclude each other the broader one has the sum."""
    assert PETS.labels[0].name == "car"
    assert said(PETS, [0.1, 0.55, 0.35]) == "cat"
    assert said(PETS, [0.1, 0.48, 0.42]) == "pet"
    assert said(PETS, [0.45, 0.46, 0.09]) is None  # 0.55 is less than the threshold of pet
    assert said(PETS, [0.1, 0.48, 0.42], exclusive=False) is None  # each on its own: no sum
    one = np.array([[0.1, 0.48, 0.42]])
    (verdict,) = verdicts(PETS, one.astype(np.float32), one, exclusive=True, fits=np.ones(1, np.bool_))
    assert verdict.probability == pytest.approx(0.9)  # of the pet; the cat's is 0.48


def test_everyday_texts_that_mean_a_label_are_no_rivals() -> None:
    """`a cat` would win against the label `cat`, and every cat would be unknown."""
    labels = np.array([[1, 0, 0]], np.float32)
    bank = np.array([[0.9, np.sqrt(1 - 0.81), 0], [0, 1, 0]], np.float32)
    np.testing.assert_array_equal(alternatives(bank, labels), bank[1:])


def test_where_all_everyday_texts_mean_a_label_one_is_left() -> None:
    """A thousand labels crashed a model whose texts all lie close together."""
    bank = np.array([[1, 0], [0.96, 0.28]], np.float32)
    left = alternatives(bank, np.array([[1, 0]], np.float32))
    np.testing.assert_array_equal(left, bank[1:])
    np.testing.assert_allclose(rivals_of(np.array([[0, 1]], np.float32), left), [0.28])
