"""Accuracy against speed: what is measured is what the model does, and a way that crashes costs itself only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from clipsearch.encoding import Engine
from clipsearch.engine import backends
from clipsearch.engine.backends import Runtime
from clipsearch.errors import SystemFault, UsageError
from clipsearch.evaluation.captions import captioned_photos
from clipsearch.evaluation.labelled import LabelledPhotos
from clipsearch.evaluation.retrieval import to_photos
from clipsearch.evaluation.zero_shot import recognised
from clipsearch.lab import precision as module
from clipsearch.lab.precision import Precision, finding, precision
from tests.support.small import pictures, small_model

CLASSES = ("word1", "word2", "word3")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(module, "ROUNDS", 1)
    for name in ("openvino", "pytorch"):
        monkeypatch.delitem(backends.TABLE, name)
    with Engine(small_model(tmp_path / "small"), cache_folder=tmp_path / "cache") as engine:
        yield engine


def labelled(count: int = 20) -> LabelledPhotos:
    return LabelledPhotos("patches", CLASSES, list(pictures(count)), np.arange(count) % len(CLASSES))


def measured(engine: Engine, photos: LabelledPhotos | None, captions: Path | None = None) -> Precision:
    captioned = captioned_photos(captions) if captions else None
    return precision(engine, photos, captioned, cache=engine.card.folder.parent / "cache")


def test_a_way_that_crashes_is_named_and_the_others_are_measured(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One broken driver would take an hour of measuring with it."""
    monkeypatch.setitem(backends.TABLE, "crashes", Runtime("tests.support.planted.crashes", "numpy"))
    found = measured(engine, labelled())
    ways = {one.way: one for one in found.ways}
    assert "signal 11" in (ways["crashes-cpu"].failed or "")
    assert ways["crashes-cpu"].images_per_s is None
    assert ways["onnxruntime-cpu"].failed is None and (ways["onnxruntime-cpu"].images_per_s or 0) > 0
    told = finding(found)
    assert any("crashes-cpu failed: it crashed (signal 11)" in note for note in told.notes)
    assert [row[0] for row in told.tables[0].rows] == ["fp32/onnxruntime-cpu"]


def test_the_accuracy_is_the_one_that_bench_gives(engine: Engine) -> None:
    """Pixels that are prepared once for all ways must be those that the model gets otherwise."""
    found = measured(engine, labelled())
    assert found.ways[0].acc1 == recognised(engine, labelled()).acc1.value
    known = replace(labelled(), published="cifar10")
    found = measured(engine, known)
    assert found.ways[0].acc1 == recognised(engine, known).acc1.value
    assert any("the 18 templates published for cifar10" in note for note in finding(found).notes)
    assert found.ways[0].image_cosine_least == pytest.approx(1.0, abs=1e-6)
    assert (found.photos, found.classes, found.captions) == (20, 3, 0)


def test_captions_are_asked_of_their_photos_alone(engine: Engine, tmp_path: Path) -> None:
    """With labelled photos among those that are searched, R@1 would fall with their number."""
    lines = ["file\tcaption"]
    for number, picture in enumerate(pictures(6, seed=5)):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png\tword{number} word{number + 9}")
    file = tmp_path / "captions.tsv"
    file.write_text("\n".join(lines))
    asked = captioned_photos(file)
    photos, texts = engine.encode_images(asked.photos).vectors, engine.freshly_encoded(asked.captions)
    both, alone = measured(engine, labelled(), file), measured(engine, None, file)
    assert both.ways[0].recall1 == alone.ways[0].recall1 == to_photos(texts, photos, asked.photo_of, (1,))[0].share
    assert alone.ways[0].acc1 is None and both.ways[0].acc1 is not None
    assert "acc@1" not in [column.title for column in finding(alone).tables[0].columns]


def test_a_photo_that_cannot_be_read_is_counted_and_moves_no_other(engine: Engine, tmp_path: Path) -> None:
    """The classes of all photos behind it would be those of their neighbours."""
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    whole = labelled()
    torn = LabelledPhotos(
        "torn", CLASSES, [tmp_path / "broken.jpg", *whole.pictures], np.concatenate([[2], whole.truth])
    )
    found = measured(engine, torn)
    assert found.photos == 20
    assert [one.path for one in found.failures] == [bytes(tmp_path / "broken.jpg")]
    assert found.ways[0].acc1 == recognised(engine, whole).acc1.value


def test_a_captioned_photo_that_cannot_be_read_is_named(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    (tmp_path / "captions.tsv").write_text("file\tcaption\nbroken.jpg\tword1")
    with pytest.raises(UsageError, match=r"broken\.jpg cannot be read"):
        measured(engine, None, tmp_path / "captions.tsv")


def test_pixels_that_the_disk_has_no_room_for_are_refused(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full tmpfs the program ended with "Bus error", in the middle of a report."""
    needed = 20 * engine.card.image.size**2 * 3
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=needed - 1))
    with pytest.raises(SystemFault, match="MiB free, and the photos' pixels need 1 MiB") as caught:
        measured(engine, labelled())
    assert "TMPDIR" in caught.value.hint
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=needed))
    assert measured(engine, labelled()).photos == 20
