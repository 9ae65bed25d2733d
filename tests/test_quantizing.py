"""Which photos calibrate and which are compared: never the same, the library's own by default."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from clipsearch import quantizing
from clipsearch.config import Paths
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.quantize.making import Doing
from clipsearch.engine.quantize.material import Material
from clipsearch.errors import SystemFault, UsageError
from clipsearch.library import Library
from tests.conftest import SAMPLES
from tests.support.small import small_model


@pytest.fixture
def card(paths: Paths) -> ModelCard:
    return small_model(paths.models / "small")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Material]:
    """What the engine is handed; it makes nothing of it."""
    seen: list[Material] = []

    def take(card: ModelCard, models: Path, precision: str, material: Material, *gate: float):
        seen.append(material)
        yield Doing("nothing")

    monkeypatch.setattr(quantizing, "quantized", take)
    return seen


def ask(card: ModelCard, paths: Paths, **options: object) -> None:
    list(quantizing.quantize(card, paths, "fp16", least_cosine=0.98, least_top10=0.9, **options))  # type: ignore[arg-type]


def jpegs(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.jpg")) if "broken" not in path.parts]


def rows(pixels: np.ndarray) -> set[bytes]:
    return {one.tobytes() for one in pixels}


def test_what_is_compared_never_calibrates(card: ModelCard, paths: Paths, given: list[Material]) -> None:
    """A model is always near where it was fitted."""
    ask(card, paths, calibrate=[SAMPLES])
    (material,) = given
    assert len(material.pixels) >= 20 and len(material.held_pixels) >= 15
    assert not rows(material.pixels) & rows(material.held_pixels)
    assert not set(material.texts) & set(material.held_texts) and material.owners is None


def test_captioned_photos_are_compared_and_nothing_else_is(
    card: ModelCard, paths: Paths, given: list[Material], tmp_path: Path
) -> None:
    photos = Path(shutil.copytree(SAMPLES, tmp_path / "photos"))
    named = jpegs(photos)[:10]
    broken = photos / "broken.jpg"
    broken.write_bytes(b"no photo")
    lines = [
        f"photos/{path.relative_to(photos)}\twhat it shows, {n}" for n, path in enumerate([broken, *named, named[0]])
    ]
    (tmp_path / "captions.tsv").write_text("\n".join(["file\tcaption", *lines]))
    ask(card, paths, calibrate=[photos], captions=tmp_path / "captions.tsv")
    (material,) = given
    assert len(material.held_pixels) == 10 and not rows(material.pixels) & rows(material.held_pixels)
    assert material.owners == (*range(10), 0)
    assert material.held_texts == tuple(f"what it shows, {n}" for n in range(1, 12))


def test_the_librarys_photos_are_the_default(card: ModelCard, paths: Paths, given: list[Material]) -> None:
    some = jpegs(SAMPLES)[:4]
    with Library(paths) as library:
        list(library.index(some))
    with pytest.raises(UsageError, match="4 photos are too few"):
        ask(card, paths)
    assert sorted(quantizing._photos(paths, ())) == [os.fsencode(path) for path in some]


def test_too_few_photos_are_refused(card: ModelCard, paths: Paths, given: list[Material], tmp_path: Path) -> None:
    """Ranges of five photos clip the sixth."""
    for photo in jpegs(SAMPLES)[:5]:
        shutil.copy(photo, tmp_path)
    with pytest.raises(UsageError, match="5 photos are too few"):
        ask(card, paths, calibrate=[tmp_path])
    with pytest.raises(UsageError, match="no photos"):
        ask(card, paths)
    with pytest.raises(SystemFault, match=r"There is no .*nowhere"):
        ask(card, paths, calibrate=[tmp_path / "nowhere"])
    assert given == []


def test_a_caption_of_a_photo_that_is_not_there_is_named(card: ModelCard, paths: Paths, tmp_path: Path) -> None:
    captions = tmp_path / "captions.tsv"
    for content, said in (
        ("file\tcaption\ngone.jpg\ta dog\n", r"There is no .*gone\.jpg"),
        ("a, b\n", "names no photos"),
    ):
        captions.write_text(content)
        with pytest.raises(UsageError, match=said):
            ask(card, paths, calibrate=[SAMPLES], captions=captions)
