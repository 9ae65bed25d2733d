"""What flows into the matrices of a graph, as sums of products of its channels: what GPTQ asks about its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.backends import usable_cores
from clipsearch.engine.quantize.feeds import Feeds
from clipsearch.engine.quantize.graphs import write_graph

if TYPE_CHECKING:
    import onnx

Moments = NDArray[np.float32]


def moments_of(model: onnx.ModelProto, widths: dict[str, int], feeds: Sequence[Feeds], at: Path) -> dict[str, Moments]:
    """(width, width) for each tensor that `widths` names. The graph is written to `at` to be run."""
    import onnxruntime
    from onnx import TensorProto, helper

    watched = type(model)()
    watched.CopyFrom(model)
    known = {port.name for port in watched.graph.output}
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in widths if name not in known]
    watched.graph.output.extend(ports)
    write_graph(watched, at)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(str(at), options, providers=["CPUExecutionProvider"])
    found = {name: np.zeros((width, width), np.float32) for name, width in widths.items()}
    for one in feeds:
        for name, seen in zip(widths, session.run(list(widths), one), strict=True):
            rows = seen.reshape(-1, widths[name])
            found[name] += rows.T @ rows
    return found
