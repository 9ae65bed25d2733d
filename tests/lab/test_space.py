"""What `lab space` says of vectors whose figures can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.evaluation.encoded import EncodedPhotos
from clipsearch.lab import captioned_space, space
from clipsearch.lab.captioned_space import captioned_space_of
from clipsearch.lab.findings import Grid
from clipsearch.lab.space import space_of

# Two cats 60 degrees apart, three dogs that are one picture, no owl. Words: the first cat's direction, the dogs'.
ROWS = np.array([[1, 0, 0], [0.5, 3**0.5 / 2, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]], np.float32)
TRUTH = np.array([0, 0, 1, 1, 1])
WORDS = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]], np.float32)
NAMES = ("cat", "dog", "owl")


def encoded() -> EncodedPhotos:
    return EncodedPhotos(ROWS, TRUTH, np.arange(5), (), 1.0)


def test_figures_of_classes_are_weighted_by_their_pairs() -> None:
    """A mean of the classes' means would give two cats the weight of three dogs."""
    found = space_of("m", NAMES, encoded(), WORDS)
    assert found.same == pytest.approx((0.5 + 3) / 4) and found.other == pytest.approx(0)
    assert [one.name for one in found.classes] == ["cat", "dog"]  # there is no owl to speak of
    cat, dog = found.classes
    assert (cat.within, cat.closest, cat.photos, cat.word) == (pytest.approx(0.5), "dog", 2, pytest.approx(0.75))
    assert dog.silhouette == pytest.approx(1) and cat.silhouette == pytest.approx(0.5)
    # Texts that belong to no photo would be wrong pairs of everything; a word and its photos are the right ones.
    assert found.gap.right == pytest.approx((1 + 0.5 + 3) / 5)
    assert found.knn[0] == 1


def test_the_finding_quotes_the_result_and_leaves_absent_classes_out() -> None:
    """A row of NaN in the matrix, or a sentence with another figure than its table."""
    told = space.finding(space_of("m", NAMES, encoded(), WORDS))
    assert "cosine of 0.875, of two classes 0.000" in told.says and "for 100.0%" in told.says
    (grid,) = [plot for plot in told.plots if isinstance(plot, Grid)]
    assert grid.rows == grid.columns == ("cat", "dog") and np.isfinite(grid.values).all()
    assert [row[0] for row in told.tables[1].rows] == ["cat", "dog"]


@pytest.mark.parametrize("kept", [[0, 1], [1, 2]], ids=["one class", "one photo a class"])
def test_photos_that_leave_nothing_to_compare_are_refused(kept: list[int]) -> None:
    """All of a class could not be read: "of two classes nan", and a warning of numpy's."""
    few = EncodedPhotos(ROWS[kept], TRUTH[kept], np.array(kept), (), 1.0)
    with pytest.raises(UsageError, match="2 photos that can be read are of"):
        space_of("m", NAMES, few, WORDS)


def test_captions_are_compared_with_their_photo_and_with_others() -> None:
    """Right pairs among the wrong ones would pull the two curves together."""
    photos = np.eye(3, dtype=np.float32)
    texts = np.array([[0.6, 0.8, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    found = captioned_space_of("m", photos, texts, np.array([0, 0, 2]))
    assert found.gap.right == pytest.approx(2.6 / 3) and found.gap.wrong == pytest.approx(0.8 / 6)
    middles = (found.edges[1:] + found.edges[:-1]) / 2
    assert found.right_curve @ middles == pytest.approx(2.6 / 3, abs=0.011)
    assert found.wrong_curve @ middles == pytest.approx(0.8 / 6, abs=0.011)
    assert found.right_curve.sum() == found.wrong_curve.sum() == pytest.approx(1)
    assert "0.867 with its photo and of 0.133 with others" in captioned_space.finding(found).says
