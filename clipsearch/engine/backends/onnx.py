"""ONNX Runtime, CPU provider. Wraps the runtime and translates its errors; knows no model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from clipsearch.engine.backends import Port, Session
from clipsearch.errors import ModelError

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
}


def open_session(path: Path, *, threads: int) -> Session:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # nothing on stderr: warnings are not for the user, errors come as exceptions
    options.enable_cpu_mem_arena = False  # memory grows with every new shape otherwise (onnxruntime#9313)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises its own classes straight from Exception
        raise ModelError(f"ONNX Runtime cannot open {path}: {error}", "Fetch the model again.") from error
    return _OnnxSession(session)


class _OnnxSession:
    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.inputs = tuple(_port(node) for node in session.get_inputs())
        self.outputs = tuple(_port(node) for node in session.get_outputs())
        self.device = "onnxruntime-" + session.get_providers()[0].removesuffix("ExecutionProvider").lower()

    def run(self, feeds: Mapping[str, NDArray[np.generic]], output: str) -> NDArray[np.float32]:
        try:
            (result,) = self._session.run([output], dict(feeds))
        except Exception as error:  # as above
            raise ModelError(f"ONNX Runtime failed: {error}", "Try another one: --backend openvino") from error
        return np.asarray(result, np.float32)


def _port(node: onnxruntime.NodeArg) -> Port:
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return Port(node.name, _DTYPES.get(node.type, node.type), shape)
