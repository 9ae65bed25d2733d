"""OpenVINO and its devices. Wraps the runtime and translates its errors; knows no model.

Batches are for throughput: the runtime says how many requests its device wants in flight, and each takes its share of
a batch. All get their share at once, so there is nothing to queue (AsyncInferQueue). On 2 cores two requests of one
thread beat one of two by 1.07 to 1.4 (batches of 4 and 16; the starter, ViT-B/32 in fp32 and int8), for no core waits
for the other between layers: `benchmarks/sharing.py`. One at a time is for latency, on all threads.

Only the CPU was run here; GPU and NPU are recipes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# Without this package OpenVINO has a stub for it; with it, to import OpenVINO is to send that to its maker, unasked.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is what blocks an import
import openvino  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from clipsearch.engine.backends import Port, Session, Way  # noqa: E402
from clipsearch.errors import ModelError  # noqa: E402

_DTYPES = {"f32": "float32", "f16": "float16", "i64": "int64", "i32": "int32", "u8": "uint8"}


_DEVICES = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}
# What a device must say it is capable of, to compute in this arithmetic.
_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}


def ways() -> list[Way]:
    """Each device in each arithmetic that it reports."""
    core = openvino.Core()
    found = []
    for device, name in _DEVICES.items():
        for full_name in core.available_devices:
            if full_name.partition(".")[0] == name:  # "GPU.0" and "GPU.1" where there are two; the first is meant
                capable = core.get_property(full_name, "OPTIMIZATION_CAPABILITIES")
                found += [Way("openvino", device, one) for one, needed in _CAPABILITIES.items() if needed in capable]
                break
    return found


def open_session(path: Path, way: Way) -> Session:
    properties: dict[str, object] = {
        # Explicit: on a CPU with bf16 the runtime would take it unasked, and vectors would differ by 1.5e-3 from
        # others'. On a GPU its default gave random vectors for CLIP (openvino#28770).
        "INFERENCE_PRECISION_HINT": way.arithmetic,
        "PERFORMANCE_HINT": "THROUGHPUT" if way.batch > 1 else "LATENCY",
    }
    if way.device == "cpu":
        properties["INFERENCE_NUM_THREADS"] = way.threads
        # Unasked it quantises inputs where weights are stored as int8: 2e-4 off, and near photos change places.
        properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
    if way.device == "gpu":
        properties["EXECUTION_MODE_HINT"] = "ACCURACY"
        properties["ALLOW_AUTO_BATCHING"] = False  # batches come as batches; it would wait for more
    if way.compiled is not None:
        properties |= {"CACHE_DIR": str(way.compiled), "CACHE_MODE": "OPTIMIZE_SPEED"}
    try:
        core = openvino.Core()
        graph: str | openvino.Model = str(path)  # by its name, it is not even read where it was compiled before
        if way.device == "npu":
            graph = core.read_model(graph)
            graph.reshape({port.get_any_name(): _fixed(port, way) for port in graph.inputs})
        compiled = core.compile_model(graph, _DEVICES[way.device], properties)
    except Exception as error:  # the runtime raises RuntimeError and others
        hint = "Fetch the model again." if way.device == "cpu" else "Install the device's driver, or use --backend auto"
        raise ModelError(f"OpenVINO cannot open {path} on {way.device}: {error}", hint) from error
    return _OpenVinoSession(compiled, several=way.batch > 1)


def _fixed(port: openvino.Output, way: Way) -> list[int]:
    """One row, for an NPU compiles every shape anew; a text at its longest, for those are all it may be given."""
    sizes = [None if size.is_dynamic else size.get_length() for size in port.get_partial_shape()]
    open_sizes = (1, way.tokens) if len(sizes) == 2 else (1,)
    if None in sizes[len(open_sizes) :]:
        raise ValueError(f"the sizes of {port.get_any_name()} are open, and an NPU must know them")
    return [open_sizes[axis] if size is None else size for axis, size in enumerate(sizes)]


class _OpenVinoSession:
    def __init__(self, compiled: openvino.CompiledModel, *, several: bool) -> None:
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") if several else 1
        self.inputs = tuple(_port(port) for port in compiled.inputs)
        self.outputs = tuple(_port(port) for port in compiled.outputs)
        fixed = any(port.shape[0] is not None for port in self.inputs)  # such a batch cannot be shared out
        self._requests = [compiled.create_infer_request() for _ in range(1 if fixed else count)]
        devices = [name.partition(".")[0].lower() for name in compiled.get_property("EXECUTION_DEVICES")]
        arithmetic = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.device = Way("openvino", "+".join(devices), arithmetic).name

    def run(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> NDArray[np.float32]:
        if missing := {port.name for port in self.inputs} - feeds.keys():
            # The runtime would answer with whatever lay in the memory of that input.
            raise ModelError(f"OpenVINO failed: nothing was given for {', '.join(sorted(missing))}.", "Report this.")
        rows = min(map(len, feeds.values()))
        try:
            return self._run(feeds, output, max(1, min(len(self._requests), rows)))
        except Exception as error:  # as above
            raise ModelError(f"OpenVINO failed: {error}", "Try another one: --backend onnxruntime") from error

    def _run(self, feeds: Mapping[str, NDArray[np.generic]], output: str, parts: int) -> NDArray[np.float32]:
        requests = self._requests[:parts]
        if parts == 1:
            # A copy: the runtime writes its next answer into the same memory.
            return np.array(requests[0].infer(dict(feeds), share_inputs=True)[output], np.float32)
        shares = {name: np.array_split(array, parts) for name, array in feeds.items()}
        try:
            for place, request in enumerate(requests):
                request.start_async({name: share[place] for name, share in shares.items()}, share_inputs=True)
            for request in requests:
                request.wait()
        except Exception:
            for request in requests:
                request.cancel()  # one that still ran would be busy when the next batch comes
            raise
        return np.concatenate([request.get_tensor(output).data for request in requests], dtype=np.float32)


def _port(port: openvino.ConstOutput) -> Port:
    shape = tuple(None if size.is_dynamic else size.get_length() for size in port.get_partial_shape())
    dtype = port.get_element_type().get_type_name()
    return Port(port.get_any_name(), _DTYPES.get(dtype, dtype), shape)
