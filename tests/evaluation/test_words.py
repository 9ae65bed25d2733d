"""Word mAP beside cases counted by hand, and the table that says what is in which photo."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from clipsearch.errors import UsageError
from clipsearch.evaluation.metrics import average_precision, average_precisions, chance_precision
from clipsearch.evaluation.objects import in_photos, objects_of_photos
from clipsearch.evaluation.words import word_search


def test_precision_is_averaged_over_the_photos_that_are_right() -> None:
    """Right are the first and the third of four: 1/1 and 2/3. Over all four photos it would be less than a half."""
    scores, right = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert average_precision(scores, right) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(-scores, right) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert np.isnan(average_precision(scores, right & False))


def test_the_order_of_equal_scores_cannot_matter() -> None:
    """A model that says the same of all photos would be right with every word whose photos stand first in the file."""
    equal = np.zeros(4)
    assert average_precision(equal, np.array([True, False, False, False])) == 0.25
    assert average_precision(equal, np.array([False, False, False, True])) == 0.25


def test_a_photo_drawn_twice_is_two_photos() -> None:
    """Counts stand for repetitions, and what was not drawn is not there."""
    rng = np.random.default_rng(0)
    scores, right = rng.integers(0, 12, 20) / 12, rng.random(20) < 0.4
    counts = rng.multinomial(20, np.full(20, 1 / 20), 50)
    expected = [average_precision(scores.repeat(one), right.repeat(one)) for one in counts]
    assert average_precisions(scores, right, counts) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("photos", [1, 2, 6])
def test_chance_is_the_mean_over_all_orders(photos: int) -> None:
    """The share of the photos, which is often taken for it, is 0.044 where chance is 0.070."""
    scores = -np.arange(photos)
    for present in range(1, photos + 1):
        orders = [
            average_precision(scores, np.isin(np.arange(photos), places))
            for places in itertools.combinations(range(photos), present)
        ]
        assert chance_precision(present, photos) == pytest.approx(np.mean(orders))


def test_each_word_counts_the_same() -> None:
    """Counted by its photos, a common word would hide that no rare one is found."""
    scores = np.array([[0.9, 0.4], [0.8, 0.3], [0.7, 0.2], [0.1, 0.1]])
    present = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], bool)
    found = word_search(scores, present, ("person", "kite"))
    assert [(one.word, one.photos, one.precision) for one in found.words] == [("person", 3, 1.0), ("kite", 1, 0.25)]
    assert found.mean == pytest.approx((1 + 0.25) / 2)
    assert found.chance == pytest.approx((chance_precision(3, 4) + chance_precision(1, 4)) / 2)


def test_the_interval_is_as_wide_as_other_photos_would_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty sets of photos from one world: their figures must scatter as each set alone says they would."""
    monkeypatch.setattr("clipsearch.evaluation.words._DRAWS", 200)
    rng = np.random.default_rng(0)

    def of(photos: int) -> tuple[float, float, float]:
        present = rng.random((photos, 20)) < 0.06
        present[rng.integers(0, photos, 20), np.arange(20)] = True
        found = word_search(rng.standard_normal((photos, 20)) + 2 * present, present, tuple(map(str, range(20))))
        return found.mean, found.low, found.high

    mean, low, high = np.array([of(100) for _ in range(60)]).T
    assert np.all((low < mean) & (mean < high))  # percentiles would lie above it: what is drawn twice is found twice
    assert np.mean(high - low) / 2 == pytest.approx(1.96 * mean.std(), rel=0.25)


def test_a_drawing_without_a_word_says_nothing_of_it() -> None:
    """A word in one photo, found first: a third of the drawings lack the photo, and none of them found it badly."""
    scores = -np.arange(30.0)[:, None]
    found = word_search(scores, scores == 0, ("kite",))
    assert (found.low, found.mean, found.high) == (1.0, 1.0, 1.0)


def test_a_table_says_what_is_in_each_photo(tmp_path: Path) -> None:
    """A photo without words has none of them; one without a row is not asked, for nothing is known of it."""
    table = tmp_path / "objects.tsv"
    table.write_text('file\tobjects\nb.jpg\tdog, tv "12\na.jpg\t\nc.jpg\tdog,  potted plant\nb.jpg\tcar\n', "utf-8")
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg", "unknown.jpg"):
        (tmp_path / "photos" / name).touch()
    found = objects_of_photos(table)
    assert [photo.name for photo in found.photos] == ["b.jpg", "a.jpg", "c.jpg"]
    assert found.words == ("car", "dog", "potted plant", 'tv "12')
    assert found.present.tolist() == [[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]]
    common = in_photos(found, 2)
    assert common.words == ("dog",) and common.present.tolist() == [[1], [0], [1]] and len(common.photos) == 3
    with pytest.raises(UsageError, match="No word is in 3 photos") as caught:
        in_photos(found, 3)
    assert caught.value.hint.endswith(": 2")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"a.jpg\tdog", b"file\tobjects\na.jpg\n", b"file\tobjects\na.jpg\t\n", b"file\tcaption\na.jpg\tdog",
        b"file\tobjects\ngone.jpg\tdog", b"file\tobjects\na.jpg\td\xffg", b"file\tobjects\n\tdog",
    ],
)  # fmt: skip
def test_what_is_no_table_of_objects_is_refused(content: bytes, tmp_path: Path) -> None:
    """Half a file would give a figure that looks like one."""
    (tmp_path / "objects.tsv").write_bytes(content)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UsageError):
        objects_of_photos(tmp_path / "objects.tsv")


def test_only_a_newline_ends_a_row_and_the_wrong_one_is_named(tmp_path: Path) -> None:
    """One odd blank in one word refused the whole table, and did not say where."""
    (tmp_path / "a.jpg").touch()
    (tmp_path / "objects.tsv").write_text("file\tobjects\na.jpg\tdog,tv\u2028set\n\na.jpg\tcat\n", "utf-8")
    assert objects_of_photos(tmp_path / "objects.tsv").words == ("cat", "dog", "tv\u2028set")
    (tmp_path / "objects.tsv").write_text("file\tobjects\na.jpg\tdog\n\na.jpg cat\n", "utf-8")
    with pytest.raises(UsageError, match="line 4 "):
        objects_of_photos(tmp_path / "objects.tsv")
