"""A few photos of each label, and what the program makes of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipsearch import Engine, Library
from clipsearch.config import Paths
from clipsearch.engine.cards import Scoring
from clipsearch.errors import SystemFault, UsageError
from clipsearch.examples import NONE, examples_in, fitted_labels
from clipsearch.labels.sets import label_file, label_set, read_label_set
from tests.conftest import SAMPLES

LABELS = label_set(["cat", "food"])


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    for name, photos in {
        "cat": ["animals/cat-on-armchair.jpg"],
        "food": ["food/coffee-cup.jpg", "food/bakery-pastries.jpg"],
        "unknown": ["garden/red-flower.jpg"],
    }.items():
        (folder / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy2(SAMPLES / photo, folder / name)
    return folder


def test_folders_are_named_as_their_labels(examples: Path) -> None:
    """A misspelt folder would teach nothing, in silence."""
    found = examples_in(examples, LABELS)
    assert sorted(found.labels) == [NONE, 0, 1, 1]
    (examples / "dgo").mkdir()
    with pytest.raises(UsageError, match="dgo is named as none"):
        examples_in(examples, LABELS)
    with pytest.raises(UsageError, match="no photos of a label"):
        (examples / "only" / "unknown").mkdir(parents=True)
        examples_in(examples / "only", LABELS)
    with pytest.raises(SystemFault, match="no folder"):
        examples_in(examples / "absent", LABELS)


def test_what_was_learned_answers_the_same_from_its_file(examples: Path, paths: Paths) -> None:
    """The examples could be thrown away, and the answers would change."""
    (examples / "cat" / "broken.jpg").write_bytes(b"no photo")
    photos = [SAMPLES / "food/fruit-in-red-bowl.jpg", SAMPLES / "animals/dogs-at-window.jpg"]
    with Library(paths) as library:
        found = library.fitted_labels(LABELS, examples)
        assert found.photos == {"cat": 1, "food": 2} and found.none == 1
        assert [Path(failed.path.decode()).name for failed in found.failures] == ["broken.jpg"]
        kept = read_label_set(label_file(found.labels).encode(), "kept.toml")
        assert kept == found.labels and kept.fitted is not None and kept.fitted.unknown != 0
        answers = [list(library.classify(photos, one, unknown=True)) for one in (found.labels, kept, LABELS)]
        assert answers[0] == answers[1] != answers[2]
        other = replace(kept, fitted=replace(kept.fitted, space="0", model="another"))
        with pytest.raises(UsageError, match="under the model another"):
            next(iter(library.classify(photos, other)))


def test_probabilities_are_those_of_the_fitted_logits(examples: Path, paths: Paths) -> None:
    """A slope taken twice, or a bias in cosines, gives numbers that look as good as any."""
    photo = SAMPLES / "food/fruit-in-red-bowl.jpg"
    with Engine("starter", models_folder=paths.models, cache_folder=paths.cache) as engine:
        fitted = fitted_labels(engine, LABELS, examples_in(examples, LABELS)).labels
        cosines = (engine.encode_images(photo).vectors @ engine.label_vectors(LABELS).T)[0]
        scores = 85.0 * cosines.astype(np.float64)  # starter/card.toml
        scores = scores * [label.slope for label in fitted.labels] + [label.bias for label in fitted.labels]
        wanted = np.exp(scores) / np.exp(scores).sum()
        (verdict,) = engine.labeller(fitted)(engine.encode_images(photo).vectors)
        shares = {one.label: one.probability for one in verdict.labels}
        assert [shares["cat"], shares["food"]] == pytest.approx(wanted.tolist(), abs=1e-6)
        told = []
        engine.labeller(fitted, unknown=True, progress=lambda done, total: told.append((done, total)))
        assert told == [(2, 2)]


def test_labels_that_stand_alone_have_a_slope_each(examples: Path, paths: Paths) -> None:
    """SigLIP would be fitted as if its labels shared a whole."""
    with Engine("starter", models_folder=paths.models, cache_folder=paths.cache) as starter:
        card = replace(starter.card, scoring=Scoring("sigmoid", 40.0, -10.0))
    with Engine(card, cache_folder=paths.cache) as engine:
        fitted = fitted_labels(engine, LABELS, examples_in(examples, LABELS)).labels
        assert len({label.slope for label in fitted.labels}) == 2
        assert fitted.fitted is not None and fitted.fitted.unknown == 0
        (verdict,) = engine.labeller(fitted)(engine.encode_images(SAMPLES / "food/coffee-cup.jpg").vectors)
        assert verdict.label == "food"


def test_examples_that_cannot_be_read_are_no_examples(examples: Path, paths: Paths) -> None:
    """A fit to nothing would look like one."""
    for photo in examples.glob("*/*.jpg"):
        photo.write_bytes(b"no photo")
    with Library(paths) as library, pytest.raises(SystemFault, match="None of the examples"):
        library.fitted_labels(LABELS, examples)
