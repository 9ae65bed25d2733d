"""One model without a library: every row is a unit vector and belongs to what was given at its place."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipsearch import encoding
from clipsearch.encoding import Engine
from clipsearch.engine import towers
from clipsearch.engine.cards import Comparison, ModelCard, read_card
from clipsearch.engine.choosing.candidates import IMAGE_BATCH, Candidate
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.errors import ModelError, SystemFault, UsageError
from clipsearch.events import Advanced
from clipsearch.types import Failure, LabelScore
from tests.conftest import REPOSITORY, SAMPLES

STARTER = read_card(STARTER_FOLDER)
JELLYFISH = SAMPLES / "animals/jellyfish.jpg"
COFFEE = SAMPLES / "food/coffee-cup.jpg"
HALF = SAMPLES / "broken/half-copied.jpg"
ORIENTATION = 0x0112  # Exif 2.32, table 4


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(models_folder=tmp_path / "models", cache_folder=tmp_path / "cache")


def squares(count: int) -> list[np.ndarray]:
    """Pictures that no model confuses: each a patch of its own on grey."""
    pictures = np.full((count, 64, 64, 3), 128, np.uint8)
    for number, picture in enumerate(pictures):
        picture[4 * (number % 8) : 4 * (number % 8) + 32, :32, number % 3] = 20 * (number // 3) + 15
    return list(pictures)


def test_texts_become_unit_rows_in_their_order_cached_or_not(engine: Engine) -> None:
    """A cached vector that is not the model's, or another text's, would answer another question."""
    texts = ["a cat", "a dog", "a cat"]
    fresh = engine.encode_text(texts)
    assert fresh.dtype == np.float32 and fresh.shape == (3, engine.dim) == (3, 512)
    np.testing.assert_allclose(np.linalg.norm(fresh, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(fresh[0], fresh[2])
    assert float(fresh[0] @ fresh[1]) < 0.99
    np.testing.assert_array_equal(engine.encode_text(texts[::-1]), fresh[::-1])
    assert engine.text_cache().entries == 2


def test_one_text_is_one_row_and_not_a_row_a_letter(engine: Engine) -> None:
    """A string is a sequence of strings, so the mistake would pass every type check."""
    assert engine.encode_text("a cat").shape == (1, 512)
    assert engine.tokenize("a cat").ids.tolist() == [[101, 1037, 4937, 102]]  # of BERT's published vocabulary
    assert engine.encode_text([]).shape == (0, 512)


@pytest.fixture
def said_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The candidates that were opened for texts; each gives vectors of its own."""
    opened: list[str] = []

    class Tower:
        def __init__(self, card: ModelCard, candidate: Candidate, cache: Path) -> None:
            opened.append(candidate.name)
            self.place = len(opened)

        def encode(self, texts: list[str]) -> towers.TextVectors:
            vectors = np.tile(np.eye(512, dtype=np.float32)[self.place], (len(texts), 1))
            return towers.TextVectors(vectors, np.zeros(len(texts), np.bool_))

    monkeypatch.setattr(towers, "TextTower", Tower)
    return opened


CLOSE = Comparison(100, 100, 0.99, 0.97, 0.99, 0.97, 0.95, 0.0)
INT8 = replace(STARTER.reference, name="int8", runtimes=("openvino",), compared=CLOSE)
WITH_INT8 = replace(STARTER, variants=(replace(STARTER.reference, runtimes=("onnxruntime",)), INT8))


@pytest.mark.parametrize(
    ("card", "backend", "name"),
    [
        (STARTER, "openvino-cpu-bf16", "fp32/openvino-cpu-bf16"),
        (STARTER, "onnxruntime-ggml-f16", "fp32/onnxruntime-ggml-f16"),
        (WITH_INT8, "openvino", "int8/openvino-cpu"),
    ],
)
def test_a_demand_of_other_arithmetic_is_answered_so_and_leaves_nothing(
    card: ModelCard, backend: str, name: str, said_by: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trial of a short float would have answered every later query for that text, and itself been answered by
    what the cache held."""
    monkeypatch.setattr(encoding, "background_texts", lambda: ("everyday",))
    plain, demanded = Engine(card, cache_folder=tmp_path), Engine(card, backend=backend, cache_folder=tmp_path)
    for _ in range(2):
        assert demanded.encode_text("a dog")[0, 1] == 1
    demanded.bank()
    assert demanded.text_cache().entries == 0 and not list(tmp_path.glob("background-*"))
    assert plain.encode_text("a dog")[0, 2] == 1
    assert demanded.encode_text("a dog")[0, 1] == 1
    assert plain.encode_text("a dog")[0, 2] == 1
    assert said_by == [name, "fp32/onnxruntime-cpu"]


def test_a_demand_of_plain_floats_shares_the_cache(said_by: list[str], tmp_path: Path) -> None:
    """Who sets a backend once would load a model with every query."""
    for backend in ("openvino", "onnxruntime", "auto"):
        assert Engine(STARTER, backend=backend, cache_folder=tmp_path).encode_text("a dog")[0, 1] == 1
    assert said_by == ["fp32/openvino-cpu"]


def test_a_text_that_the_model_reads_in_part_is_told(engine: Engine) -> None:
    """Whoever encodes long captions would compare beginnings without knowing it."""
    assert engine.text_vectors(["a cat", "a long tail " * 100]).truncated == (False, True)


def test_a_text_that_is_no_unicode_is_refused_in_a_sentence(engine: Engine) -> None:
    """The tokenizer and SQLite would each raise an error of their own."""
    with pytest.raises(UsageError, match="not UTF-8"):
        engine.encode_text(["fine", os.fsdecode(b"caf\xe9")])


def test_a_file_a_picture_and_an_array_of_the_same_pixels_are_the_same_vector(engine: Engine, tmp_path: Path) -> None:
    """What is found would depend on who opened the file: EXIF says where up is, and transparency lies on white."""
    with Image.open(COFFEE) as photo:
        exif = photo.getexif()
        exif[ORIENTATION] = 6
        photo.resize((300, 200)).save(tmp_path / "turned.png", exif=exif)
    cutout = SAMPLES / "animals/cat-face-cutout.png"
    with Image.open(tmp_path / "turned.png") as turned, Image.open(cutout) as cut:
        upright = np.asarray(turned.transpose(Image.Transpose.ROTATE_270))
        rows = engine.encode_images([tmp_path / "turned.png", turned, upright, os.fsencode(cutout), cut]).vectors
        assert turned.getexif()[ORIENTATION] == 6 and turned.size == (300, 200) and cut.mode == "RGBA"  # as they were
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    np.testing.assert_allclose(rows[0], rows[2], atol=1e-5)
    np.testing.assert_allclose(rows[3], rows[4], atol=1e-5)


def test_rows_belong_to_their_images_through_batches_and_kinds(engine: Engine, tmp_path: Path) -> None:
    """A row off by one gives every photo its neighbour's meaning."""
    arrays = squares(IMAGE_BATCH + 3)
    mixed: list[Path | np.ndarray] = []
    for number, array in enumerate(arrays):
        path = tmp_path / f"{number}.png"
        Image.fromarray(array).save(path)
        mixed.append(array if number % 2 else path)
    together = engine.encode_images(mixed).vectors
    assert together.shape == (len(arrays), 512)
    cosines = together @ np.concatenate([engine.encode_images(array).vectors for array in arrays]).T
    assert np.diag(cosines) == pytest.approx(1, abs=1e-4)
    assert (cosines - 2 * np.eye(len(arrays))).max() < 1 - 1e-4  # so a swap would have been seen


def test_an_image_that_cannot_be_read_leaves_no_silent_gap(engine: Engine, tmp_path: Path) -> None:
    """Rows that slide up over a failure give each following image the vector of the next."""
    absent = tmp_path / "absent.jpg"
    encoded = engine.encode_images([HALF, COFFEE, absent, JELLYFISH])
    assert encoded.read == (1, 3) and encoded.rows.shape == (2, 512)
    np.testing.assert_allclose(encoded.rows[1], engine.encode_images(JELLYFISH).vectors[0], atol=1e-4)
    assert [(failed.place, failed.image) for failed in encoded.failures] == [(0, HALF), (2, absent)]
    assert "cut short" in encoded.failures[0].reason and "no such file" in encoded.failures[1].reason
    with pytest.raises(SystemFault, match=r"half-copied\.jpg cannot be read: the file is cut short"):
        _ = encoded.vectors
    broken = Image.open(HALF)  # Pillow reads the pixels when they are first asked for
    with pytest.raises(SystemFault, match="Image 1 cannot be read"):
        engine.similarity("coffee", [COFFEE, broken])
    broken.close()


def test_progress_counts_every_image_once(engine: Engine) -> None:
    """A bar that stops before its end looks like a program that hangs."""
    events: list[Advanced] = []
    engine.encode_images([COFFEE, HALF, squares(1)[0]], progress=events.append)
    assert [(event.done, event.total, event.failed) for event in events] == [(1, 3, 0), (2, 3, 1), (3, 3, 1)]
    assert [event.waiting_for for event in events] == [os.fsencode(HALF), None, None]


def test_no_images_are_no_rows(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that leaves nothing would load a model, or crash where nothing is stacked."""
    monkeypatch.setattr(towers, "ImageTower", None)
    assert engine.encode_images([]).vectors.shape == (0, 512)


def test_nothing_given_is_nothing_of_the_right_shape(engine: Engine) -> None:
    """A filter that leaves nothing would end a program in numpy's words."""
    assert engine.freshly_encoded([]).shape == (0, 512)
    assert engine.freshly_encoded([]).dtype == np.float32
    tokens = engine.tokenize([])
    assert tokens.ids.shape == tokens.mask.shape == (0, 0)
    assert tokens.truncated.shape == (0,) and tokens.truncated.dtype == np.bool_
    vectors = engine.image_tower().encode_pixels(np.empty((0, 224, 224, 3), np.uint8))
    assert vectors.shape == (0, 512) and vectors.dtype == np.float32


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["float", "channels first", "grey", "alpha", "empty"],
)
def test_an_array_that_is_no_rgb_picture_is_refused(engine: Engine, array: np.ndarray) -> None:
    """Channels first, or 0..1, would be encoded as noise without a word."""
    with pytest.raises(UsageError, match="is no image"):
        engine.encode_images([JELLYFISH, array])


def test_similarity_is_the_cosine_of_each_text_with_each_image(engine: Engine) -> None:
    """A matrix turned the other way has the right shape as often as not."""
    matrix = engine.similarity(["a jellyfish", "a cup of coffee", "a dog"], [COFFEE, JELLYFISH])
    assert matrix.shape == (3, 2) and matrix.dtype == np.float32
    texts = engine.encode_text(["a jellyfish", "a cup of coffee", "a dog"])
    np.testing.assert_allclose(matrix, texts @ engine.encode_images([COFFEE, JELLYFISH]).vectors.T, atol=1e-4)
    assert matrix.argmax(axis=0).tolist() == [1, 0]


def test_classify_gives_each_image_its_labels_or_its_reason(engine: Engine) -> None:
    """A label set under the wrong photo is worse than none."""
    labels = ["a dog", "coffee", "a jellyfish"]
    cup, half, animal = engine.classify([COFFEE, HALF, JELLYFISH], labels)
    assert isinstance(half, Failure) and "cut short" in half.reason
    assert isinstance(cup, tuple) and isinstance(animal, tuple)
    assert cup[0].label == "coffee" and animal[0].label == "a jellyfish"
    assert sum(one.probability for one in cup) == pytest.approx(1)
    prompts = engine.encode_text([f"a photo of {label}." for label in labels])
    logits = engine.logit_scale * (prompts @ engine.encode_images(COFFEE).vectors[0]).astype(np.float64)
    wanted = dict(zip(labels, np.exp(logits) / np.exp(logits).sum(), strict=True))
    assert {one.label: one.probability for one in cup} == pytest.approx(wanted, abs=1e-3)


def test_templates_are_averaged(engine: Engine) -> None:
    """The last template alone gives other numbers than the papers' ensembles."""
    (both,) = engine.classify(COFFEE, ["coffee", "tea"], templates=["a photo of {}.", "a drawing of {}."])
    assert isinstance(both, tuple)
    ensemble = engine.encode_text(["a photo of coffee.", "a drawing of coffee."]).mean(axis=0)
    cosine = float(ensemble @ engine.encode_images(COFFEE).vectors[0] / np.linalg.norm(ensemble))
    assert next(one for one in both if one.label == "coffee").score == pytest.approx(cosine, abs=1e-4)
    with pytest.raises(UsageError, match="0 places"):
        engine.classify(COFFEE, ["coffee", "tea"], templates=["a photo"])
    assert isinstance(both[0], LabelScore)


def test_each_tower_loads_by_itself(tmp_path: Path) -> None:
    """A text would wait for the image tower and for Pillow, a folder of photos for the tokenizer."""
    code = f"""
import sys
from clipsearch import Engine
engine = Engine(cache_folder={str(tmp_path)!r}, models_folder={str(tmp_path)!r})
assert not {{"onnxruntime", "openvino", "PIL", "tokenizers"}} & set(sys.modules), "an engine opened loads nothing"
engine.encode_text("a cat")
assert "tokenizers" in sys.modules and "PIL" not in sys.modules
assert engine._image_tower is None
other = Engine(cache_folder={str(tmp_path)!r}, models_folder={str(tmp_path)!r})
other.encode_text("a cat")
other.encode_images({str(COFFEE)!r})
assert other._text_tower is None, "it is cached"
other.close()
assert other._image_tower is None
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_model_or_backend_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """A batch of an hour would fail at its first image."""
    with pytest.raises(ModelError, match="There is no model"):
        Engine("stater", models_folder=tmp_path, cache_folder=tmp_path)
    with pytest.raises(ModelError, match="There is no backend"):
        Engine(backend="quantum", cache_folder=tmp_path)


def test_a_folder_with_a_card_is_a_model(engine: Engine, tmp_path: Path) -> None:
    """A model of one's own could not be tried without installing it."""
    own = Engine(str(engine.card.folder), models_folder=tmp_path, cache_folder=tmp_path)
    assert own.card == engine.card
    np.testing.assert_allclose(own.encode_text("a cat"), engine.encode_text("a cat"), atol=1e-6)
