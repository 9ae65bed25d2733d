"""Photos prepared otherwise, through the real workers and a real graph: each row is what its name says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch.encoding import Engine
from clipsearch.engine.preprocess import Preprocess
from clipsearch.evaluation.captions import CaptionedPhotos
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.preprocessing import Changed, Prepared, normalisations, prepared_otherwise
from clipsearch.lab import preprocessing as told
from tests.support.small import small_model

COLOURS = [(200, 60, 30), (30, 90, 220), (40, 180, 70), (220, 210, 40), (90, 30, 150)]


def no_progress(done: int, total: int) -> None:
    assert done <= total


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("model")
    card = small_model(folder / "small")
    with Engine(card, backend="onnxruntime", cache_folder=folder / "cache") as opened:
        yield opened


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five with colours and patches of their own, a grey one, one turned by EXIF, and one that is none."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number, colour in enumerate(COLOURS):
        patches = random.integers(0, 80, (6, 9, 3)) + np.array(colour) * 2 // 3
        picture = Image.fromarray(patches.astype(np.uint8)).resize((90, 60), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.png")
    Image.fromarray(random.integers(0, 256, (60, 90), np.uint8)).convert("RGB").save(folder / "5-grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / "0.png").save(folder / "6-turned.png", exif=exif)
    (folder / "7-broken.png").write_bytes(b"no photo at all")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def prepared(engine: Engine, photos: list[Path]) -> Prepared:
    return prepared_otherwise(engine, [bytes(photo) for photo in photos], no_progress)


def by_name(prepared: Prepared) -> dict[str, Changed]:
    return {one.name: one for one in prepared.changes}


def test_the_reference_is_what_every_search_makes(engine: Engine, photos: list[Path], prepared: Prepared) -> None:
    """Harm is measured from there."""
    assert np.allclose(prepared.reference, engine.encode_images(photos[:7]).vectors, atol=1e-5)
    assert prepared.read == tuple(range(7)) and [one.path for one in prepared.failures] == [bytes(photos[7])]
    assert all(len(one.vectors) == 7 == len(one.changed) for one in prepared.changes)


def test_every_change_is_there_once(prepared: Prepared) -> None:
    names = [one.name for one in prepared.changes]
    assert len(names) == len(set(names)) == 20
    assert {"squashed, not cropped", "bilinear", "EXIF turn ignored", "CLIP's mean and deviation"} <= set(names)
    # Its own mean of 0.5 with a deviation of 0.25 is none of the known ones, and it is not softened anyway.
    assert "mean and deviation 0.5" in names and "not softened" not in names


def test_a_changed_photo_has_the_vector_of_the_changed_photo(
    engine: Engine, photos: list[Path], prepared: Prepared, tmp_path: Path
) -> None:
    """Made anew by hand: the file itself is changed, and read as always."""
    found = by_name(prepared)
    for photo in photos[:6]:
        with Image.open(photo) as image:
            Image.fromarray(np.asarray(image)[..., ::-1]).save(tmp_path / photo.name)
    swapped = engine.encode_images(sorted(tmp_path.iterdir())).vectors
    row = found["blue and red swapped"]
    assert np.allclose(row.vectors[:6], swapped, atol=1e-5)
    assert row.changed[:5].all() and not row.changed[5], "a grey photo has no blue"
    assert np.array_equal(row.vectors[5], prepared.reference[5])
    assert (row.vectors[:5] * prepared.reference[:5]).sum(axis=1).max() < 0.9999


def test_only_a_turned_photo_is_turned_back(prepared: Prepared) -> None:
    row = by_name(prepared)["EXIF turn ignored"]
    assert row.changed.tolist() == [False] * 6 + [True]
    assert np.allclose(row.vectors[6], prepared.reference[0], atol=1e-5), "its file is that of the first photo"
    assert not by_name(prepared)["colour profile ignored"].changed.any()


def test_another_mean_is_that_of_another_card(engine: Engine, prepared: Prepared, photos: list[Path]) -> None:
    card = replace(engine.card, image=replace(engine.card.image, mean=(0.0,) * 3, std=(1.0,) * 3))
    with Engine(card, backend="onnxruntime", cache_folder=photos[0].parent) as other:
        vectors = other.encode_images(photos[:7]).vectors
    row = by_name(prepared)["not normalised (0..1)"]
    assert np.allclose(row.vectors, vectors, atol=1e-5) and row.changed.all()


def test_values_up_to_255_are_not_divided(engine: Engine) -> None:
    """The graph gets (pixels - mean) / deviation of the pixels themselves."""
    (other,) = [one for name, one in normalisations(engine.card.image) if name.startswith("0..255")]
    tensor = Preprocess(other).tensor(np.full((1, 32, 32, 3), 100, np.uint8))
    assert np.allclose(tensor, (100 - 0.5) / 0.25, rtol=1e-5)


@pytest.fixture
def as_prepared(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The photos are not read again."""
    monkeypatch.setattr(told, "prepared_otherwise", lambda engine, photos, progress: prepared)


def test_the_worst_comes_first_and_is_said(
    engine: Engine, photos: list[Path], prepared: Prepared, as_prepared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Classes that are the photos' own vectors: all right as the card says, and fewer where vectors move."""
    monkeypatch.setattr(told, "classifier", lambda engine, classes, templates: prepared.reference[:6])
    truth = np.array([0, 1, 2, 3, 4, 5, 0, 0])
    found = told.of_classes(engine, LabelledPhotos("six", tuple("abcdef"), photos, truth), no_progress)
    assert (found.measure, found.photos, len(found.failures)) == ("accuracy", 7, 1)
    assert found.score is not None and found.score >= 6 / 7
    changes = [one.change or 0.0 for one in found.harms]
    assert changes == sorted(changes) and changes[0] < 0
    assert f'to {found.harms[0].score:.3f} by "{found.harms[0].name}"' in told.finding(found).says


def test_captions_of_photos_that_cannot_be_read_do_not_count(
    engine: Engine, photos: list[Path], prepared: Prepared, as_prepared: None
) -> None:
    """The last photo is broken; the others keep their captions, whatever their places."""
    asked = CaptionedPhotos(tuple(photos), ("word1", "word2 word3", "word4", "word5"), np.array([0, 7, 6, 3]))
    found = told.of_captions(engine, asked, no_progress)
    texts = engine.freshly_encoded(["word1", "word4", "word5"])
    right = (texts @ prepared.reference.T).argmax(axis=1) == [0, 6, 3]
    assert (found.measure, found.photos, found.texts) == ("R@1", 7, 3)
    assert found.score == pytest.approx(right.mean())


def test_chance_is_told_from_loss(engine: Engine, prepared: Prepared, as_prepared: None, photos: list[Path]) -> None:
    """What changes no photo loses nothing, for sure; an interval holds the change that it is of."""
    asked = CaptionedPhotos(tuple(photos[:7]), tuple("abcdefg"), np.arange(7))
    harms = {one.name: one for one in told.of_captions(engine, asked, no_progress).harms}
    assert (harms["colour profile ignored"].low, harms["colour profile ignored"].high) == (0, 0)
    for one in harms.values():
        assert one.low is not None and one.high is not None and one.change is not None
        assert one.low <= one.change <= one.high


def test_a_gain_is_no_fall() -> None:
    """Harms are sorted by what they cost; the second one may cost nothing."""
    harms = [told.Harm(name, 3, 0.9, 0.8, 0.7, 0.5 + change, change, change, change)
             for name, change in (("worse", -0.1), ("better", 0.01))]  # fmt: skip
    result = told.PreprocessingSensitivity("m", "w", 3, 4, "R@1", 0.5, tuple(harms), ())
    assert told.finding(result).says == (
        'R@1 falls from 0.500 to 0.400 by "worse". 1 of 2 changes lose more than chance explains.'
    )
    gains = told.PreprocessingSensitivity("m", "w", 3, 4, "R@1", 0.5, tuple(harms[1:]), ())
    assert told.finding(gains).says.startswith("R@1 of 0.500 falls by no change.")
