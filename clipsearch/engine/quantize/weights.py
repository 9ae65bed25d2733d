"""Fewer bits for each weight of an ONNX graph: fp16, and int8 or int4 in blocks of 32. Nothing is calibrated.

Every runtime opens fp16. The blocks are for ONNX Runtime: what is multiplied by them is rounded to 8 bits row by row,
so that a photo's vector does not depend on its batch mates, as it does where a whole tensor shares one range.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipsearch.engine.quantize.blocks import BLOCK, in_blocks, packed
from clipsearch.engine.quantize.graphs import plain_graph, write_graph

if TYPE_CHECKING:
    import onnx

_FEW = 1024  # weights: biases and scales of norms stay as they are
_DOMAIN, _DOMAIN_VERSION = "com.microsoft", 1  # of the operators that read 4 bits
_OPSET, _IR = 21, 10  # from which on there are tensors of 4 bits


def to_fp16(source: Path, target: Path) -> None:
    """Weights take half the bytes and are widened as the graph opens; inputs and outputs stay float32."""
    model = plain_graph(source)
    _narrow(model.graph)
    write_graph(model, target)


def to_blocks(source: Path, target: Path, bits: int) -> None:
    """Matrices and the table of tokens in so many bits a weight, and an fp16 scale and a zero for each block of 32; the
    rest in fp16."""
    from onnx import helper, version_converter

    model = plain_graph(source)
    if next(one.version for one in model.opset_import if not one.domain) < _OPSET:
        model = version_converter.convert_version(model, _OPSET)
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        place = {"MatMul": 1, "Gather": 0}.get(node.op_type)
        weights = None if place is None or _axis(node) else _matrix(tensors.get(node.input[place]))
        if weights is None:
            nodes.append(node)
            continue
        make = _gathered if node.op_type == "Gather" else _multiplied
        one, made = make(node, weights, bits)
        nodes.append(one)
        graph.initializer.extend(made)
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    _narrow(graph)
    model.opset_import.append(helper.make_opsetid(_DOMAIN, _DOMAIN_VERSION))
    model.ir_version = max(model.ir_version, _IR)
    write_graph(model, target)


def _axis(node: onnx.NodeProto) -> int:
    return next((one.i for one in node.attribute if one.name == "axis"), 0)


def _matrix(tensor: onnx.TensorProto | None) -> np.ndarray | None:
    """A float matrix with blocks to fill."""
    from onnx import TensorProto, numpy_helper

    if tensor is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2 or min(tensor.dims) < BLOCK:
        return None
    return numpy_helper.to_array(tensor)


def _multiplied(node: onnx.NodeProto, weights: np.ndarray, bits: int) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """`x @ weights` with each column in blocks."""
    from onnx import helper, numpy_helper

    name = node.output[0]
    inside, outside = weights.shape
    blocks = in_blocks(np.ascontiguousarray(weights.T), bits)
    made = [
        numpy_helper.from_array(packed(blocks.codes, bits), f"{name}_codes"),
        numpy_helper.from_array(blocks.scales.astype(np.float32), f"{name}_scales"),
        numpy_helper.from_array(packed(blocks.zeros, bits), f"{name}_zeros"),
    ]
    return helper.make_node(
        "MatMulNBits",
        [node.input[0], *(tensor.name for tensor in made)],
        list(node.output),
        name=node.name,
        domain=_DOMAIN,
        K=inside,
        N=outside,
        bits=bits,
        block_size=BLOCK,
        accuracy_level=4,  # what is multiplied is rounded to 8 bits, row by row: floats would take three times as long
    ), made


def _gathered(node: onnx.NodeProto, weights: np.ndarray, bits: int) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """Rows of a table, each in blocks."""
    from onnx import helper, numpy_helper

    name = node.output[0]
    blocks = in_blocks(weights, bits)
    made = [
        _codes(blocks.codes.reshape(len(weights), -1)[:, : weights.shape[1]], f"{name}_codes", bits),
        numpy_helper.from_array(blocks.scales.astype(np.float32), f"{name}_scales"),
        _codes(blocks.zeros, f"{name}_zeros", bits),
    ]
    return helper.make_node(
        "GatherBlockQuantized",
        [made[0].name, node.input[1], made[1].name, made[2].name],
        list(node.output),
        name=node.name,
        domain=_DOMAIN,
        gather_axis=0,
        quantize_axis=1,
        bits=bits,
        block_size=BLOCK,
    ), made


def _codes(codes: np.ndarray, name: str, bits: int) -> onnx.TensorProto:
    from onnx import TensorProto, helper, numpy_helper

    if bits == 8:
        return numpy_helper.from_array(np.ascontiguousarray(codes), name)
    raw = packed(codes.reshape(1, -1), bits).tobytes()
    return helper.make_tensor(name, TensorProto.UINT4, codes.shape, raw, raw=True)


def _narrow(graph: onnx.GraphProto) -> None:
    """Float tensors of some size as fp16, each with a Cast that gives it back its name."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _FEW:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:  # it would become infinite
            continue
        name, narrow = tensor.name, f"{tensor.name}_fp16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), narrow))
        casts.append(helper.make_node("Cast", [narrow], [name], name=f"{name}_widened", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]  # who makes it stands before who reads it
    del graph.node[:]
    graph.node.extend(nodes)
