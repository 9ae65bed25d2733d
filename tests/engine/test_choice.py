"""The choice among ways to run a model: what is broken is skipped with its reason, what lies is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from clipsearch.config import Paths
from clipsearch.encoding import Engine
from clipsearch.engine import backends
from clipsearch.engine.backends import AUTO, Runtime, Way
from clipsearch.engine.cards import Comparison, read_card
from clipsearch.engine.choosing import child, choice, machine, trials
from clipsearch.engine.choosing.candidates import Candidate, default_candidate, fits, refusal
from clipsearch.engine.choosing.choice import chosen, is_measured, known_ways, measured_ways
from clipsearch.engine.choosing.measure import probe
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower
from clipsearch.errors import ModelError
from clipsearch.types import MeasuredWay
from tests.support import models, programs

STARTER = replace(card := read_card(STARTER_FOLDER), variants=card.variants[:1])  # one variant: a way is a backend here
GOOD = ("onnxruntime", "openvino")


@pytest.fixture(autouse=True)
def enough_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of a test run is busy with others; only what tests time limits sets them."""
    monkeypatch.setattr(choice, "BUDGET_S", 90.0)
    monkeypatch.setattr(choice, "CANDIDATE_S", 40.0)


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


def keep(folder: Path, *rows: MeasuredWay) -> None:
    """As if these had been measured, and were all there is."""
    ways = {row.runtime: [[row.device, row.arithmetic]] for row in rows}
    choice._keep(STARTER, folder, choice._Known(ways, list(rows)))


GOOD_ROW = MeasuredWay(
    "onnxruntime", "cpu", "f32", "fp32", 4, 2, images_per_s=9.0, verdict="good", fit_for=("ingest", "query")
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[MeasuredWay, ...]]:
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "BUDGET_S", 90.0)
        patch.setattr(choice, "CANDIDATE_S", 40.0)
        return folder, measured_ways(STARTER, folder)


def test_the_ways_of_this_machine_are_measured_once(
    measured: tuple[Path, tuple[MeasuredWay, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that measures at every start is slower than the slowest of its choices."""
    folder, ways = measured
    assert set(by_runtime(ways)) == set(GOOD)  # PyTorch opens no file of this model, and was not started for it
    for name in GOOD:
        way = by_runtime(ways)[name]
        assert (way.verdict, way.reason) == ("good", "")
        assert way.cosine is not None and way.cosine >= 0.999
        assert way.images_per_s and way.query_ms and way.batch and way.threads
    assert sorted(purpose for way in ways for purpose in way.chosen_for) == ["ingest", "query"]
    monkeypatch.setattr(choice, "tried", None)  # to call it would fail
    assert is_measured(STARTER, folder)
    assert measured_ways(STARTER, folder) == known_ways(STARTER, folder) == ways


def test_no_candidate_that_may_be_chosen_moves_a_photo_with_its_mates(
    measured: tuple[Path, tuple[MeasuredWay, ...]],
) -> None:
    """A photo indexed alone, after a change, would leave its place. Here each is asked again, in this process."""
    fit = [way for way in measured[1] if "ingest" in way.fit_for]
    assert len(fit) >= 2
    noise = np.random.default_rng(8).integers(0, 256, (16, STARTER.image.size, STARTER.image.size, 3), np.uint8)
    with np.load(STARTER_FOLDER / "golden.npz") as archive:
        noise[[0, 9]] = archive["pixels"][:2]
    for way in fit:
        tower = ImageTower(STARTER, chosen((replace(way, chosen_for=("ingest",)),), "ingest"))
        alone = np.concatenate([tower.encode_pixels(noise[[place]]) for place in (0, 9)])
        assert (tower.encode_pixels(noise)[[0, 9]] * alone).sum(axis=1).min() >= 0.9995, way


def test_a_graph_that_is_quantised_as_it_runs_is_run_one_by_one(tmp_path: Path) -> None:
    """Published "int8" graphs take their scale from the whole batch: 0.986 was seen between a photo and itself."""
    card = read_card(models.dynamic_int8(tmp_path))
    ways = measured_ways(card, tmp_path)
    assert set(by_runtime(ways)) == set(GOOD)
    for way in ways:
        if "ingest" in way.fit_for:
            assert way.batch == 1, way
    assert "moves with its mates in batches of 4" in by_runtime(ways)["onnxruntime"].reason
    assert chosen(ways, "ingest").batch == 1


@pytest.mark.slow  # loads PyTorch in a process of its own
def test_programs_are_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch is a candidate like others, where the model has files for it."""
    monkeypatch.setattr(choice, "listed", lambda runtime, seconds: [Way(runtime)])  # to load it once is slow enough
    card = programs.exported(tmp_path)
    (way,) = measured_ways(card, tmp_path)
    assert (way.runtime, way.verdict, way.chosen_for) == ("pytorch", "good", ("ingest", "query"))


@pytest.mark.slow  # one of them fills 2 GB of memory
def test_what_is_broken_is_skipped_with_its_reason(tmp_path: Path, planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad driver must not keep a person from indexing."""
    planted("crashes", "leaves", "lies", "fills", "elsewhere")
    only(monkeypatch, "crashes", "leaves", "lies", "fills", "elsewhere", "onnxruntime")
    monkeypatch.setattr(child, "MEMORY_BYTES", 2 << 30)
    ways = by_runtime(measured_ways(STARTER, tmp_path))
    assert ways["crashes"].verdict == "failed" and "signal 11" in ways["crashes"].reason
    assert ways["leaves"].verdict == "failed" and "without a word" in ways["leaves"].reason
    assert ways["fills"].verdict == "failed" and "memory" in ways["fills"].reason
    assert ways["lies"].verdict == "refused" and "are not the model's" in ways["lies"].reason
    assert ways["elsewhere"].verdict == "failed" and "says it runs on onnxruntime-cpu" in ways["elsewhere"].reason
    assert ways["onnxruntime"].chosen_for == ("ingest", "query")


@pytest.mark.parametrize(
    ("pages", "gigabytes"), [(1 << 20, 2), (1 << 30, 8), (-1, 8), (ValueError("unrecognized configuration name"), 8)]
)
def test_a_trial_takes_half_of_the_memory_at_most(
    monkeypatch: pytest.MonkeyPatch, pages: int | ValueError, gigabytes: int
) -> None:
    """On a machine of 4 GB a runtime that fills it would drive everything else out."""
    limits = []

    def sysconf(name: str) -> int:
        if isinstance(pages, ValueError):
            raise pages
        return {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 4096}[name]

    def run(*_: object, input: bytes, **__: object) -> None:  # subprocess calls it so
        limits.append(json.loads(input)["memory_limit"])
        raise subprocess.TimeoutExpired("measure", 1.0)

    monkeypatch.setattr(os, "sysconf", sysconf)
    monkeypatch.setattr(child.subprocess, "run", run)
    trials.listed("onnxruntime", 1.0)
    assert limits == [gigabytes << 30]


def test_what_hangs_is_ended_after_its_time(tmp_path: Path, planted, monkeypatch: pytest.MonkeyPatch) -> None:
    planted("hangs")
    only(monkeypatch, "hangs")
    for module in (choice, trials):
        monkeypatch.setattr(module, "CANDIDATE_S", 2.0)
    (way,) = measured_ways(STARTER, tmp_path)
    assert way.verdict == "failed" and "took longer than 2 s" in way.reason
    assert is_measured(STARTER, tmp_path)  # a second try would take as long


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
def test_what_hangs_ends_itself_where_nobody_is_left_to_end_it(planted, tmp_path: Path) -> None:
    """A parent that is killed leaves a process with a broken driver's memory until the machine is switched off."""
    planted("hangs")
    asked = {"card": str(STARTER_FOLDER), "device": "cpu", "arithmetic": "f32", "threads": 1, "variant": "fp32"}
    runtime = ["hangs", *astuple(backends.TABLE["hangs"])]
    job = {
        "runtime": runtime,
        "memory_limit": 8 << 30,
        "time_limit": 0.5,
        "best_rate": 0.0,
        "cache": str(tmp_path),
        **asked,
    }
    done = subprocess.run(
        [sys.executable, "-m", "clipsearch.engine.choosing.measure"],
        input=json.dumps(job).encode(), capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGALRM


def test_a_child_outlives_its_time_by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sooner than its parent it would have crashed, later it would stay."""
    limits = []

    def run(*_: object, input: bytes, timeout: float, **__: object) -> None:  # subprocess calls it so
        limits.append(json.loads(input)["time_limit"] - timeout)
        raise subprocess.TimeoutExpired("measure", timeout)

    monkeypatch.setattr(child.subprocess, "run", run)
    trials.listed("onnxruntime", 7.0)
    assert 0 < limits[0] <= 5


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


def test_a_way_without_time_is_said_to_be_unmeasured_and_measured_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is over on a slow machine; what is left is not for ever out of the choice."""
    only(monkeypatch, "onnxruntime")
    monkeypatch.setattr(choice, "BUDGET_S", 0.0)
    (way,) = measured_ways(STARTER, tmp_path)
    assert way.verdict == "unmeasured" and "clipsearch backends goes on" in way.reason
    assert chosen((way,), "ingest") is None and not is_measured(STARTER, tmp_path)
    monkeypatch.setattr(choice, "BUDGET_S", 90.0)
    (way,) = measured_ways(STARTER, tmp_path)
    assert way.verdict == "good" and is_measured(STARTER, tmp_path)


def test_only_what_is_new_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant that was quantised yesterday must not cost the verdicts on all others."""
    only(monkeypatch, "onnxruntime")
    keep(tmp_path, GOOD_ROW)
    more = replace(STARTER, variants=(STARTER.reference, replace(STARTER.reference, name="int8")))
    assert is_measured(STARTER, tmp_path) and not is_measured(more, tmp_path)
    asked = []

    def tried(card, candidate, golden, seconds, best, cache):
        asked.append((candidate.variant, best))
        return replace(trials.unmeasured(candidate), verdict="failed"), golden

    monkeypatch.setattr(choice, "tried", tried)
    ways = measured_ways(more, tmp_path)
    assert asked == [("int8", 9.0)]
    assert [way.precision for way in ways] == ["fp32", "int8"] and ways[0].chosen_for == ("ingest", "query")


def test_golden_vectors_may_be_of_photos_only_and_are_never_half_read(tmp_path: Path) -> None:
    """A model of somebody's own making ended an index run with a KeyError."""
    folder = Path(shutil.copytree(STARTER_FOLDER, tmp_path / "own", copy_function=shutil.copyfile))
    with np.load(STARTER_FOLDER / "golden.npz") as archive:
        np.savez(folder / "golden.npz", pixels=archive["pixels"], image_vectors=archive["image_vectors"])
        pixels = archive["pixels"]
    card = read_card(folder)
    assert trials.golden_of(card).keys() == {"image fp32"}
    np.testing.assert_array_equal(probe(card)[0], pixels)
    assert len(probe(card)[1]) == 3
    for content in (b"PK\x03\x04 and no more", b"nonsense"):
        (folder / "golden.npz").write_bytes(content)
        with pytest.raises(ModelError, match=r"golden\.npz cannot be read"):
            trials.golden_of(card)


def test_a_device_is_not_its_own_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant brings no golden vectors; a GPU that computes nonsense would be right, and the CPU refused for it."""
    found = {
        "image_vectors": [[1.0, 0.0]], "text_vectors": [[1.0, 0.0]], "rates": {"1": 3.0}, "mates": {"1": 1.0},
        "query_ms": 5.0, "cold_ms": 50.0, "peak_mb": 100.0,
    }  # fmt: skip
    monkeypatch.setattr(trials, "_asked", lambda runtime, job, seconds: found)

    def tried(way: Way, golden: trials.Golden) -> tuple[MeasuredWay, trials.Golden]:
        return trials.tried(STARTER, Candidate(way, "fp32"), golden, 10.0, 0.0, Path())

    row, golden = tried(Way("onnxruntime", "webgpu"), {})
    assert (row.verdict, row.unfinished, golden) == ("refused", False, {})
    assert "nothing says what its vectors should be" in row.reason
    row, golden = tried(Way("onnxruntime"), golden)
    assert row.verdict == "good"
    assert tried(Way("onnxruntime", "webgpu"), golden)[0].verdict == "good"


@pytest.mark.parametrize(
    ("image", "text", "said"),
    [
        ([[0.99, 0.141]], [[0.999, 0.0447]], ""),
        ([[0.9, 0.436]], [[0.999, 0.0447]], "vectors of photos have a mean cosine of 0.9000 on this machine, 0.98 is"),
        ([[0.99, 0.141]], [[0.6, 0.8]], "vectors of texts have a mean cosine of 0.6000 on this machine, 0.98 is"),
    ],
)
def test_a_variant_is_not_its_own_judge(
    monkeypatch: pytest.MonkeyPatch, image: list[list[float]], text: list[list[float]], said: str
) -> None:
    """An int8 that saturates on an older processor agreed with itself, was the fastest, and was chosen."""
    found = {
        "image_vectors": image, "text_vectors": text, "rates": {"1": 3.0}, "mates": {"1": 1.0},
        "query_ms": 5.0, "cold_ms": 50.0, "peak_mb": 100.0,
    }  # fmt: skip
    monkeypatch.setattr(trials, "_asked", lambda runtime, job, seconds: found)
    card = replace(STARTER, variants=(STARTER.reference, replace(STARTER.reference, name="int8", compared=compared())))
    reference: trials.Golden = {"image fp32": [[1.0, 0.0]], "text fp32": [[1.0, 0.0]]}
    row, golden = trials.tried(card, Candidate(Way("onnxruntime"), "int8"), reference, 10.0, 0.0, Path())
    assert (row.verdict, row.unfinished) == ("refused" if said else "good", False)
    assert said in row.reason and bool(row.fit_for) == (not said)
    assert ("image int8" in golden) == (not said)  # another device that is right must not be measured by it


@pytest.mark.parametrize(("seconds", "unfinished"), [(10.0, False), (4.0, True)])
def test_what_was_found_before_the_time_was_over_counts(
    monkeypatch: pytest.MonkeyPatch, seconds: float, unfinished: bool
) -> None:
    """A large model on a slow machine would have no way at all to be run."""
    found = {
        "image_vectors": [[1.0, 0.0]], "text_vectors": [[1.0, 0.0]], "rates": {"1": 3.0}, "mates": {"1": 1.0},
        "query_ms": 5.0, "cold_ms": 50.0, "peak_mb": 100.0,
    }  # fmt: skip
    said = json.dumps({**found, "rates": {"1": 2.0}}) + "\n" + json.dumps(found) + '\n{"image_vec'

    def over(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("measure", seconds, output=said.encode())

    monkeypatch.setattr(child.subprocess, "run", over)
    row, _ = trials.tried(STARTER, Candidate(Way("onnxruntime"), "fp32"), {}, seconds, 0.0, Path())
    assert (row.verdict, row.images_per_s, row.batch, row.unfinished) == ("good", 3.0, 1, unfinished)
    assert "no time was left for batches above 1" in row.reason


@pytest.mark.parametrize(("first", "second"), [(10.0, 9.5), (9.5, 10.0)])
def test_two_that_are_close_are_run_again_and_the_better_runs_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: float, second: float
) -> None:
    """What else the machine did in that second would name the slower one."""
    only(monkeypatch, *GOOD)
    monkeypatch.setattr(choice, "listed", lambda runtime, seconds: [Way(runtime)])
    rates = {"onnxruntime": [first, 12.0], "openvino": [second, 11.0]}
    order = []

    def tried(card, candidate, golden, seconds, best, cache):
        order.append(candidate.way.runtime)
        rate = rates[candidate.way.runtime].pop(0)
        row = trials.unmeasured(candidate)
        return replace(GOOD_ROW, runtime=row.runtime, images_per_s=rate, query_ms=rate, cold_ms=rate), golden

    monkeypatch.setattr(choice, "tried", tried)
    ways = measured_ways(STARTER, tmp_path)
    assert [(way.runtime, way.images_per_s) for way in ways] == [("onnxruntime", 12.0), ("openvino", 11.0)]
    leader, follower = sorted(GOOD, key=lambda name: -{"onnxruntime": first, "openvino": second}[name])
    assert order == [*GOOD, follower, leader]
    assert ways[0].query_ms == first and ways[1].query_ms == second


def test_the_likeliest_are_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the time is short, what is left over should be what nobody would have chosen."""
    monkeypatch.setitem(backends.TABLE, "pytorch", replace(backends.TABLE["pytorch"], reads=(".onnx",)))
    ways = {
        "onnxruntime": [["cpu", "f32"], ["webgpu", "f32"]],
        "openvino": [["cpu", "f32"], ["cpu", "bf16"]],
        "pytorch": [["cpu", "f32"]],
    }
    card = replace(STARTER, variants=(STARTER.reference, replace(STARTER.reference, name="int8")))
    monkeypatch.setattr(backends, "is_installed", lambda name: True)
    order = [one.name for one in choice._candidates(card, choice._Known(ways))]
    assert order == [
        "fp32/onnxruntime-cpu",
        "fp32/openvino-cpu",
        "fp32/onnxruntime-webgpu",
        "int8/onnxruntime-cpu",
        "int8/openvino-cpu",
        "int8/onnxruntime-webgpu",
        "fp32/openvino-cpu-bf16",
        "int8/openvino-cpu-bf16",
        "fp32/pytorch-cpu",
        "int8/pytorch-cpu",
    ]


@pytest.mark.parametrize("change", ["machine", "model", "format"])
def test_verdicts_fall_with_what_they_were_measured_on(tmp_path: Path, change: str) -> None:
    """Another processor, or other weights."""
    keep(tmp_path, GOOD_ROW)
    assert [way.runtime for way in known_ways(STARTER, tmp_path)] == ["onnxruntime"]
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_bytes())
    kept["of"][change] = "another"
    file.write_text(json.dumps(kept))
    assert known_ways(STARTER, tmp_path) == ()


def test_a_new_version_of_a_runtime_costs_its_own_verdicts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be faster, or wrong; the others are what they were."""
    keep(tmp_path, GOOD_ROW, replace(GOOD_ROW, runtime="openvino"))
    monkeypatch.setattr(choice, "runtime_version", lambda name: "99" if name == "openvino" else real(name))
    assert [way.runtime for way in known_ways(STARTER, tmp_path)] == ["onnxruntime"]
    assert not is_measured(STARTER, tmp_path)


real = machine.runtime_version


def test_a_new_driver_of_a_gpu_is_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be faster, or wrong."""
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86\nGCC version: 13\n")
    monkeypatch.setattr(machine, "_NVIDIA", driver)
    cache = tmp_path / "cache"
    keep(cache, GOOD_ROW)
    assert known_ways(STARTER, cache)
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.10\nGCC version: 13\n")
    assert not known_ways(STARTER, cache)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"of": 1}', b"\xff"])
def test_a_torn_file_of_verdicts_is_none(tmp_path: Path, content: bytes) -> None:
    choice._file(STARTER, tmp_path).write_bytes(content)
    assert known_ways(STARTER, tmp_path) == ()


def test_a_named_backend_is_a_demand(tmp_path: Path) -> None:
    """What was measured best is for those who leave the choice."""
    keep(tmp_path, replace(GOOD_ROW, runtime="openvino"))
    assert Engine(STARTER, cache_folder=tmp_path).candidate("ingest") == Candidate(
        Way("openvino", threads=2), "fp32", 4
    )
    named = Engine(STARTER, backend="onnxruntime", cache_folder=tmp_path)
    assert named.candidate("ingest") == default_candidate(STARTER, "onnxruntime")


def test_threads_that_were_asked_for_win_over_those_measured(tmp_path: Path) -> None:
    keep(tmp_path, replace(GOOD_ROW, runtime="openvino"))
    assert Engine(STARTER, cache_folder=tmp_path).candidate("query").way == Way("openvino", threads=2)
    for backend in (AUTO, "onnxruntime"):
        engine = Engine(STARTER, backend=backend, threads=7, cache_folder=tmp_path)
        assert engine.candidate("query").way.threads == 7


def test_auto_alone_falls_back_and_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A driver that was updated since the measuring must not end a search; a demand must not be softened."""
    keep(tmp_path, replace(GOOD_ROW, device="cuda"))
    assert Engine(STARTER, cache_folder=tmp_path).encode_text("a dog").shape == (1, 512)
    assert "onnxruntime-cpu is taken" in caplog.text and "no CUDAExecutionProvider" in caplog.text
    with pytest.raises(ModelError, match="no CUDAExecutionProvider"):
        Engine(STARTER, backend="onnxruntime-cuda", cache_folder=tmp_path).encode_text("a cat")


def test_a_plugin_that_is_installed_makes_other_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's plug-in that was added would never be tried."""
    installed = {"onnxruntime": "1.31"}

    def version(package: str) -> str:
        if package not in installed:
            raise machine.PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr(machine, "version", version)
    before = machine.runtime_version("onnxruntime")
    installed["onnxruntime-ep-webgpu"] = "0.4"
    assert before != machine.runtime_version("onnxruntime") and machine.runtime_version("openvino") is None


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
    with pytest.raises(
        ModelError, match=r"No variant of starter runs on onnxruntime: int8 .image\.onnx, text\.onnx"
    ) as it:
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
    monkeypatch.setattr(trials, "_asked", lambda *_: child.Failed("it was not there"))
    ways = measured_ways(replace(STARTER, variants=(STARTER.reference, drifted)), tmp_path)
    (row,) = (way for way in ways if way.precision == "int8")
    assert row.verdict == "refused" and said in row.reason and not row.fit_for
    near = replace(STARTER.reference, compared=compared())
    assert default_candidate(replace(STARTER, variants=(drifted, near))).variant == "fp32"
    with pytest.raises(ModelError, match="asked for"):
        default_candidate(replace(STARTER, variants=(drifted,)), "onnxruntime")


def test_a_gate_can_be_wider() -> None:
    wide = replace(STARTER.reference, name="int8", compared=compared(top10=0.8, least_top10=0.75))
    assert refusal(STARTER, wide) is None


def test_a_variant_that_nobody_compared_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own golden vectors would be right whatever they are, and being the fastest it would be chosen."""
    only(monkeypatch, "onnxruntime")
    monkeypatch.setattr(trials, "_asked", lambda *_: child.Failed("it was not there"))
    unknown = replace(STARTER.reference, name="int8")
    ways = measured_ways(replace(STARTER, variants=(STARTER.reference, unknown)), tmp_path)
    rows = {way.precision: (way.verdict, way.reason) for way in ways}
    assert rows["int8"] == ("refused", "nobody compared it with the reference") and rows["fp32"][0] == "failed"
    only_there = replace(STARTER.reference, name="fp32", runtimes=("openvino",))
    with pytest.raises(ModelError, match=r"int8 .* nobody compared it with the reference"):
        default_candidate(replace(STARTER, variants=(only_there, unknown)), "onnxruntime")
