"""What a model is worth on class folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clipsearch import Engine
from clipsearch.evaluation.labelled import labelled_photos
from clipsearch.evaluation.zero_shot import Recognised, recognised

SAMPLES = Path(__file__).parents[2] / "sample_images" / "animals"


def measured(folder: Path) -> Recognised:
    with Engine("starter", models_folder=folder, cache_folder=folder / "cache") as engine:
        return recognised(engine, labelled_photos(folder / "set"))


def test_two_classes_of_one_name_are_two_classes(tmp_path: Path) -> None:
    """ImageNet has two of missiles and two of sunglasses, so it could not be measured at all."""
    for name in ("n03773504", "n04008634"):
        (tmp_path / "set" / name).mkdir(parents=True)
        shutil.copy(SAMPLES / "jellyfish.jpg", tmp_path / "set" / name)
    found = measured(tmp_path)
    assert found.classes == ("missile", "missile")
    assert found.confusion.tolist() == [[1, 0]] * 2  # of equal scores the first class wins
    assert found.acc5.value == 1.0


def test_texts_are_encoded_by_the_way_that_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text cache holds the vectors of whichever way came first: two backends would get one figure."""

    def cached(*_: object) -> None:
        raise AssertionError("asked of the text cache")

    monkeypatch.setattr(Engine, "encode_text", cached)
    (tmp_path / "set" / "jellyfish").mkdir(parents=True)
    shutil.copy(SAMPLES / "jellyfish.jpg", tmp_path / "set" / "jellyfish")
    assert measured(tmp_path).acc1.value == 1.0
