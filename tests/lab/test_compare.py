"""Models beside one another: who is right where the other is not."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from clipsearch.encoding import Engine
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.metrics import exact_sign_test
from clipsearch.lab import compare as module
from clipsearch.lab.compare import Comparison, compared_models, finding
from tests.support.small import pictures, small_model

CLASSES = ("word1", "word2", "word3")


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    """A small model with itself, and with one whose answers are all the first class."""
    monkeypatch.setattr(module, "SECONDS", 0.0)
    photos = LabelledPhotos("patches", CLASSES, list(pictures(30)), np.arange(30) % 3)
    small = small_model(tmp_path / "small")
    with (
        Engine(small, cache_folder=tmp_path / "cache") as one,
        Engine(small, cache_folder=tmp_path / "cache") as same,
        Engine(small, cache_folder=tmp_path / "cache") as other,
    ):
        text = np.eye(3, other.dim, dtype=np.float32)
        monkeypatch.setattr(other, "label_vectors", lambda labels, fresh: text)
        monkeypatch.setattr(other, "each_image", lambda images: iter([text[0]] * 30))
        return compared_models([one, same, other], photos)


def test_each_photo_that_only_one_gets_right_is_counted_on_its_side(compared: Comparison) -> None:
    """A difference of two accuracies hides how often the worse model is the one that is right."""
    one, same, other = compared.models
    assert other.acc1 == 1 / 3  # it calls all of them by the first class, which ten are of
    alike, unlike = compared.pairs[0], compared.pairs[1]
    assert (alike.alike, alike.only_one, alike.only_other, alike.chance) == (1.0, 0, 0, 1.0)
    assert one.acc1 == same.acc1
    assert unlike.only_one - unlike.only_other == round(30 * (one.acc1 - other.acc1))
    assert unlike.alike < 1


def test_the_interval_is_the_one_that_eval_gives(compared: Comparison) -> None:
    """Drawn across the classes, one measurement has two intervals, and here a model that is always the same one."""
    other = compared.models[2]
    assert (other.low, other.acc1, other.high) == pytest.approx((1 / 3, 1 / 3, 1 / 3))  # all or none of each class


def test_two_models_of_one_name_are_told_apart(compared: Comparison) -> None:
    """A table with the same name twice says nothing of either."""
    assert [one.model for one in compared.models] == ["small (1)", "small (2)", "small (3)"]
    assert finding(compared).plots[1].rows == ("small (1)", "small (2)", "small (3)")


def test_what_was_published_of_a_model_has_a_column_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """open_clip's 89.8 % of ViT-B/32 on CIFAR-10 are no figure of the model that lies here."""
    monkeypatch.setattr(module, "SECONDS", 0.0)
    photos = LabelledPhotos("patches", CLASSES, list(pictures(6)), np.arange(6) % 3, "cifar10", ("it has 6 pictures",))
    cards = [small_model(tmp_path / name) for name in ("vit-b-32-openai", "small")]
    engines = [Engine(card, cache_folder=tmp_path / "cache") for card in cards]
    told = finding(compared_models(engines, photos))
    assert [column.origin for column in told.tables[0].columns][-2:] == ["measured", "published"]
    assert [row[-1] for row in told.tables[0].rows] == [0.898, None]
    assert any("it has 6 pictures" in note for note in told.notes)
    assert any("the 18 templates published for cifar10" in note for note in told.notes)  # as theirs was


def test_the_sign_test_is_mcnemars_exact_one() -> None:
    """As scipy.stats.binomtest(5, 19) and (0, 5) have it."""
    assert exact_sign_test(5, 14) == pytest.approx(0.063568, abs=1e-6)
    assert exact_sign_test(5, 0) == pytest.approx(0.0625)
    began = time.process_time()
    assert exact_sign_test(49_700, 50_300) == pytest.approx(0.0581, abs=2e-4)  # normal, with continuity correction
    assert time.process_time() - began < 1  # in integers of a hundred thousand bits: many minutes
    assert exact_sign_test(0, 0) == 1.0
