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
from tower import HEADS, PATCH, WIDTH, Vit, quick_gelu

OPSET = 17
OUTLYING = 3.0
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Stored:
    """A weight as its file holds it; or a part of one, some of its outputs."""

    values: NDArray[np.int8] | NDArray[np.float32]  # the book (256, d); without codes the weight as the graph takes it
    row: NDArray[np.float32]
    codes: NDArray[np.uint8] | None = None


Parts = dict[str, list[Stored]]  # a weight's name -> its parts, of which the outputs stand side by side


class Matrix(nn.Module):
    """x @ weight + bias with the weight (in, out), which keeps its name in the graph."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.T.contiguous())
        self.bias = nn.Parameter(bias.detach().clone()) if bias is not None else None

    def forward(self, x: Tensor) -> Tensor:
        product = x @ self.weight
        return product if self.bias is None else product + self.bias


class Apart(Matrix):
    """A matrix of which a few inputs are multiplied apart, in floats, as LLM.int8() does (Dettmers et al. 2022).

    They are 5 to 20 times as large as all others, and one int8 scale for all would leave the others 20 steps.
    """

    def __init__(self, whole: Matrix, channels: list[int]) -> None:
        nn.Module.__init__(self)
        self.weight, self.bias = whole.weight, whole.bias
        self.channels = torch.tensor(channels)
        usual = torch.ones(len(whole.weight))
        usual[self.channels] = 0
        self.usual = nn.Parameter(usual)
        self.few = nn.Parameter(whole.weight[self.channels].clone())

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.usual) + x[..., self.channels] @ self.few


class ImageGraph(nn.Module):
    """The tower as it is exported: no fused attention, vectors of length 1."""

    def __init__(self, tower: Vit, outliers: list[list[int]]) -> None:
        """`outliers` of each block's last matrix, as `outlying` finds them."""
        super().__init__()
        self.stored: Parts = {}
        patch, values, row = _as_int8(tower.patch.weight.detach().reshape(WIDTH, -1))
        shape = tower.patch.weight.shape
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.patch.weight.data = patch.reshape(shape)
        self.stored["patch.weight"] = [Stored(values.reshape(shape), row)]
        self.first, self.places, self.before, self.after = tower.first, tower.places, tower.before, tower.after
        self.blocks = nn.ModuleList()
        for number, block in enumerate(tower.blocks):
            made = nn.Module()
            made.norm1, made.norm2 = block.norm1, block.norm2
            layers = {"qkv": [block.qk, block.v], "out": [block.out], "up": [block.up], "down": [block.down]}
            for name, parts in layers.items():
                weight = f"blocks.{number}.{name}.weight"
                self.stored[weight] = [stored_codes(layer) for layer in parts]
                setattr(made, name, matrix(parts))
            if outliers[number]:
                made.down = Apart(made.down, outliers[number])
            self.blocks.append(made)
        head, values, row = _as_int8(tower.head.weight.detach())
        self.stored["head.weight"] = [Stored(values.T, row)]
        self.head = Matrix(head, None)

    def forward(self, pixel_values: Tensor) -> Tensor:
        patches = self.patch(pixel_values).flatten(2).transpose(1, 2)
        batch, tokens = patches.shape[0], self.places.shape[1]
        x = self.before(torch.cat([self.first.expand(batch, -1, -1), patches], 1) + self.places)
        for block in self.blocks:
            qkv = block.qkv(block.norm1(x)).reshape(batch, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
            queries = qkv[0] * (WIDTH // HEADS) ** -0.5
            if block is self.blocks[-1]:  # the vector is read from the first token alone
                queries, x = queries[:, :, :1], x[:, :1]
            scores = queries @ qkv[1].transpose(-1, -2)
            x = x + block.out((scores.softmax(-1) @ qkv[2]).transpose(1, 2).reshape(batch, -1, WIDTH))
            inner = block.up(block.norm2(x))
            x = x + block.down(inner * torch.sigmoid(1.702 * inner))
        vectors = self.head(self.after(x[:, 0]))
        return vectors / vectors.norm(dim=-1, keepdim=True)


@torch.no_grad()
def outlying(tower: Vit, pixels: Tensor) -> list[list[int]]:
    """For each block the inputs of its last matrix that reach OUTLYING times what 9,999 of 10,000 stay below."""
    found = []
    x = tower.embedded(pixels)
    for block in tower.blocks:
        x = x + block.out(block.attended(block.norm1(x)))
        inner = quick_gelu(block.up(block.norm2(x)))
        x = x + block.down(inner)
        sizes = inner.abs()
        usual = sizes.flatten().kthvalue(int(0.9999 * sizes.numel())).values
        found.append((sizes.flatten(0, 1).amax(0) > OUTLYING * usual).nonzero().flatten().tolist())
    return found


class TextGraph(nn.Module):
    """MiniLM and the head over it as they are exported."""

    def __init__(self, model: MiniLM, head: Head, coded_head: dict[str, CodedLinear]) -> None:
        super().__init__()
        self.stored: Parts = {}
        self.model, self.head = model, head
        owners = [(layer, f"model.layers.{number}") for number, layer in enumerate(model.layers)]
        named = [(owner, f"{at}.{name}", name) for owner, at in owners for name in ("qkv", "out", "up", "down")]
        for owner, full, name in named:
            layer = getattr(owner, name)
            self.stored[f"{full}.weight"] = [stored_codes(layer)]
            setattr(owner, name, matrix([layer]))
        for name, layer in coded_head.items():
            self.stored[f"head.{name}.weight"] = [stored_codes(layer)]
            setattr(head, name, matrix([layer]))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.head(self.model(input_ids, attention_mask))


def stored_codes(layer: CodedLinear) -> Stored:
    codes, book, row = (part.numpy() for part in layer.finished())
    return Stored(book, row, codes)


def matrix(layers: list[CodedLinear]) -> Matrix:
    return Matrix(torch.cat([unfolded(*layer.finished()) for layer in layers]), torch.cat([one.bias for one in layers]))


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


def with_codes(model: onnx.ModelProto, stored: Parts, places: dict[str, tuple[str, int]], integer: bool) -> None:
    """Replaces the weights that `places` names: weight -> (node, input) that reads it."""
    nodes = {node.name: node for node in model.graph.node}
    made: list[onnx.NodeProto] = []
    for name, parts in stored.items():
        node, position = places[name]
        nodes[node].input[position] = _unfolding(name.removesuffix(".weight"), parts, model.graph, made, integer)
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


def _unfolding(
    base: str, parts: list[Stored], graph: onnx.GraphProto, made: list[onnx.NodeProto], integer: bool
) -> str:
    """Adds the constants and nodes of a weight; the name of what they end in."""

    def constant(suffix: str, array: NDArray[np.generic]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), f"{base}.{suffix}"))
        return f"{base}.{suffix}"

    def node(operation: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        made.append(helper.make_node(operation, inputs, [f"{base}.{suffix}"], f"{base}.{suffix}", **attributes))
        return f"{base}.{suffix}"

    def unfolded_part(number: int, part: Stored) -> str:
        if part.codes is None:
            return constant("values", part.values)
        codes = constant(f"{number}.codes", part.codes.T)
        numbers = node("Cast", [codes], f"{number}.numbers", to=TensorProto.INT32)
        book = constant(f"{number}.book", part.values)
        entries = node("Gather", [book, numbers], f"{number}.entries", axis=0)
        ordered = node("Transpose", [entries], f"{number}.ordered", perm=[0, 2, 1])
        shape = np.array([part.codes.shape[1] * part.values.shape[1], part.codes.shape[0]])
        return node("Reshape", [ordered, constant(f"{number}.shape", shape)], f"{number}.values")

    pieces = [unfolded_part(number, part) for number, part in enumerate(parts)]
    values = pieces[0] if len(pieces) == 1 else node("Concat", pieces, "values", axis=1)
    row = np.concatenate([part.row for part in parts])
    is_kernel = parts[0].values.ndim == 4  # (out, in, height, width), where a matrix is (in, out)
    if integer:
        zero = constant("zero", np.zeros(len(row), np.int8))
        return node("DequantizeLinear", [values, constant("row", row), zero], "float", axis=0 if is_kernel else 1)
    if parts[0].values.dtype == np.int8:
        values = node("Cast", [values], "cast", to=TensorProto.FLOAT)
    return node("Mul", [values, constant("row", row.reshape(-1, 1, 1, 1) if is_kernel else row)], "float")


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
