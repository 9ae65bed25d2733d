"""ONNX graphs on their way to fewer bits: opened with their weights as plain floats, and written again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_LARGE = 2**31 - 2**20  # bytes that one ONNX file can hold; weights beyond lie beside it
_OPSET = 21  # onnx's own evaluator knows some of them from here on
_FOLDED = ("Constant", "Cast", "DequantizeLinear", "Identity", "Transpose")  # ways to store a weight


def plain_graph(path: Path) -> onnx.ModelProto:
    """The graph with every weight as one float initializer, however it is stored: as fp16, as int8, transposed."""
    import onnx
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(path)
    graph = model.graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {port.name for port in graph.output}
    kept = []
    for node in graph.node:
        constant = all(name in values for name in node.input if name)
        if node.op_type not in _FOLDED or node.domain or not constant or outputs & set(node.output):
            kept.append(node)
            continue
        feeds = {name: numpy_helper.to_array(values[name]) for name in node.input if name}
        found = ReferenceEvaluator(_alone(node)).run(None, feeds)
        values |= {name: numpy_helper.from_array(array, name) for name, array in zip(node.output, found, strict=True)}
    read = {name for node in kept for name in node.input} | outputs
    for node in kept:  # a subgraph reads what lies outside it by name
        read |= {name for one in node.attribute for inner in one.g.node for name in inner.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensor for name, tensor in values.items() if name in read)
    return model


def write_graph(model: onnx.ModelProto, target: Path) -> None:
    """One file; above 2 GB the weights lie beside it in TARGET.data."""
    import onnx

    large = model.ByteSize() > _LARGE
    onnx.save_model(model, target, save_as_external_data=large, location=f"{target.name}.data" if large else None)


def _alone(node: onnx.NodeProto) -> onnx.ModelProto:
    """The node as a graph; what these operators do has not changed between opsets."""
    from onnx import TensorProto, helper

    def port(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)

    inputs = [port(name) for name in dict.fromkeys(node.input) if name]
    graph = helper.make_graph([node], "alone", inputs, [port(name) for name in node.output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
