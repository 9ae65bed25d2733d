"""The choice among ways to run a model: what is broken is skipped with its reason, what lies is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.encoding import Engine
from clipsearch.engine import backends, choice
from clipsearch.engine.backends import AUTO, Runtime, Way
from clipsearch.engine.candidates import Candidate, default_candidate, fits, refusal
from clipsearch.engine.cards import Comparison, read_card
from clipsearch.engine.choice import chosen, known_ways, measured_ways
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.errors import ModelError
from clipsearch.types import MeasuredWay

STARTER = read_card(STARTER_FOLDER)
GOOD = ("onnxruntime", "openvino")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch):
    """Adds backends of tests/support/planted to the table."""

    def plant(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(backends.TABLE, name, Runtime(f"tests.support.planted.{name}", "numpy"))

    return plant


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in list(backends.TABLE):
        if name not in names:
            monkeypatch.delitem(backends.TABLE, name)


def by_runtime(ways: tuple[MeasuredWay, ...]) -> dict[str, MeasuredWay]:
    return {way.runtime: way for way in ways if way.arithmetic == "f32"}


def test_the_ways_of_this_machine_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that measures at every start is slower than the slowest of its choices."""
    ways = measured_ways(STARTER, tmp_path)
    assert set(GOOD) <= set(by_runtime(ways))
    for name in GOOD:
        way = by_runtime(ways)[name]
        assert (way.verdict, way.reason) == ("good", "")
        assert way.cosine is not None and way.cosine >= 0.999
        assert way.images_per_s and way.query_ms and way.batch and way.threads
    assert sorted(purpose for way in ways for purpose in way.chosen_for) == ["ingest", "query"]
    monkeypatch.setattr(choice, "_measured", None)  # to call it would fail
    assert measured_ways(STARTER, tmp_path) == known_ways(STARTER, tmp_path) == ways


def test_what_is_broken_is_skipped_with_its_reason(tmp_path: Path, planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad driver must not keep a person from indexing."""
    planted("crashes", "hangs", "lies", "fills", "elsewhere")
    only(monkeypatch, "crashes", "hangs", "lies", "fills", "elsewhere", "onnxruntime")
    monkeypatch.setattr(choice, "CANDIDATE_S", 3.0)
    monkeypatch.setattr(choice, "BUDGET_S", 60.0)
    monkeypatch.setattr(choice, "MEMORY_BYTES", 1 << 30)
    ways = by_runtime(measured_ways(STARTER, tmp_path))
    assert ways["crashes"].verdict == "failed" and "signal 11" in ways["crashes"].reason
    assert ways["hangs"].verdict == "failed" and "took longer than 3 s" in ways["hangs"].reason
    assert ways["fills"].verdict == "failed" and "memory" in ways["fills"].reason
    assert ways["lies"].verdict == "refused" and "are not the model's" in ways["lies"].reason
    assert ways["elsewhere"].verdict == "failed" and "says it runs on onnxruntime-cpu" in ways["elsewhere"].reason
    assert ways["onnxruntime"].chosen_for == ("ingest", "query")


def test_indexing_works_with_the_one_that_does(paths: Paths, planted, monkeypatch: pytest.MonkeyPatch) -> None:
    planted("crashes", "lies")
    only(monkeypatch, "crashes", "lies", "openvino")
    with Engine(STARTER, cache_folder=paths.cache) as engine:
        engine.ways()
        assert engine.candidate("ingest").way.runtime == "openvino"
        assert engine.encode_text("a dog").shape == (1, 512)


def test_batches_that_move_a_vector_are_not_used(tmp_path: Path, planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo indexed alone, after a change, would leave its place (0.986 was seen with dynamic int8)."""
    planted("mingles")
    only(monkeypatch, "mingles")
    (way,) = measured_ways(STARTER, tmp_path)
    assert (way.verdict, way.batch) == ("good", 1)
    assert "in batches of 4, 16" in way.reason


def test_a_way_without_time_is_said_to_be_unmeasured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "BUDGET_S", 0.0)
    ways = measured_ways(STARTER, tmp_path)
    assert ways and all(way.verdict == "failed" and "not measured" in way.reason for way in ways)
    assert chosen(ways, "ingest") is None


@pytest.mark.parametrize("change", ["machine", "runtimes", "model", "format"])
def test_verdicts_fall_with_what_they_were_measured_on(tmp_path: Path, change: str) -> None:
    """A new driver may be faster, or wrong."""
    row = MeasuredWay("onnxruntime", "cpu", "f32", "fp32", 4, 2, chosen_for=("ingest",))
    choice._kept(STARTER, tmp_path, (row,))
    assert known_ways(STARTER, tmp_path) == (row,)
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_bytes())
    kept["of"][change] = "another"
    file.write_text(json.dumps(kept))
    assert known_ways(STARTER, tmp_path) == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"of": 1}', b"\xff"])
def test_a_torn_file_of_verdicts_is_none(tmp_path: Path, content: bytes) -> None:
    choice._file(STARTER, tmp_path).write_bytes(content)
    assert known_ways(STARTER, tmp_path) == ()


def test_a_named_backend_is_a_demand(tmp_path: Path) -> None:
    """What was measured best is for those who leave the choice."""
    row = MeasuredWay("openvino", "cpu", "f32", "fp32", 4, 2, chosen_for=("ingest", "query"))
    choice._kept(STARTER, tmp_path, (row,))
    assert Engine(STARTER, cache_folder=tmp_path).candidate("ingest") == Candidate(
        Way("openvino", threads=2), "fp32", 4
    )
    named = Engine(STARTER, backend="onnxruntime", cache_folder=tmp_path)
    assert named.candidate("ingest") == default_candidate(STARTER, "onnxruntime")


def compared(**numbers: float) -> Comparison:
    good = {"image_mean": 0.99, "image_least": 0.97, "text_mean": 0.99, "text_least": 0.97, "top10": 0.95, "labels": 0}
    return Comparison(100, 100, **(good | numbers))


def test_a_variant_is_taken_only_by_its_runtimes() -> None:
    int8 = replace(STARTER.reference, name="int8", runtimes=("openvino",), compared=compared())
    assert fits(int8, Way("openvino")) and not fits(int8, Way("onnxruntime"))
    assert not fits(int8, Way("openvino", "cpu", "bf16"))
    card = replace(STARTER, variants=(int8,))
    assert default_candidate(card, "openvino").variant == "int8"
    assert default_candidate(card, AUTO) == Candidate(Way("openvino"), "int8")
    with pytest.raises(ModelError, match=r"onnxruntime: int8 \(image\.onnx, text\.onnx\)") as it:
        default_candidate(card, "onnxruntime")
    assert it.value.hint == "--backend openvino"
    assert default_candidate(STARTER, AUTO).way == Way("onnxruntime")


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"image_mean": 0.9612}, "vectors of photos have a mean cosine of 0.9612, 0.98 is asked for"),
        ({"text_mean": 0.97999}, "vectors of texts have a mean cosine of 0.9800, 0.98 is asked for"),
        ({"top10": 0.8}, "ten photos nearest to a text it finds 0.8000, 0.9 is asked for"),
        ({"image_mean": float("nan")}, "nan"),
        ({"image_mean": 0.985, "least_cosine": 0.99}, "0.9850, 0.99 is asked for"),
    ],
)
def test_a_variant_that_means_something_else_is_refused_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: dict[str, float], said: str
) -> None:
    """It would be the fastest, and nobody would learn why it finds worse."""
    only(monkeypatch, "onnxruntime")
    drifted = replace(STARTER.reference, name="int8", compared=compared(**numbers))
    monkeypatch.setattr(choice, "_asked", lambda *_: "not measured")
    ways = measured_ways(replace(STARTER, variants=(STARTER.reference, drifted)), tmp_path)
    (row,) = (way for way in ways if way.precision == "int8")
    assert row.verdict == "refused" and said in row.reason and not row.fit_for
    assert default_candidate(replace(STARTER, variants=(drifted, STARTER.reference))).variant == "fp32"
    with pytest.raises(ModelError, match="asked for"):
        default_candidate(replace(STARTER, variants=(drifted,)), "onnxruntime")


def test_a_gate_can_be_wider() -> None:
    assert refusal(replace(STARTER.reference, compared=compared(top10=0.8, least_top10=0.75))) is None
