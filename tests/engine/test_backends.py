"""One contract for every backend: the same graph gives the same vectors, and trouble is a ModelError."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from clipsearch.engine import backends
from clipsearch.engine.backends import AUTO, TABLE, Session, Way, default_way, is_installed, open_session, usable_cores
from clipsearch.engine.cards import ModelCard, read_card
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.errors import Exit, ModelError
from clipsearch.ways import way_named
from tests.support import programs

STARTER = read_card(STARTER_FOLDER)
SIDE = STARTER.image.size
GRAPHS = [name for name, runtime in TABLE.items() if ".onnx" in runtime.reads]
LONG = "an old wooden boat on a quiet lake in the mountains with snow on the peaks and a red flag at its mast"


def cosines(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
    return (some * others).sum(axis=1) / lengths


@dataclass(frozen=True)
class Subject:
    """A model that a backend opens, and what its text tower is fed."""

    card: ModelCard
    output: str  # of the text tower
    masked: bool  # whether that wants a mask
    broken: dict[str, np.ndarray]  # what only a node finds out about

    def golden(self, name: str) -> np.ndarray:
        with np.load(self.card.folder / "golden.npz") as archive:
            return archive[name]

    @property
    def texts(self) -> list[str]:
        return [str(text) for text in self.golden("texts")]

    @property
    def text_file(self) -> Path:
        return self.card.folder / self.card.reference.text.file

    def feeds(self, token: int = 2000) -> dict[str, np.ndarray]:
        ids = np.full((1, 5), token, np.int64)
        return {"input_ids": ids, "attention_mask": np.ones_like(ids)} if self.masked else {"input_ids": ids}

    def noise(self, count: int) -> np.ndarray:
        side = self.card.image.size
        return np.random.default_rng(5).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.fixture(scope="module", params=TABLE)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def subject(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    if backend in GRAPHS:
        return Subject(STARTER, "text_embeds", True, {"attention_mask": np.ones((1, 3), np.int64)})
    tiny = programs.exported(tmp_path_factory.mktemp("tiny"))
    return Subject(tiny, "embedding", False, {"input_ids": np.full((1, 5), programs.WORDS)})


@pytest.fixture(scope="module")
def image_tower(backend: str, subject: Subject) -> ImageTower:
    return ImageTower(subject.card, default_candidate(subject.card, backend))


@pytest.fixture(scope="module")
def text_tower(backend: str, subject: Subject) -> TextTower:
    return TextTower(subject.card, default_candidate(subject.card, backend))


@pytest.fixture(scope="module")
def text_session(backend: str, subject: Subject) -> Session:
    return open_session(subject.text_file, default_way(backend))


# -- the contract ---------------------------------------------------------------------------------


def test_photos_get_the_golden_vectors(image_tower: ImageTower, subject: Subject) -> None:
    """A runtime that computes in another precision would put new photos beside the old ones."""
    found, golden = image_tower.encode_pixels(subject.golden("pixels")), subject.golden("image_vectors")
    assert (cosines(found, golden) >= 0.999).all()
    assert cosines(found, golden[::-1]).max() < 0.99


def test_texts_get_the_golden_vectors(text_tower: TextTower, subject: Subject) -> None:
    """As above, for queries."""
    found, golden = text_tower.encode(subject.texts).vectors, subject.golden("text_vectors")
    assert (cosines(found, golden) >= 0.999).all()
    assert cosines(found, np.roll(golden, 1, axis=0)).max() < 0.99


def test_a_photo_does_not_depend_on_its_batch_mates(image_tower: ImageTower, subject: Subject) -> None:
    """The same photo indexed alone, after a change, must keep its place."""
    noise, pixels = subject.noise(20), subject.golden("pixels")[:2]
    batch = np.concatenate([noise[:17], pixels, noise[17:]])
    assert len(batch) > image_tower.batch_size
    together = image_tower.encode_pixels(batch)
    assert (cosines(together[17:19], image_tower.encode_pixels(pixels)) >= 0.9995).all()
    assert (cosines(together[17:18], image_tower.encode_pixels(pixels[:1])) >= 0.9995).all()


def test_a_text_does_not_depend_on_the_texts_it_is_padded_with(text_tower: TextTower, subject: Subject) -> None:
    """A label's probability would depend on the longest label of the set."""
    first, second = subject.texts[:2]
    together = text_tower.encode([first, LONG, *[second] * 40]).vectors
    alone = np.concatenate([text_tower.encode([text]).vectors for text in (first, LONG, second)])
    assert (cosines(together[:3], alone) >= 0.9995).all()
    assert (cosines(together[-1:], alone[2:]) >= 0.9995).all()


def test_an_answer_is_not_overwritten_by_the_next(text_session: Session, subject: Subject) -> None:
    """Runtimes reuse their memory: the first batch of a run would become a copy of the last."""
    first = text_session.run(subject.feeds(2000), subject.output)
    kept = first.copy()
    second = text_session.run(subject.feeds(3000), subject.output)
    assert first.dtype == np.float32
    assert np.array_equal(first, kept) and not np.array_equal(first, second)


def test_the_same_input_gives_the_same_numbers(image_tower: ImageTower, subject: Subject) -> None:
    """A run that is repeated would write other bytes, and nobody could tell a change from chance."""
    first, second = (image_tower.encode_pixels(subject.noise(5)) for _ in range(2))
    assert np.array_equal(first, second)


def test_ports_are_reported_as_the_graph_has_them(text_session: Session, subject: Subject) -> None:
    """Towers bind by rank and type: a wrong report binds the mask to the ids."""
    inputs = {port.name: (port.dtype, port.shape) for port in text_session.inputs}
    assert inputs == dict.fromkeys(subject.feeds(), ("int64", (None, None)))
    assert [(port.name, port.dtype, port.shape) for port in text_session.outputs] == [
        (subject.output, "float32", (None, subject.card.dim))
    ]


def test_the_device_is_the_one_that_runs(
    backend: str, text_session: Session, image_tower: ImageTower, subject: Subject
) -> None:
    """The record of a space says what made its vectors."""
    assert text_session.device == f"{backend}-cpu"
    assert image_tower.variant == f"{subject.card.reference.name}/{backend}-cpu"


@pytest.mark.parametrize(
    ("change", "output"),
    [
        ({"tokens": np.ones((1, 5), np.int64)}, None),
        ({"input_ids": np.ones(5, np.int64)}, None),
        ({"input_ids": np.ones((1, 5, 2), np.int64)}, None),
        ({"last": None}, None),
        ({}, "image_embeds"),
    ],
    ids=["unknown input", "rank 1", "rank 3", "last one missing", "unknown output"],
)
def test_what_the_runtime_refuses_is_a_model_error(
    text_session: Session,
    subject: Subject,
    change: dict[str, np.ndarray | None],
    output: str | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A traceback of a C++ library says nothing to the user; a silent answer made of stale memory says less."""
    fed = {**subject.feeds(), **{name: array for name, array in change.items() if array is not None}}
    if "last" in change:
        fed.popitem()
    with pytest.raises(ModelError, match="failed: ") as caught:
        text_session.run(fed, output or subject.output)
    assert caught.value.hint
    assert capfd.readouterr() == ("", "")  # the runtimes' own lines would stand in the middle of ours
    assert text_session.run(subject.feeds(), subject.output).shape == (1, subject.card.dim)  # and it still works


def test_a_run_that_fails_halfway_is_a_model_error(
    backend: str, subject: Subject, capfd: pytest.CaptureFixture[str]
) -> None:
    """As above, where a node finds out. No second run: OpenVINO 2026.4 then fails on good input of these shapes."""
    session = open_session(subject.text_file, default_way(backend))
    with pytest.raises(ModelError, match="failed: "):
        session.run({**subject.feeds(), **subject.broken}, subject.output)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["cut", "garbage", "empty", "absent", "folder"])
def test_a_broken_graph_file_is_a_model_error_that_names_it(
    backend: str, subject: Subject, kind: str, tmp_path: Path
) -> None:
    """A disk that was full while fetching leaves such a file; the user must learn which one to fetch again."""
    path = tmp_path / subject.card.reference.image.file
    if kind == "folder":
        path.mkdir()
    elif kind != "absent":
        whole = (subject.card.folder / path.name).read_bytes()
        path.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"not a graph" * 100, "empty": b""}[kind])
    with pytest.raises(ModelError, match=path.name.replace(".", r"\.")) as caught:
        open_session(path, default_way(backend))
    assert caught.value.exit_code == Exit.MODEL


# -- all of them together -------------------------------------------------------------------------


def test_backends_agree_with_each_other() -> None:
    """A library indexed on one machine is searched on another."""
    with np.load(STARTER_FOLDER / "golden.npz") as archive:
        golden, words = archive["pixels"], [*map(str, archive["texts"]), LONG]
    pixels = np.concatenate([golden, np.random.default_rng(7).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)])
    photos = [ImageTower(STARTER, default_candidate(STARTER, name)).encode_pixels(pixels) for name in GRAPHS]
    texts = [TextTower(STARTER, default_candidate(STARTER, name)).encode(words).vectors for name in GRAPHS]
    assert len(photos) >= 2
    for found in (photos, texts):
        assert all((cosines(found[0], other) >= 0.999).all() for other in found[1:])


def test_an_unknown_backend_is_refused_with_the_choices() -> None:
    """A typing mistake must not fall back to some other runtime."""
    with pytest.raises(ModelError, match='"mine"') as caught:
        open_session(STARTER_FOLDER / "text.onnx", Way("mine"))
    assert all(name in caught.value.hint for name in (AUTO, *TABLE))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("OpenVINO", "openvino"),
        ("openvino_cpu", "openvino-cpu"),
        ("openvino-cpu-fp16", "openvino-cpu-f16"),
        ("directml", "onnxruntime-directml"),
        ("tensorrt", "onnxruntime-tensorrt, onnxruntime-tensorrt-f16"),
        ("pytorhc", "pytorch, pytorch-cpu, pytorch-cuda"),
    ],
)
def test_an_unknown_backend_is_answered_with_what_was_meant(said: str, meant: str) -> None:
    """All 27 names are a list that nobody reads."""
    with pytest.raises(ModelError, match=f'"{said}"') as caught:
        way_named(said)
    assert caught.value.hint == f"Choose one of: {meant}"


def test_a_backend_that_is_not_installed_is_refused(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for one, the program must not quietly take another."""
    monkeypatch.setattr(backends, "is_installed", lambda name: name != backend)
    with pytest.raises(ModelError, match=f"{backend} is not installed") as caught:
        open_session(STARTER_FOLDER / "text.onnx", default_way(backend))
    assert "pip install" in caught.value.hint


def test_auto_takes_the_first_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows on ARM there is one of them only."""
    assert open_session(STARTER_FOLDER / "image.onnx", default_way()).device == "onnxruntime-cpu"
    monkeypatch.setattr(backends, "is_installed", lambda name: name == "openvino")
    assert open_session(STARTER_FOLDER / "image.onnx", default_way()).device == "openvino-cpu"


def test_auto_without_any_backend_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation must be mendable from its message."""
    monkeypatch.setattr(backends, "is_installed", lambda name: False)
    with pytest.raises(ModelError) as caught:
        open_session(STARTER_FOLDER / "image.onnx", default_way())
    assert "pip install onnxruntime" in caught.value.hint


def test_the_contract_runs_over_all_backends() -> None:
    """A backend missing from this machine would make its half of this file look passed."""
    assert all(is_installed(name) for name in TABLE)
    assert usable_cores() >= 1


# -- OpenVINO's own -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_a_batch_that_is_shared_out_comes_back_in_its_order(count: int) -> None:
    """Two requests run side by side; rows that change places are photos with each other's vectors."""
    card = STARTER
    pixels = np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
    tensor = ImageTower(card).prepare.tensor(pixels)
    one, many = (
        open_session(card.folder / "image.onnx", replace(default_way("openvino"), batch=batch)) for batch in (1, 16)
    )
    alone = np.concatenate([one.run({"pixel_values": row[None]}, "image_embeds") for row in tensor])
    together = many.run({"pixel_values": tensor}, "image_embeds")
    assert together.shape == (count, 512) and np.abs(together - alone).max() < 1e-4


def test_a_batch_that_fails_leaves_no_request_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad batch would end every batch after it."""
    session = open_session(STARTER_FOLDER / "image.onnx", replace(default_way("openvino"), batch=16))
    good = np.zeros((4, 3, SIDE, SIDE), np.float32)
    with pytest.raises(ModelError, match="failed: "):
        session.run({"pixel_values": good[:, :, :-1]}, "image_embeds")
    with pytest.raises(ModelError, match="failed: "):
        session.run({"pixel_values": good}, "text_embeds")
    assert session.run({"pixel_values": good}, "image_embeds").shape == (4, 512)


def test_an_npu_is_given_sizes_that_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """It compiles each shape anew, for seconds, or refuses open ones. No NPU is here: the CPU stands in for it."""
    from clipsearch.engine.backends import openvino

    monkeypatch.setitem(openvino._DEVICES, "npu", "CPU")
    way = Way("openvino", "npu", "f32", 2, tokens=64)
    text = openvino.open_session(STARTER_FOLDER / "text.onnx", way)
    assert {port.shape for port in text.inputs} == {(1, 64)}
    image = openvino.open_session(STARTER_FOLDER / "image.onnx", replace(way, batch=16))
    assert [port.shape for port in image.inputs] == [(1, 3, SIDE, SIDE)]
    assert image.run({"pixel_values": np.zeros((1, 3, SIDE, SIDE), np.float32)}, "image_embeds").shape == (1, 512)


def test_devices_are_told_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU left to itself computes CLIP in less than it says, and waits for other requests to make a batch of."""
    from clipsearch.engine.backends import openvino

    told: dict[str, object] = {}

    def compiled(self: object, model: object, device: str, properties: dict[str, object]) -> None:
        told.update(properties, device=device)
        raise RuntimeError("no such device")

    monkeypatch.setattr(openvino.openvino.Core, "compile_model", compiled)
    with pytest.raises(ModelError, match="on gpu: no such device") as caught:
        openvino.open_session(STARTER_FOLDER / "text.onnx", Way("openvino", "gpu", "f16", 2, batch=16))
    assert "driver" in caught.value.hint  # the model's files are not at fault
    assert told == {
        "device": "GPU",
        "INFERENCE_PRECISION_HINT": "f16",
        "PERFORMANCE_HINT": "THROUGHPUT",
        "EXECUTION_MODE_HINT": "ACCURACY",
        "ALLOW_AUTO_BATCHING": False,
    }
