"""What each execution provider is told, and that nothing but it runs: with a runtime that is faked, but for WebGPU.

The GPUs that these recipes are for were not at hand; what is tested is that the runtime is told what its makers ask
for, and that what it answers is believed only once it ran.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clipsearch.engine.backends import default_way, onnx, open_session
from clipsearch.engine.backends.providers import RECIPES
from clipsearch.errors import ModelError
from clipsearch.ways import DEVICES, Way, names, way_named
from tests.support.runtime import MASK, TEXT, FakeRuntime

CLASSIC = [device for device, recipe in RECIPES.items() if recipe.plugin is None and device != "cpu"]
PLUGINS = [device for device, recipe in RECIPES.items() if recipe.plugin is not None]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "image.onnx"
    path.write_bytes(b"a graph")
    return path


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    """Lists all providers, and finds a GPU with each plug-in."""
    fake = FakeRuntime(
        listed=tuple(RECIPES[device].provider for device in (*CLASSIC, "cpu")),
        found=tuple((RECIPES[one].provider, RECIPES[one].hardware or "GPU") for one in PLUGINS),
    )
    onnx._register.cache_clear()
    monkeypatch.setattr(onnx, "onnxruntime", fake)
    for recipe in RECIPES.values():
        if recipe.plugin:
            module = SimpleNamespace(get_library_path=lambda: "lib.so", __spec__=SimpleNamespace(name="plugin"))
            monkeypatch.setitem(sys.modules, recipe.plugin, module)
    monkeypatch.setattr(onnx, "bare_graph", lambda path: None)
    yield fake
    onnx._register.cache_clear()


def told(runtime: FakeRuntime, graph: Path, name: str) -> dict[str, str]:
    """What the provider of that way is told."""
    way = way_named(name)
    session = open_session(graph, way)
    assert session.device == name
    options: dict[str, str] = runtime.last.told[RECIPES[way.device].provider]
    return options


# -- recipes --------------------------------------------------------------------------------------


def test_every_device_of_the_runtime_has_a_recipe() -> None:
    assert list(RECIPES) == list(DEVICES["onnxruntime"])


def test_cuda_computes_in_whole_floats_and_takes_no_more_memory_than_it_needs(
    runtime: FakeRuntime, graph: Path
) -> None:
    """TF32 moves vectors by 1e-3: a library indexed on the GPU would not be that of the CPU."""
    assert told(runtime, graph, "onnxruntime-cuda") == {
        "use_tf32": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }
    assert runtime.last.names == ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(("name", "half"), [("onnxruntime-tensorrt", "0"), ("onnxruntime-tensorrt-f16", "1")])
def test_tensorrt_gets_fixed_profiles_and_keeps_its_engine_beside_the_model(
    runtime: FakeRuntime, graph: Path, name: str, half: str
) -> None:
    """Without profiles it builds an engine anew, for minutes, at each batch that is larger than those before."""
    options = told(runtime, graph, name)
    assert options["trt_fp16_enable"] == half
    assert options["trt_profile_min_shapes"] == "pixel_values:1x3x224x224"
    assert options["trt_profile_opt_shapes"] == "pixel_values:16x3x224x224"
    assert options["trt_profile_max_shapes"] == "pixel_values:64x3x224x224"
    kept = Path(options["trt_engine_cache_path"])
    assert kept.is_dir() and kept.is_relative_to(graph.parent)
    assert options["trt_timing_cache_path"] == str(kept)
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
    assert runtime.last.names == [
        "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider",
    ]  # fmt: skip
    assert runtime.last.told["CUDAExecutionProvider"]["use_tf32"] == "0"


def test_a_text_engine_reaches_to_the_longest_text_of_its_model(runtime: FakeRuntime, graph: Path) -> None:
    runtime.inputs = (TEXT, MASK)
    open_session(graph, Way("onnxruntime", "tensorrt", tokens=64))
    options = runtime.last.told["TensorrtExecutionProvider"]
    assert options["trt_profile_min_shapes"] == "input_ids:1x1,attention_mask:1x1"
    assert options["trt_profile_max_shapes"] == "input_ids:64x64,attention_mask:64x64"


def test_a_graph_of_one_size_gets_no_profile(runtime: FakeRuntime, graph: Path) -> None:
    """A profile that says something else would be refused."""
    runtime.inputs = (SimpleNamespace(name="pixel_values", type="tensor(float)", shape=[1, 3, 224, 224]),)
    assert not [key for key in told(runtime, graph, "onnxruntime-tensorrt") if "profile" in key]


def test_another_model_of_the_same_name_gets_an_engine_of_its_own(runtime: FakeRuntime, graph: Path) -> None:
    """TensorRT's cache tells graphs by the names of their nodes, and would answer with the old model's weights."""
    before = told(runtime, graph, "onnxruntime-tensorrt")["trt_engine_cache_path"]
    graph.write_bytes(b"the same graph with other weights")
    assert told(runtime, graph, "onnxruntime-tensorrt")["trt_engine_cache_path"] != before


def test_the_build_of_an_engine_is_announced_once(
    runtime: FakeRuntime, graph: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Minutes of silence look like a program that hangs."""
    caplog.set_level(logging.INFO)
    kept = Path(told(runtime, graph, "onnxruntime-tensorrt")["trt_engine_cache_path"])
    assert "image.onnx" in caplog.text and "minutes, once" in caplog.text
    (kept / "some.engine").write_bytes(b"an engine")
    caplog.clear()
    told(runtime, graph, "onnxruntime-tensorrt")
    assert not caplog.text


@pytest.mark.parametrize(
    ("name", "units", "low"), [("onnxruntime-coreml", "CPUAndGPU", "0"), ("onnxruntime-coreml-f16", "ALL", "1")]
)
def test_core_ml_uses_the_neural_engine_only_for_half_floats(
    runtime: FakeRuntime, graph: Path, name: str, units: str, low: str
) -> None:
    """It knows no others, and would round unasked."""
    options = told(runtime, graph, name)
    assert (options["ModelFormat"], options["MLComputeUnits"]) == ("MLProgram", units)
    assert options["AllowLowPrecisionAccumulationOnGPU"] == low
    assert Path(options["ModelCacheDirectory"]).is_relative_to(graph.parent)


def test_directml_runs_in_order_and_without_planned_memory(runtime: FakeRuntime, graph: Path) -> None:
    """It refuses to open otherwise."""
    open_session(graph, way_named("onnxruntime-directml"))
    assert runtime.last.options.enable_mem_pattern is False
    assert runtime.last.options.execution_mode == "sequential"


def test_rtx_gets_the_same_profiles(runtime: FakeRuntime, graph: Path) -> None:
    options = told(runtime, graph, "onnxruntime-rtx")
    assert options["nv_profile_max_shapes"] == "pixel_values:64x3x224x224"
    assert Path(options["nv_runtime_cache_path"]).is_dir()


@pytest.mark.parametrize(("name", "device"), [("onnxruntime-openvino", "CPU"), ("onnxruntime-openvino-gpu", "GPU")])
def test_the_openvino_plugin_is_told_its_arithmetic(runtime: FakeRuntime, graph: Path, name: str, device: str) -> None:
    """It would take bf16 or f16 where the device has them."""
    runtime.found += (("OpenVINOExecutionProvider", "GPU" if device == "CPU" else "CPU"),)
    hints = json.loads(told(runtime, graph, name)["load_config"])
    assert list(hints) == [device] and hints[device]["INFERENCE_PRECISION_HINT"] == "f32"
    assert [one.device.type.name for one in runtime.last.devices] == [device]


@pytest.mark.parametrize("name", ["onnxruntime-ggml", "onnxruntime-ggml-f16"])
def test_ggml_keeps_the_weights_as_asked(runtime: FakeRuntime, graph: Path, name: str) -> None:
    """It would round them to half floats unasked."""
    open_session(graph, Way("onnxruntime", "ggml", "f16" if name.endswith("f16") else "f32", threads=3))
    options = runtime.last.told["ggml"]
    assert (options["weights"], options["threads"]) == ("f16" if name.endswith("f16") else "f32", "3")


# -- nothing else runs ----------------------------------------------------------------------------


@pytest.mark.parametrize("device", [*CLASSIC, *PLUGINS])
def test_what_cannot_open_is_refused_in_the_runtimes_words(runtime: FakeRuntime, graph: Path, device: str) -> None:
    """The runtime itself would go on with the CPU, and print a line."""
    runtime.fails = lambda providers: "no driver" if providers[0] == RECIPES[device].provider else None
    with pytest.raises(ModelError, match="no driver") as caught:
        open_session(graph, Way("onnxruntime", device))
    assert device in caught.value.message and "--backend" in caught.value.hint


@pytest.mark.parametrize("device", [*CLASSIC, *PLUGINS])
def test_a_provider_that_took_no_node_is_refused(runtime: FakeRuntime, graph: Path, device: str) -> None:
    """It is listed, opened and named first by the session, and the CPU does all the work."""
    runtime.takes = 0
    with pytest.raises(ModelError, match=r"on the CPU: .* took none of its 128 nodes"):
        open_session(graph, Way("onnxruntime", device))


@pytest.mark.parametrize("device", [*CLASSIC, *PLUGINS])
def test_a_device_that_fails_its_first_batch_is_refused(runtime: FakeRuntime, graph: Path, device: str) -> None:
    """An index run would find out after it decoded the photos, and a choice would be kept that cannot run."""

    def broken() -> None:
        raise RuntimeError("CUDNN_STATUS_NOT_INITIALIZED")

    runtime.runs = broken
    with pytest.raises(ModelError, match=r"does not work.*CUDNN_STATUS_NOT_INITIALIZED"):
        open_session(graph, Way("onnxruntime", device))


def test_a_device_that_answers_with_no_number_is_refused(runtime: FakeRuntime, graph: Path) -> None:
    runtime.runs = lambda: [np.full((1, 4), np.nan, np.float32)]
    with pytest.raises(ModelError, match="no number"):
        open_session(graph, way_named("onnxruntime-cuda"))


def test_the_cpu_pays_for_no_trial(runtime: FakeRuntime, graph: Path) -> None:
    """A query opens its model first, and waits for it."""
    open_session(graph, Way("onnxruntime"))
    assert not hasattr(runtime.last, "feeds")


def test_a_session_tells_how_many_nodes_run_where(runtime: FakeRuntime, graph: Path) -> None:
    session = open_session(graph, way_named("onnxruntime-webgpu"))
    assert session.placed == {"WebGpuExecutionProvider": 100, "CPUExecutionProvider": 28}


def test_libraries_that_cuda_misses_are_named(
    runtime: FakeRuntime, graph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runtime prints them, and then fails with less."""
    runtime.prints = "Failed to load libcudnn.so.9"
    runtime.fails = lambda providers: "EP_FAIL" if len(providers) > 1 else None
    with pytest.raises(ModelError, match=r"EP_FAIL \(Failed to load libcudnn"):
        open_session(graph, way_named("onnxruntime-cuda"))
    assert capsys.readouterr().out == ""


# -- what is there --------------------------------------------------------------------------------


@pytest.mark.parametrize("device", CLASSIC)
def test_a_build_without_the_provider_says_what_to_install(runtime: FakeRuntime, graph: Path, device: str) -> None:
    runtime.listed = ("CPUExecutionProvider",)
    with pytest.raises(ModelError, match="this build of ONNX Runtime has no") as caught:
        open_session(graph, Way("onnxruntime", device))
    assert caught.value.hint == RECIPES[device].install
    assert [way.device for way in onnx.ways() if way.device in CLASSIC] == []


@pytest.mark.parametrize("device", PLUGINS)
def test_a_plugin_that_is_not_installed_says_what_to_install(
    runtime: FakeRuntime, graph: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = RECIPES[device].plugin
    monkeypatch.setattr(onnx.importlib.util, "find_spec", lambda name: None if name == plugin else name)
    with pytest.raises(ModelError, match="plug-in is not installed") as caught:
        open_session(graph, Way("onnxruntime", device))
    assert "pip install" in caught.value.hint
    assert device not in [way.device for way in onnx.ways()]


@pytest.mark.parametrize("device", PLUGINS)
def test_a_plugin_that_finds_no_device_is_not_offered(runtime: FakeRuntime, graph: Path, device: str) -> None:
    runtime.found = tuple(one for one in runtime.found if one[0] != RECIPES[device].provider)
    assert device not in [way.device for way in onnx.ways()]
    with pytest.raises(ModelError, match="finds no device here"):
        open_session(graph, Way("onnxruntime", device))


def test_auto_tries_all_that_is_listed_but_what_takes_minutes(runtime: FakeRuntime) -> None:
    """A TensorRT engine takes longer to build than all candidates may take together."""
    assert {way.device for way in onnx.ways()} == set(RECIPES) - {"tensorrt"}


# -- names ----------------------------------------------------------------------------------------


def test_each_way_is_taken_by_the_name_it_prints() -> None:
    """`clipsearch backends` and the space of a library print it; people copy it."""
    ways = [name for name in names() if name.count("-")]
    assert len(ways) == len(set(ways)) >= 15
    assert [way_named(name).name for name in ways] == ways
    assert way_named("openvino").name == "openvino-cpu"
    assert way_named("openvino-cpu-bf16") == Way("openvino", "cpu", "bf16")
    assert default_way("onnxruntime-cuda", 3) == Way("onnxruntime", "cuda", threads=3)


def test_each_way_stands_in_the_docs() -> None:
    """A name that only an error prints is found by nobody."""
    page = (Path(__file__).parents[2] / "docs/backends.md").read_text(encoding="utf-8")
    for name in names():
        _, _, device = name.partition("-")
        assert f"`{name}`" in page or f"`-{device}`" in page, name
    for recipe in RECIPES.values():
        package = recipe.install.rpartition("pip install ")[2].split()[0].strip("',")
        assert len(package) > 10 and package in page, recipe.install


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("onnxruntime-gpu", "onnxruntime-"),
        ("cuda", "onnxruntime-cuda"),
        ("openvino-cpu-int8", "openvino-cpu"),
        ("ONNXRUNTIME", "onnxruntime"),
        ("nothing like it", "pytorch"),
    ],
)
def test_an_unknown_way_is_refused_with_what_may_be_meant(name: str, meant: str) -> None:
    """A name that is nearly right is answered with the right one, any other with the runtimes."""
    with pytest.raises(ModelError, match="There is no backend") as caught:
        default_way(name)
    assert meant in caught.value.hint
