"""ONNX Runtime and its execution providers. Wraps the runtime and translates its errors; knows no model.

Only the CPU provider was run here; the others are recipes, tested with a provider that is faked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from clipsearch.engine.backends import Port, Session, Way
from clipsearch.errors import ModelError

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
}


# device of a Way -> (execution provider, its options)
_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"}),  # the default tries all, for minutes
    "tensorrt": ("TensorrtExecutionProvider", {}),
    "coreml": ("CoreMLExecutionProvider", {}),
    "directml": ("DmlExecutionProvider", {}),
}


def ways() -> list[Way]:
    """One for each provider that this build lists; whether it works is found out by running it."""
    listed = onnxruntime.get_available_providers()
    return [Way("onnxruntime", device) for device, (provider, _) in _PROVIDERS.items() if provider in listed]


def open_session(path: Path, way: Way) -> Session:
    provider, provider_options = _PROVIDERS[way.device]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = way.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # nothing on stderr: warnings are not for the user, errors come as exceptions
    options.enable_cpu_mem_arena = False  # memory grows with every new shape otherwise (onnxruntime#9313)
    # No second provider but the CPU's for nodes that the first one lacks; a session that took none of its own
    # reports the CPU first, and is refused.
    providers = [(provider, provider_options)] + ([("CPUExecutionProvider", {})] if way.device != "cpu" else [])
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # the runtime raises its own classes straight from Exception
        raise ModelError(f"ONNX Runtime cannot open {path}: {error}", "Fetch the model again.") from error
    return _OnnxSession(session)


def open_unoptimised(path: Path, threads: int) -> Session:
    """On the CPU, each node as the graph has it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    try:
        return _OnnxSession(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # as above
        raise ModelError(f"ONNX Runtime cannot open {path}: {error}", "Fetch the model again.") from error


class _OnnxSession:
    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.inputs = tuple(_port(node) for node in session.get_inputs())
        self.outputs = tuple(_port(node) for node in session.get_outputs())
        first = session.get_providers()[0]
        self.device = "onnxruntime-" + next(name for name, (provider, _) in _PROVIDERS.items() if provider == first)

    def run(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> NDArray[np.float32]:
        try:
            (result,) = self._session.run([output], dict(feeds))
        except Exception as error:  # as above
            raise ModelError(f"ONNX Runtime failed: {error}", "Try another one: --backend openvino") from error
        return np.asarray(result, np.float32)


def _port(node: onnxruntime.NodeArg) -> Port:
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return Port(node.name, _DTYPES.get(node.type, node.type), shape)
