"""Ways and variants beside the reference: what is planted wrong is named, what is right is not."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from clipsearch.engine import backends
from clipsearch.engine.backends import Runtime, Way
from clipsearch.engine.cards import CARD, ModelCard, TowerFile, Variant, read_card
from clipsearch.engine.cardtext import card_text
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.errors import ModelError, UsageError
from clipsearch.evaluation import agreement
from clipsearch.evaluation.agreement import (
    AskedSamples,
    absent_ways,
    beside_reference,
    captioned_samples,
    photo_samples,
    plain_samples,
)
from clipsearch.evaluation.captions import CaptionedPhotos
from clipsearch.lab import variants
from clipsearch.lab.backends import backend_parity
from clipsearch.lab.backends import finding as told_backends
from clipsearch.lab.variants import finding as told_variants
from clipsearch.lab.variants import variant_drift
from tests.support.small import pictures, small_model, texts


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return small_model(tmp_path / "small")


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch):
    def planted(*names: str) -> list[Way]:
        for name in names:
            monkeypatch.setitem(backends.TABLE, name, Runtime(f"tests.support.planted.{name}", "numpy"))
        return [Way(name) for name in names]

    return planted


SAMPLES = AskedSamples("12 pictures", pictures(12), texts(20), texts(6, seed=1), tuple(range(12)) + tuple(range(8)))


def no_progress(done: int, total: int) -> None:
    assert done <= total


def test_a_wrong_backend_is_named_and_right_ones_are_not(card: ModelCard, plant, tmp_path: Path) -> None:
    """One that computes something else, one that crashes, and OpenVINO, which is right: each is what it is."""
    lies, crashes = plant("lies", "crashes")
    parity = backend_parity(card, SAMPLES, tmp_path / "cache", [lies, Way("openvino"), crashes], no_progress)
    found = {one.beside.way: one for one in parity.ways}
    assert {way: one.verdict for way, one in found.items()} == {
        "lies-cpu": "differs", "openvino-cpu": "agrees", "crashes-cpu": "failed",
    }  # fmt: skip
    assert found["crashes-cpu"].reason.startswith("it crashed (signal")
    right, wrong = found["openvino-cpu"].beside, found["lies-cpu"].beside
    assert right.compared is not None and right.compared.image_least > 0.9999 and right.top1 == 1
    assert wrong.compared is not None and wrong.compared.image_mean < 0.5
    assert not parity.all_agree
    says = told_backends(parity).says
    assert says.startswith("2 of 3 ways") and "lies-cpu differs: photos" in says and "openvino" not in says
    assert parity.reference == "onnxruntime-cpu"


def test_shorter_floats_round_and_do_not_lie(card: ModelCard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cosine of 0.998 is an error in 32-bit floats, and what 16 bits are."""
    samples = SAMPLES
    vectors = np.random.default_rng(0).standard_normal((12 + 26, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    moved = vectors + 0.06 / np.sqrt(32) * np.random.default_rng(1).standard_normal(vectors.shape).astype(np.float32)
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)

    def encoded(card: ModelCard, how: Candidate, *_: object) -> dict[str, np.ndarray]:
        made = vectors if how.way.runtime == "onnxruntime" else moved
        return {"images": made[:12], "texts": made[12:]}

    monkeypatch.setattr(agreement, "encoded_apart", encoded)
    ways = [Way("openvino"), Way("openvino", arithmetic="bf16")]
    parity = backend_parity(card, samples, tmp_path, ways, no_progress)
    assert [one.verdict for one in parity.ways] == ["differs", "rounds"]
    cosines = (vectors[:12] * moved[:12]).sum(axis=1)
    assert parity.ways[0].beside.compared is not None
    assert parity.ways[0].beside.compared.image_least == pytest.approx(cosines.min(), abs=1e-5)


def test_a_reference_that_fails_is_an_error(card: ModelCard, tmp_path: Path) -> None:
    """All would agree with nothing."""
    (card.folder / "image.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="the reference gives no vectors"):
        beside_reference(card, [Candidate(Way("openvino"), "fp32")], SAMPLES, tmp_path, no_progress)


def test_a_way_that_is_not_here_has_its_reason(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {way.name: why for way, why in absent_ways(card, [Way("onnxruntime"), Way("openvino")])}
    assert "onnxruntime-cpu" not in reasons and "openvino-cpu" not in reasons
    assert reasons["onnxruntime-cuda"].startswith("no CUDAExecutionProvider here: ")
    assert reasons["pytorch-cpu"] == "opens none of the model's files, but .pt2"
    with_cuda = dict(absent_ways(card, [Way("onnxruntime", "cuda")]))
    assert with_cuda[Way("onnxruntime", "tensorrt")].endswith("--backend onnxruntime-tensorrt")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None if name == "openvino" else object())
    absent = {way.name: why for way, why in absent_ways(card, [Way("onnxruntime")])}
    assert absent["openvino-npu"] == "not installed: pip install openvino"


def with_variant(card: ModelCard, name: str, noise: float) -> ModelCard:
    """The card with one more variant: the image tower with weights that are off by that share of their spread."""
    model = onnx.load(card.folder / "image.onnx")
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if tensor.name in ("up", "down"):
            moved = weights + noise * weights.std() * np.random.default_rng(0).standard_normal(weights.shape)
            tensor.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), tensor.name))
    file = card.folder / f"{name}.onnx"
    onnx.save_model(model, file)
    image = TowerFile(file.name, hashlib.sha256(file.read_bytes()).hexdigest())
    new = replace(card, variants=(*card.variants, Variant(name, image, card.reference.text)))
    (card.folder / CARD).write_text(card_text(new), "utf-8")
    return read_card(card.folder)


@pytest.fixture
def one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "listed_ways", lambda card: [Way("onnxruntime")])


def test_a_drifted_variant_is_below_its_gate_and_a_near_one_above(
    card: ModelCard, tmp_path: Path, one_way: None
) -> None:
    card = with_variant(with_variant(card, "near", 0.001), "drifted", 0.6)
    drift = variant_drift(card, SAMPLES, tmp_path / "cache", no_progress)
    found = {one.beside.variant: one for one in drift.variants if one.beside.arithmetic == "f32"}
    assert found.keys() == {"near", "drifted"}
    assert found["near"].below_gate is None
    near, far = found["near"].beside.compared, found["drifted"].beside.compared
    assert near is not None and near.image_mean > 0.9999 and far is not None and far.image_mean < 0.9
    assert "its vectors of photos have a mean cosine of" in (found["drifted"].below_gate or "")
    assert far.text_mean == pytest.approx(1, abs=1e-4), "its text tower is the reference's"
    assert len(far.recall) == 3
    result = told_variants(drift)
    assert "drifted: beside the reference its vectors" in result.says and "near:" not in result.says
    gates = {row[0]: row[-1] for row in result.tables[0].rows}
    assert (gates["near"], gates["drifted"]) == ("above 0.98 and 90%", "below 0.98 and 90%")


def test_what_nothing_opens_is_told(card: ModelCard, tmp_path: Path, one_way: None) -> None:
    odd = replace(card.reference, name="odd", runtimes=("another",))
    card = replace(card, variants=(card.reference, odd))
    drift = variant_drift(card, SAMPLES, tmp_path, no_progress)
    assert drift.unopened == ("odd",) and "No runtime here opens odd." in told_variants(drift).notes


def test_plain_samples_are_golden_ones_and_unlike_pictures(card: ModelCard) -> None:
    """Pictures that look alike would agree by any way."""
    np.savez(card.folder / "golden.npz", pixels=pictures(2), texts=np.array(["one", "two"]))
    samples = plain_samples(card)
    assert np.array_equal(samples.pixels[:2], pictures(2)) and samples.texts[:2] == ("one", "two")
    assert len({one.tobytes() for one in samples.pixels}) == len(samples.pixels) == 34
    assert not set(samples.texts) & set(samples.labels)


def test_photos_that_cannot_be_read_are_named(card: ModelCard, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    with pytest.raises(UsageError, match="None of the photos"):
        photo_samples(card, [bytes(broken)])


def test_of_many_captioned_photos_some_are_drawn_with_their_own_captions(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pixels are held at once: 5,000 photos of COCO took 1.5 GB. A caption beside another's photo is no caption."""
    monkeypatch.setattr(agreement, "MOST_PHOTOS", 4)
    for number in range(10):
        Image.new("RGB", (40, 40), (20 * number, 99, 0)).save(tmp_path / f"{number}.png")
    photos = tuple(tmp_path / f"{number}.png" for number in range(10))
    asked = CaptionedPhotos(photos, tuple(f"{number // 2}" for number in range(20)), np.arange(20) // 2)
    found = captioned_samples(card, asked)
    assert found.name == "4 of 10 photos with 8 captions" and len(found.pixels) == 4 and found.owners is not None
    reds = found.pixels[:, 0, 0, 0].tolist()
    assert [reds[owner] for owner in found.owners] == [20 * int(text) for text in found.texts]
    assert reds == sorted(reds) != [0, 20, 40, 60]
    monkeypatch.setattr(agreement, "MOST_PHOTOS", 10)
    assert captioned_samples(card, asked).texts == asked.captions
