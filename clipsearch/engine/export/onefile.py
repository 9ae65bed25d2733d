"""An ONNX graph and its weights beside it -> one file, without holding the weights in memory.

`onnx.save_model` makes the whole file in memory, from a copy of the weights made before: four times their size. The
file is a protocol buffer, whose parts may be written one after the other once their sizes are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

# Fields of onnx.proto, each of the kind "so many bytes follow".
_GRAPH = 7  # of ModelProto
_INITIALIZER = 5  # of GraphProto
_RAW_DATA = 9  # of TensorProto
_BYTES = 2
_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class _Tensor:
    head: bytes  # all of it but its numbers
    start: int  # of the numbers in the file beside the graph
    length: int  # bytes


def merge(graph: Path, data: Path) -> None:
    """Takes the weights in `data` into `graph`; the former is gone then."""
    import onnx

    model = onnx.load(graph, load_external_data=False)
    tensors = []
    for place in reversed(range(len(model.graph.initializer))):  # backwards: what is taken out moves what follows
        if model.graph.initializer[place].data_location == onnx.TensorProto.EXTERNAL:
            tensors.append(_outside(model.graph.initializer.pop(place)))
    rest_of_graph = model.graph.SerializeToString()
    model.ClearField("graph")
    size = len(rest_of_graph) + sum(_framed(_INITIALIZER, _size(one)) for one in tensors)
    merged = graph.with_name(f"{graph.name}.merging")
    with data.open("rb") as weights, merged.open("wb") as file:
        file.write(model.SerializeToString())
        file.write(_head(_GRAPH, size))
        file.write(rest_of_graph)
        for one in tensors:
            file.write(_head(_INITIALIZER, _size(one)) + one.head + _head(_RAW_DATA, one.length))
            _copy(weights, one, file)
    merged.replace(graph)
    data.unlink()


def _outside(tensor: Any) -> _Tensor:
    where = {entry.key: entry.value for entry in tensor.external_data}
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    return _Tensor(tensor.SerializeToString(), int(where.get("offset", 0)), int(where["length"]))


def _size(tensor: _Tensor) -> int:
    return len(tensor.head) + _framed(_RAW_DATA, tensor.length)


def _framed(field: int, length: int) -> int:
    return len(_head(field, length)) + length


def _head(field: int, length: int) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(length)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _copy(source: BinaryIO, tensor: _Tensor, target: BinaryIO) -> None:
    source.seek(tensor.start)
    left = tensor.length
    while left:
        chunk = source.read(min(left, _CHUNK))
        if not chunk:
            raise EOFError(f"{source.name} ends within a tensor")
        target.write(chunk)
        left -= len(chunk)
