"""A graph without what a narrow provider lacks: its first convolution and the normalisation at its end, both of which
the host does instead. Needs the package onnx; knows neither runtimes nor models.

Normalising again costs nothing, for the towers make all vectors unit anyway. A convolution that cuts a picture into
patches (its stride is its kernel) is a product of the patches with the kernel: the same numbers in another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NORMALISING = ("Clip", "Max", "Expand", "Sqrt", "Add", "Cast")  # between a vector's length and its division by it


@dataclass(frozen=True, slots=True)
class BareGraph:
    model: bytes  # as onnx writes it
    input: str  # the first
    patch: int  # pixels a side; 0 where the graph still takes pictures
    picture: tuple[int | None, ...]  # the shape of that input before

    def fed(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """The same feeds, with the picture cut into patches where the graph takes those."""
        if not self.patch:
            return dict(feeds)
        return {**feeds, self.input: _cut(feeds[self.input], self.patch)}


def bare_graph(path: Path) -> BareGraph:
    """Raises whatever onnx raises for a file that it cannot read."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    picture = tuple(size.dim_value or None for size in graph.input[0].type.tensor_type.shape.dim)
    del graph.output[1:]
    _rename(graph, _before_normalising(graph), graph.output[0].name)
    patch = _without_patching(graph, picture)
    _drop_unused(graph)
    return BareGraph(model.SerializeToString(), graph.input[0].name, patch, picture)


def _before_normalising(graph: Any) -> str:
    """The value that is divided by its own length; the output itself where there is none."""
    output = str(graph.output[0].name)
    made = {name: node for node in graph.node for name in node.output}
    last = made[output]
    if last.op_type == "LpNormalization":
        return str(last.input[0])
    if last.op_type != "Div":
        return output
    vector, name = last.input
    while name in made and made[name].op_type in _NORMALISING:
        name = made[name].input[0]
    is_length = name in made and made[name].op_type == "ReduceL2" and made[name].input[0] == vector
    return str(vector) if is_length else output


def _rename(graph: Any, old: str, new: str) -> None:
    """What made `new` before makes nothing any more."""
    if old == new:
        return
    for node in graph.node:
        node.output[:] = [new if name == old else "" if name == new else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]


def _without_patching(graph: Any, sides: tuple[int | None, ...]) -> int:
    """Replaces the convolution that the picture goes through by a product with patches; pixels a side of one."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {one.name: one for one in graph.initializer}
    picture = graph.input[0]
    place = next((at for at, node in enumerate(graph.node) if node.op_type == "Conv"), None)
    if place is None or len(sides) != 4 or graph.node[place].input[0] != picture.name:
        return 0
    conv = graph.node[place]
    kernel = weights.get(conv.input[1])
    told = {one.name: helper.get_attribute_value(one) for one in conv.attribute}
    if kernel is None or kernel.dims[2] != kernel.dims[3] or list(told.get("strides", ())) != list(kernel.dims[2:]):
        return 0
    width, channels, patch, _ = kernel.dims
    if any(told.get("pads", ())) or told.get("group", 1) != 1 or sides[2] is None or sides[2] != sides[3]:
        return 0
    across, left = divmod(sides[2], patch)
    if left:
        return 0
    as_matrix = numpy_helper.to_array(kernel).reshape(width, -1).T
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.ascontiguousarray(as_matrix), "bare_kernel"),
            numpy_helper.from_array(np.array([0, width, across, across], np.int64), "bare_shape"),
        ]
    )
    nodes = [helper.make_node("MatMul", [picture.name, "bare_kernel"], ["bare_product"])]
    if len(conv.input) > 2:
        nodes.append(helper.make_node("Add", ["bare_product", conv.input[2]], ["bare_biased"]))
    nodes.append(helper.make_node("Transpose", [nodes[-1].output[0]], ["bare_rows"], perm=[0, 2, 1]))
    nodes.append(helper.make_node("Reshape", ["bare_rows", "bare_shape"], list(conv.output)))
    changed = [*graph.node[:place], *nodes, *graph.node[place + 1 :]]
    del graph.node[:]
    graph.node.extend(changed)
    shape = [sides[0] or "batch", across * across, channels * patch * patch]
    picture.CopyFrom(helper.make_tensor_value_info(picture.name, TensorProto.FLOAT, shape))
    del graph.value_info[:]  # shapes that were inferred before
    return int(patch)


def _cut(pictures: NDArray[np.generic], patch: int) -> NDArray[np.generic]:
    """(n, c, s, s) -> (n, patches, c * patch * patch), patches row by row."""
    count, channels, side, _ = pictures.shape
    across = side // patch
    squares = pictures.reshape(count, channels, across, patch, across, patch).transpose(0, 2, 4, 1, 3, 5)
    return np.ascontiguousarray(squares).reshape(count, across * across, channels * patch * patch)


def _drop_unused(graph: Any) -> None:
    wanted = {graph.output[0].name}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(filter(None, node.output)):
            kept.append(node)
            wanted.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [one for one in graph.initializer if one.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(weights)
