"""Towers as ONNX graphs whose weights are codes, unfolded by the runtime as it opens the graph.

    codes uint8 -> Gather from the book -> Transpose -> Reshape -> int8 weights (in, out)
    float32 arithmetic:  Cast, times the row's scale, MatMul
    int8 arithmetic:     DequantizeLinear by the row's scale, MatMul, with quantised inputs

ONNX Runtime and OpenVINO both fold the constant part once, so a run costs what it costs without codes. The two image
graphs share one file of weights beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from codes import CodedLinear, unfolded
from minilm import MiniLM
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from text_head import Head
from torch import Tensor, nn
from tower import HEADS, PATCH, WIDTH, Vit

OPSET = 17
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Stored:
    """A weight as its file holds it. `codes` None: the int8 values themselves, row by row."""

    values: NDArray[np.int8]  # the book (256, d), or the weight as the graph takes it
    row: NDArray[np.float32]
    codes: NDArray[np.uint8] | None = None


class Matrix(nn.Module):
    """x @ weight + bias with the weight (in, out), which keeps its name in the graph."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.T.contiguous())
        self.bias = nn.Parameter(bias.detach().clone()) if bias is not None else None

    def forward(self, x: Tensor) -> Tensor:
        product = x @ self.weight
        return product if self.bias is None else product + self.bias


class ImageGraph(nn.Module):
    """The tower as it is exported: no fused attention, vectors of length 1."""

    def __init__(self, tower: Vit) -> None:
        super().__init__()
        self.stored: dict[str, Stored] = {}
        patch, values, row = _as_int8(tower.patch.weight.detach().reshape(WIDTH, -1))
        shape = tower.patch.weight.shape
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.patch.weight.data = patch.reshape(shape)
        self.stored["patch.weight"] = Stored(values.reshape(shape), row)
        self.first, self.places, self.before, self.after = tower.first, tower.places, tower.before, tower.after
        self.blocks = nn.ModuleList()
        for number, block in enumerate(tower.blocks):
            made = nn.Module()
            made.norm1, made.norm2 = block.norm1, block.norm2
            for name in ("qk", "v", "out", "up", "down"):
                setattr(made, name, self._matrix(f"blocks.{number}.{name}.weight", getattr(block, name)))
            self.blocks.append(made)
        head, values, row = _as_int8(tower.head.weight.detach())
        self.stored["head.weight"] = Stored(values.T, row)
        self.head = Matrix(head, None)

    def _matrix(self, name: str, layer: CodedLinear) -> Matrix:
        codes, book, row = layer.finished()
        self.stored[name] = Stored(book.numpy(), row.numpy(), codes.numpy())
        return Matrix(unfolded(codes, book, row), layer.bias)

    def forward(self, pixel_values: Tensor) -> Tensor:
        patches = self.patch(pixel_values).flatten(2).transpose(1, 2)
        batch, tokens = patches.shape[0], self.places.shape[1]
        x = self.before(torch.cat([self.first.expand(batch, -1, -1), patches], 1) + self.places)
        for block in self.blocks:
            normed = block.norm1(x)
            heads = block.qk(normed).reshape(batch, tokens, 2, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
            values = block.v(normed).reshape(batch, tokens, HEADS, WIDTH // HEADS).transpose(1, 2)
            scores = (heads[0] * (WIDTH // HEADS) ** -0.5) @ heads[1].transpose(-1, -2)
            x = x + block.out((scores.softmax(-1) @ values).transpose(1, 2).reshape(batch, tokens, WIDTH))
            inner = block.up(block.norm2(x))
            x = x + block.down(inner * torch.sigmoid(1.702 * inner))
        vectors = self.head(self.after(x[:, 0]))
        return vectors / vectors.norm(dim=-1, keepdim=True)


class TextGraph(nn.Module):
    """MiniLM and the head over it as they are exported."""

    def __init__(self, model: MiniLM, head: Head, coded_head: dict[str, CodedLinear]) -> None:
        super().__init__()
        self.stored: dict[str, Stored] = {}
        self.model, self.head = model, head
        owners = [(layer, f"model.layers.{number}") for number, layer in enumerate(model.layers)]
        named = [(owner, f"{at}.{name}", name) for owner, at in owners for name in ("qkv", "out", "up", "down")]
        for owner, full, name in named:
            setattr(owner, name, self._matrix(full, getattr(owner, name)))
        for name, layer in coded_head.items():
            setattr(head, name, self._matrix(f"head.{name}", layer))

    def _matrix(self, name: str, layer: CodedLinear) -> Matrix:
        codes, book, row = layer.finished()
        self.stored[f"{name}.weight"] = Stored(book.numpy(), row.numpy(), codes.numpy())
        return Matrix(unfolded(codes, book, row), layer.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.head(self.model(input_ids, attention_mask))


def _as_int8(weight: Tensor) -> tuple[Tensor, NDArray[np.int8], NDArray[np.float32]]:
    """The rounded weight (out, in), its values and its rows' scales."""
    row = weight.abs().amax(1) / 127
    values = (weight / row[:, None]).round()
    return values * row[:, None], values.to(torch.int8).numpy(), row.numpy()


def exported(
    graph: nn.Module, inputs: tuple[Tensor, ...], names: list[str], output: str, path: Path
) -> onnx.ModelProto:
    axes = {
        name: {0: "batch"} | ({1: "tokens"} if tensor.ndim == 2 else {})
        for name, tensor in zip(names, inputs, strict=True)
    }
    torch.onnx.export(
        graph.eval(), inputs, str(path), input_names=names, output_names=[output],
        dynamic_axes=axes | {output: {0: "batch"}}, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    return onnx.load(path)


def with_codes(
    model: onnx.ModelProto, stored: dict[str, Stored], places: dict[str, tuple[str, int]], integer: bool
) -> None:
    """Replaces the weights that `places` names: weight -> (node, input) that reads it."""
    nodes = {node.name: node for node in model.graph.node}
    made: list[onnx.NodeProto] = []
    for name, weight in stored.items():
        node, position = places[name]
        output, parts = _unfolding(name, weight, model.graph.initializer, integer)
        nodes[node].input[position] = output
        made += parts
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(made + rest)
    _without_the_unread(model.graph)


def readers(model: onnx.ModelProto, stored: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Weight -> the (node, input) that reads it in a float graph."""
    wanted = set(stored)
    return {
        name: (node.name, position)
        for node in model.graph.node
        for position, name in enumerate(node.input)
        if name in wanted
    }


def _unfolding(name: str, weight: Stored, initialisers, integer: bool) -> tuple[str, list[onnx.NodeProto]]:
    base = name.removesuffix(".weight")
    made: list[onnx.NodeProto] = []

    def constant(suffix: str, array: NDArray[np.generic]) -> str:
        initialisers.append(numpy_helper.from_array(np.ascontiguousarray(array), f"{base}.{suffix}"))
        return f"{base}.{suffix}"

    def node(operation: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        made.append(helper.make_node(operation, inputs, [f"{base}.{suffix}"], f"{base}.{suffix}", **attributes))
        return f"{base}.{suffix}"

    if weight.codes is None:
        values, shape = constant("int8", weight.values), weight.values.shape
    else:
        numbers = node("Cast", [constant("codes", weight.codes.T)], "numbers", to=TensorProto.INT32)
        entries = node("Gather", [constant("book", weight.values), numbers], "entries", axis=0)
        ordered = node("Transpose", [entries], "ordered", perm=[0, 2, 1])
        shape = (weight.codes.shape[1] * weight.values.shape[1], weight.codes.shape[0])
        values = node("Reshape", [ordered, constant("shape", np.array(shape))], "int8")
    channel = 0 if len(shape) == 4 else 1
    if integer:
        zero = constant("zero", np.zeros(len(weight.row), np.int8))
        return node("DequantizeLinear", [values, constant("row", weight.row), zero], "float", axis=channel), made
    row = weight.row.reshape(-1, *[1] * (len(shape) - 1)) if channel == 0 else weight.row
    return node("Mul", [node("Cast", [values], "cast", to=TensorProto.FLOAT), constant("row", row)], "float"), made


def _without_the_unread(graph: onnx.GraphProto) -> None:
    outputs = {output.name for output in graph.output}
    while True:
        read = {name for node in graph.node for name in node.input} | outputs
        kept = [node for node in graph.node if any(name in read for name in node.output)]
        if len(kept) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(kept)
    kept_constants = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept_constants)
    del graph.value_info[:]


def beside(models: dict[Path, onnx.ModelProto], data: Path, least: int = 1024) -> None:
    """Saves graphs whose larger constants lie in one file, each once."""
    places: dict[bytes, tuple[int, int]] = {}
    content = bytearray()
    for path, model in models.items():
        for tensor in model.graph.initializer:
            raw = numpy_helper.to_array(tensor).tobytes()
            if len(raw) < least:
                continue
            if raw not in places:
                content.extend(b"\0" * (-len(content) % 64))
                places[raw] = (len(content), len(raw))
                content.extend(raw)
            for field in ("raw_data", "float_data", "int32_data", "int64_data"):
                tensor.ClearField(field)
            tensor.data_location = TensorProto.EXTERNAL
            del tensor.external_data[:]
            offset, length = places[raw]
            for key, value in (("location", data.name), ("offset", str(offset)), ("length", str(length))):
                tensor.external_data.add(key=key, value=value)
        onnx.save(model, path)
    data.write_bytes(bytes(content))
