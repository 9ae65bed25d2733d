"""A CLIP of OpenCLIP's ViT-B family with random weights, as two ONNX graphs: real work, no meaning.

    python benchmarks/peers/random_vit.py FOLDER [--size 256] [--patch 32]

Writes FOLDER/visual.onnx and FOLDER/textual.onnx as rclip's exporter leaves them: inputs `input` (float32
[batch, 3, size, size], normalised; int64 [batch, 77]), outputs `output` [batch, 512], not normalised, opset 18.
Speed and memory of a transformer do not depend on what its weights say, so this stands in for weights that no
package registry carries. The same seed gives the same weights. Needs onnx and numpy.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
LAYERS = 12
HEAD = 64  # width of an attention head
DIM = 512  # of the space both towers share
VISION_WIDTH, TEXT_WIDTH = 768, 512
CONTEXT, VOCABULARY = 77, 49_408


@dataclass
class Graph:
    """Nodes and weights in the making. Every method appends one operation and returns the name of its result."""

    random: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: NDArray[np.generic]) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def shape(self, *sizes: int) -> str:
        return self.constant(np.array(sizes, np.int64))

    def normal(self, *shape: int, deviation: float) -> str:
        return self.constant(self.random.standard_normal(shape, np.float32) * np.float32(deviation))

    def linear(self, x: str, inside: int, outside: int) -> str:
        product = self.op("MatMul", x, self.normal(inside, outside, deviation=inside**-0.5))
        return self.op("Add", product, self.normal(outside, deviation=0.02))

    def norm(self, x: str, width: int) -> str:
        scale = self.constant(np.ones(width, np.float32))
        shift = self.constant(np.zeros(width, np.float32))
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)

    def gelu(self, x: str) -> str:
        """x * (1 + erf(x / sqrt 2)) / 2, in the five nodes that exporters of opset 18 write and runtimes fuse."""
        root, one, half = (self.constant(np.array(value, np.float32)) for value in (math.sqrt(2), 1, 0.5))
        error = self.op("Erf", self.op("Div", x, root))
        return self.op("Mul", self.op("Mul", x, self.op("Add", error, one)), half)

    def attention(self, x: str, tokens: int, width: int, mask: str | None) -> str:
        heads = width // HEAD
        packed = self.linear(x, width, 3 * width)
        split = self.op("Reshape", packed, self.shape(-1, tokens, 3, heads, HEAD))
        apart = self.op("Transpose", split, perm=[2, 0, 3, 1, 4])  # 3, batch, heads, tokens, HEAD
        query, key, value = (
            self.op("Gather", apart, self.constant(np.array(part, np.int64)), axis=0) for part in range(3)
        )
        scaled = self.op("Mul", query, self.constant(np.array(HEAD**-0.5, np.float32)))
        scores = self.op("MatMul", scaled, self.op("Transpose", key, perm=[0, 1, 3, 2]))
        if mask is not None:
            scores = self.op("Add", scores, mask)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        joined = self.op("Reshape", self.op("Transpose", mixed, perm=[0, 2, 1, 3]), self.shape(-1, tokens, width))
        return self.linear(joined, width, width)

    def block(self, x: str, tokens: int, width: int, mask: str | None = None) -> str:
        x = self.op("Add", x, self.attention(self.norm(x, width), tokens, width, mask))
        wide = self.gelu(self.linear(self.norm(x, width), width, 4 * width))
        return self.op("Add", x, self.linear(wide, 4 * width, width))

    def model(self, output: str, dtype: int, shape: list[int | str]) -> onnx.ModelProto:
        self.nodes.append(helper.make_node("Identity", [output], ["output"]))
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("input", dtype, shape)],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", DIM])],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(made)
        return made


def visual(size: int, patch: int) -> onnx.ModelProto:
    """Patches by a convolution, a class token before them, twelve blocks, the class token projected."""
    width, grid = VISION_WIDTH, size // patch
    tokens = grid * grid + 1
    graph = Graph(np.random.default_rng(1))
    kernel = graph.normal(width, 3, patch, patch, deviation=(3 * patch * patch) ** -0.5)
    patches = graph.op("Conv", "input", kernel, kernel_shape=[patch, patch], strides=[patch, patch])
    rows = graph.op("Transpose", graph.op("Reshape", patches, graph.shape(0, width, -1)), perm=[0, 2, 1])
    first = graph.op("Slice", rows, graph.shape(0), graph.shape(1), graph.shape(1))  # for the size of the batch
    shape = graph.op("Shape", first)
    token = graph.op("Expand", graph.normal(1, 1, width, deviation=width**-0.5), shape)
    x = graph.op("Concat", token, rows, axis=1)
    x = graph.norm(graph.op("Add", x, graph.normal(tokens, width, deviation=width**-0.5)), width)
    for _ in range(LAYERS):
        x = graph.block(x, tokens, width)
    pooled = graph.op("Gather", x, graph.constant(np.array(0, np.int64)), axis=1)
    projected = graph.op("MatMul", graph.norm(pooled, width), graph.normal(width, DIM, deviation=width**-0.5))
    return graph.model(projected, TensorProto.FLOAT, ["batch", 3, size, size])


def textual() -> onnx.ModelProto:
    """Token and place embeddings, twelve causal blocks, the token with the highest id (the end) projected."""
    width = TEXT_WIDTH
    graph = Graph(np.random.default_rng(2))
    x = graph.op("Gather", graph.normal(VOCABULARY, width, deviation=0.02), "input", axis=0)
    x = graph.op("Add", x, graph.normal(CONTEXT, width, deviation=0.01))
    mask = graph.constant(np.triu(np.full((CONTEXT, CONTEXT), -np.inf, np.float32), 1))
    for _ in range(LAYERS):
        x = graph.block(x, CONTEXT, width, mask)
    x = graph.norm(x, width)
    end = graph.op("ArgMax", "input", axis=1, keepdims=0)
    one_hot = graph.op(
        "OneHot", end, graph.constant(np.array(CONTEXT, np.int64)), graph.constant(np.array([0, 1], np.float32))
    )
    row = graph.op("Unsqueeze", one_hot, graph.shape(1))
    pooled = graph.op("Squeeze", graph.op("MatMul", row, x), graph.shape(1))
    projected = graph.op("MatMul", pooled, graph.normal(width, DIM, deviation=width**-0.5))
    return graph.model(projected, TensorProto.INT64, ["batch", CONTEXT])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=256, help="px, both sides of a picture (default 256)")
    parser.add_argument("--patch", type=int, default=32, help="px, both sides of a patch (default 32)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    onnx.save(visual(arguments.size, arguments.patch), arguments.folder / "visual.onnx")
    onnx.save(textual(), arguments.folder / "textual.onnx")


if __name__ == "__main__":
    main()
