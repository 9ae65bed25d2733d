"""ONNX Runtime's execution providers: what each wants to be told, and what must be installed for it. One row each.

A table and pure functions; onnx.py opens sessions by it. Run here: cpu, webgpu (software Vulkan), ggml (CPU). The
others are written from their makers' documents and were never run: docs/backends.md says so too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipsearch.engine.backends import Port, Way

PLAIN = "pip uninstall onnxruntime, then pip install"  # builds of ONNX Runtime overwrite each other's files
_BATCHES = (1, 16, 64)  # the least, the one to tune for and the most of a compiled engine; towers ask for no more
_TOKENS = 1  # of the shortest text


@dataclass(frozen=True, slots=True)
class Graph:
    """What a provider that compiles must know before it opens one."""

    inputs: tuple[Port, ...]
    kept: Path | None  # where what is compiled lies until the next time; None where nothing can be written


@dataclass(frozen=True, slots=True)
class Recipe:
    provider: str  # as the runtime calls it
    install: str  # what to type where it is missing
    plugin: str | None = None  # the module that brings it, registered at run time beside the plain onnxruntime
    hardware: str | None = None  # of the plug-in's devices: only those of this kind
    behind: tuple[str, ...] = ()  # devices whose providers get the nodes it lacks before the CPU does
    compiles: bool = False  # before it runs: it is told the shapes, and keeps what it made
    takes_minutes: bool = False  # to compile: `auto` never tries it
    in_order: bool = False  # it allows neither parallel execution nor planned memory
    bare: bool = False  # it takes only graphs without the normalisation at their end
    options: Callable[[Way, Graph], dict[str, str]] = lambda way, graph: {}


def _cuda(way: Way, graph: Graph) -> dict[str, str]:
    return {
        "use_tf32": "0",  # ten bits of mantissa: vectors would not compare with other machines'
        "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all, for minutes, at each new shape
        "arena_extend_strategy": "kSameAsRequested",  # the default doubles what it holds
    }


def _tensorrt(way: Way, graph: Graph) -> dict[str, str]:
    kept = str(graph.kept or "")
    return {
        "trt_fp16_enable": str(int(way.arithmetic == "f16")),
        "trt_engine_cache_enable": str(int(graph.kept is not None)),
        "trt_engine_cache_path": kept,
        "trt_timing_cache_enable": str(int(graph.kept is not None)),
        "trt_timing_cache_path": kept,
        **_profiles("trt", way, graph),
    }


def _rtx(way: Way, graph: Graph) -> dict[str, str]:
    return {"nv_runtime_cache_path": str(graph.kept or ""), **_profiles("nv", way, graph)}


def _coreml(way: Way, graph: Graph) -> dict[str, str]:
    is_half = way.arithmetic == "f16"
    return {
        "ModelFormat": "MLProgram",  # the older format rounds everything to half floats
        "MLComputeUnits": "ALL" if is_half else "CPUAndGPU",  # the neural engine knows half floats only
        "AllowLowPrecisionAccumulationOnGPU": str(int(is_half)),
        "ModelCacheDirectory": str(graph.kept or ""),
    }


def _openvino(way: Way, graph: Graph) -> dict[str, str]:
    # Explicit, for it would take bf16 or f16 unasked where the device has them.
    hints = {"INFERENCE_PRECISION_HINT": way.arithmetic, "PERFORMANCE_HINT": "LATENCY"}
    device = "GPU" if way.device == "openvino-gpu" else "CPU"
    return {
        "load_config": json.dumps({device: hints | ({"EXECUTION_MODE_HINT": "ACCURACY"} if device == "GPU" else {})})
    }


def _ggml(way: Way, graph: Graph) -> dict[str, str]:
    return {"device": "auto", "threads": str(way.threads), "weights": way.arithmetic}  # weights: f16 where not told


RECIPES = {
    "cpu": Recipe("CPUExecutionProvider", "pip install onnxruntime"),
    "cuda": Recipe("CUDAExecutionProvider", f"{PLAIN} 'onnxruntime-gpu[cuda,cudnn]'", options=_cuda),
    "tensorrt": Recipe(
        "TensorrtExecutionProvider", f"{PLAIN} 'onnxruntime-gpu[cuda,cudnn]' tensorrt", behind=("cuda",),
        compiles=True, takes_minutes=True, options=_tensorrt,
    ),
    "coreml": Recipe(
        "CoreMLExecutionProvider", "pip install onnxruntime, on a Mac", compiles=True, options=_coreml,
    ),
    "directml": Recipe("DmlExecutionProvider", f"{PLAIN} onnxruntime-directml, on Windows", in_order=True),
    "webgpu": Recipe(
        "WebGpuExecutionProvider", "pip install 'clipsearch[webgpu]'", plugin="onnxruntime_ep_webgpu",
    ),
    "rtx": Recipe(
        "NvTensorRTRTXExecutionProvider", "pip install onnxruntime-ep-nv-tensorrt-rtx",
        plugin="onnxruntime_ep_nv_tensorrt_rtx", compiles=True, options=_rtx,
    ),
    "mlx": Recipe(
        "MLXExecutionProvider", "pip install onnxruntime-ep-mlx, on a Mac", plugin="onnxruntime_ep_mlx",
    ),
    "openvino": Recipe(
        "OpenVINOExecutionProvider", "pip install onnxruntime-ep-openvino", plugin="onnxruntime_ep_openvino",
        hardware="CPU", options=_openvino,
    ),
    "openvino-gpu": Recipe(
        "OpenVINOExecutionProvider", "pip install onnxruntime-ep-openvino", plugin="onnxruntime_ep_openvino",
        hardware="GPU", options=_openvino,
    ),
    "ggml": Recipe("ggml", "pip install 'clipsearch[ggml]'", plugin="onnxruntime_ggml", bare=True, options=_ggml),
}  # fmt: skip


def _profiles(prefix: str, way: Way, graph: Graph) -> dict[str, str]:
    """The least, usual and largest shapes of all inputs: outside of them an engine would be built anew."""
    if all(None not in port.shape for port in graph.inputs):
        return {}
    profiles = {}
    for which, batch in zip(("min", "opt", "max"), _BATCHES, strict=True):
        tokens = _TOKENS if which == "min" else way.tokens
        shapes = (f"{port.name}:{'x'.join(map(str, _filled(port, batch, tokens)))}" for port in graph.inputs)
        profiles[f"{prefix}_profile_{which}_shapes"] = ",".join(shapes)
    return profiles


def _filled(port: Port, batch: int, tokens: int) -> list[int]:
    return [size or (batch if axis == 0 else tokens) for axis, size in enumerate(port.shape)]
