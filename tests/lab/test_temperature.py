"""Probabilities beside the truth, fitted on some photos and told by others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from clipsearch.engine.cards import Scoring
from clipsearch.errors import UsageError
from clipsearch.evaluation.calibration import tempered
from clipsearch.evaluation.encoded import EncodedPhotos
from clipsearch.evaluation.halves import halves
from clipsearch.evaluation.intervals import Interval
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.lab import temperature
from clipsearch.lab.temperature import TemperatureFit, calibration, finding, temperature_fit, temperature_of
from clipsearch.labels.sets import published_templates
from tests.support.accuracy import accuracy

CLASSES = ("cat", "dog", "bird", "fish")


def world(photos: int = 400, dim: int = 32) -> tuple[EncodedPhotos, np.ndarray]:
    """Photos that lie about their class, and the classes."""
    random = np.random.default_rng(0)
    weights = unit(random.standard_normal((4, dim)))
    truth = np.arange(photos) % 4
    vectors = unit(weights[truth] + 2 * unit(random.standard_normal((photos, dim))))
    return EncodedPhotos(vectors, truth, np.arange(photos), (), 1.0), weights


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def fitted(
    encoded: EncodedPhotos, weights: np.ndarray, scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> TemperatureFit:
    monkeypatch.setattr(temperature, "encoded_photos", lambda *_: encoded)
    monkeypatch.setattr(temperature, "classifier", lambda *_: weights)
    photos = LabelledPhotos("made up", CLASSES, ["photo.jpg"] * len(encoded.truth), encoded.truth)
    engine = SimpleNamespace(card=SimpleNamespace(name="a", scoring=scoring))
    return temperature_fit(engine, photos)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scoring", [Scoring("softmax", 40.0), Scoring("sigmoid", 40.0, -8.0)], ids=["softmax", "sigmoid"]
)
def test_a_models_own_scoring_is_fitted_and_its_accuracy_stays(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fitted as a softmax, a sigmoid's scale and bias would be those of no model."""
    encoded, weights = world()
    fit = fitted(encoded, weights, scoring, monkeypatch)
    assert (fit.kind, fit.fitting, fit.telling) == (scoring.kind, 200, 200)
    after = tempered(scoring, fit.temperature)
    assert (fit.after.scale, fit.after.bias) == (after.scale, after.bias)
    assert (fit.before.scale, fit.before.bias) == (scoring.scale, scoring.bias)
    assert fit.before.accuracy == fit.after.accuracy
    assert fit.nll_gain.value == pytest.approx(fit.before.nll - fit.after.nll) and fit.nll_gain.value > 0
    told = "bias" in [row[0] for row in finding(fit).tables[0].rows]
    assert told == (scoring.kind == "sigmoid")


def test_photos_that_tell_have_no_say_in_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted on them, every scale looks better than it is on the next photos."""
    encoded, weights = world()
    telling = halves(encoded.truth).telling
    other = encoded.vectors.copy()
    other[telling] = unit(np.random.default_rng(1).standard_normal(other[telling].shape))
    first, second = (
        fitted(EncodedPhotos(one, encoded.truth, encoded.read, (), 1.0), weights, Scoring("softmax", 40.0), monkeypatch)
        for one in (encoded.vectors, other)
    )
    assert first.temperature == second.temperature
    assert first.before.accuracy == accuracy((encoded.vectors @ weights.T)[telling], encoded.truth[telling])
    assert second.before.accuracy < first.before.accuracy - 0.2


def test_a_published_set_is_asked_with_its_own_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command's accuracy of the same photos would differ by points, and nobody could tell why."""
    encoded, weights = world()
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(temperature, "classifier", lambda *given: asked.append(given[2]) or weights)
    engine = SimpleNamespace(card=SimpleNamespace(name="a", scoring=Scoring("softmax", 40.0)))
    photos = LabelledPhotos("made up", CLASSES, ["photo.jpg"] * 400, encoded.truth, "cifar10")
    fit = temperature_of(engine, photos, encoded)  # type: ignore[arg-type]
    assert fit.templates == asked[0] == published_templates()["cifar10"]
    assert any("the 18 templates published for cifar10" in note for note in finding(fit).notes)
    own = temperature_of(engine, photos, encoded, ["a {}"])  # type: ignore[arg-type]
    assert own.templates == asked[1] == ("a {}",) and any('asked with "a {}"' in note for note in finding(own).notes)


def test_one_class_is_refused() -> None:
    """Every photo is of the only class: recognised 100 %, and nothing to fit."""
    photos = LabelledPhotos("cats", ("cat",), ["photo.jpg"] * 2, np.zeros(2, np.int64))
    with pytest.raises(UsageError, match="One class says nothing"):
        temperature_fit(SimpleNamespace(), photos)  # type: ignore[arg-type]


def told(scale: float, true_scale: float, photos: int = 2000) -> TemperatureFit:
    """A model that says softmax(scale * cosine) where softmax(true_scale * cosine) is true."""
    random = np.random.default_rng(0)
    cosines = random.normal(0.2, 0.05, (photos, 4)).astype(np.float32)
    true = np.exp(true_scale * cosines.astype(np.float64))
    truth = ((true / true.sum(axis=1, keepdims=True)).cumsum(axis=1) < random.random((photos, 1))).sum(axis=1)
    before, after = (calibration(cosines, truth, Scoring("softmax", one)) for one in (scale, true_scale))
    gain = temperature.difference_interval(np.full(photos, before.nll), np.full(photos, after.nll))
    curve = temperature._at(1.0, cosines, truth, Scoring("softmax", scale))
    return TemperatureFit(
        "a", "softmax", "set", 4, ("{}",), photos, photos, (), scale / true_scale, before, after, gain, (curve,)
    )


def test_a_model_is_called_too_sure_only_where_it_is() -> None:
    """Of 40 photos a difference of 5 points between sureness and accuracy is chance."""
    assert "is too sure: it says" in finding(told(80, 40)).says
    assert "is not sure enough: it says" in finding(told(20, 40)).says
    assert "is as sure as it is right, within chance: it says" in finding(told(40, 40)).says
    assert "is as sure as it is right, within chance: it says" in finding(told(43, 40, photos=40)).says


def test_a_fit_that_is_worse_on_the_other_photos_is_not_called_the_best() -> None:
    """A person who copies the scale makes the model worse, on the word of a report that measured it."""
    fit = told(80, 40)
    assert "Best is" in finding(replace(fit, nll_gain=Interval(0.2, 0.1, 0.3))).says
    assert "No other scale is surely better" in finding(replace(fit, nll_gain=Interval(0.1, -0.1, 0.3))).says
    worse = finding(replace(fit, nll_gain=Interval(-0.2, -0.3, -0.1))).says
    assert "Keep the card's scale" in worse and "+0.200 nats [+0.100, +0.300]" in worse and "Best" not in worse


def test_few_photos_name_no_scale() -> None:
    """Ten photos that are all right by chance fit the coldest scale there is, and nobody asks how many they were."""
    few = replace(told(80, 40), fitting=29, nll_gain=Interval(0.2, 0.1, 0.3))
    assert "Too few photos to name a scale: 29 fitted one" in finding(few).says and "Best" not in finding(few).says
    assert "Best is" in finding(replace(few, fitting=30)).says


def test_bins_of_the_diagram_have_photos_enough() -> None:
    """Shares of three photos make a saw in which everybody sees what they like."""
    assert {len(told(40, 40, photos).before.reliability) for photos in (2000, 450)} == {15}
    assert min(one.photos for one in told(40, 40, 200).before.reliability) >= 30
