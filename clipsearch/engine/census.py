"""What a tower is made of, counted in its graph: parameters, multiplications, and the sizes that its shape tells.

OpenVINO opens the file, for it reads both kinds of graphs and works out every shape; nothing is compiled and nothing
is run. Only products are counted: matrix products, convolutions, attention. One multiplication with the addition behind
it is two operations (`FLOP_A_MAC`); sums, activations and norms are none. So counted, towers of the full sizes give
the 18.18, 14.78, 41.09 and 175.33 GFLOP of open_clip's docs/openclip_results.csv for RN50, ViT-B/32, B/16 and L/14.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from clipsearch.engine.backends import backend_of
from clipsearch.errors import ModelError

FLOP_A_MAC = 2  # a multiplication and the addition behind it

# Nodes that multiply and are not counted; a tower with one has no figure, rather than one that is too small.
_UNCOUNTED = ("Backprop", "Deformable", "BinaryConvolution", "LSTM", "GRU", "RNN", "Loop", "TensorIterator", "If")
# Kinds of numbers that weights have; shapes, places and token ids are wider integers.
_NUMBERS = ("f16", "bf16", "f32", "f64", "i8", "u8", "i4", "u4", "i2", "u2", "nf4", "f8e4m3", "f8e5m2", "f4e2m1")
_UNSEEN = -1e4  # float16's lowest is -65,504


@dataclass(frozen=True, slots=True)
class Census:
    """One tower, at the shape that was asked for."""

    parameters: int  # numbers in its weights, however many bits each has
    macs: dict[str, int]  # multiplications of one picture or text, by kind of node
    patch: int | None  # px, of a tower whose first convolution cuts the picture up
    width: int | None  # of the patches' vectors, or of the tokens'
    attentions: int  # one for each layer of a transformer
    heads: int | None  # of the first attention
    tokens: int | None  # that the first attention looks at
    vocabulary: int | None  # rows of the largest table

    @property
    def gflop(self) -> float:
        return FLOP_A_MAC * sum(self.macs.values()) / 1e9


class Tower:
    """A graph, read and not compiled. Raises ModelError for one that cannot be read."""

    def __init__(self, path: Path) -> None:
        backend_of("openvino")  # also keeps OpenVINO from telling its maker
        import openvino

        try:
            self._model = openvino.Core().read_model(path)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ModelError(f"{path.name} cannot be counted: {reason}", "Count another variant of it.") from error
        self._name = path.name

    def counted_picture(self, size: int) -> Census:
        """Of one picture, `size` px a side. Raises ModelError."""
        return self._counted(lambda rank: (1, 3, size, size) if rank == 4 else None)

    def counted_text(self, tokens: int) -> Census:
        """Of one text of so many tokens. Raises ModelError, also where the graph takes another number only."""
        return self._counted(lambda rank: (1, tokens) if rank == 2 else None)

    def takes_texts_of(self, tokens: int) -> bool:
        return all(port.get_partial_shape().compatible(_partial((1, tokens))) for port in self._model.inputs)

    def _counted(self, shape: Callable[[int], tuple[int, ...] | None]) -> Census:
        shapes = {}
        for port in self._model.inputs:
            wanted = shape(port.get_partial_shape().rank.get_length())
            if wanted is None or not port.get_partial_shape().compatible(_partial(wanted)):
                raise ModelError(f"{self._name} takes no input of the shape {wanted}.", "Ask for the shape it takes.")
            shapes[port.get_any_name()] = list(wanted)
        model = self._model.clone()  # its weights are shared; what was given a shape keeps it
        model.reshape(shapes)
        return _census(model, self._name)


def _partial(shape: tuple[int, ...]) -> Any:
    import openvino

    return openvino.PartialShape(list(shape))


def _census(model: Any, name: str) -> Census:
    nodes = model.get_ordered_ops()
    moving = _moving(nodes)
    working = [node for node in nodes if node.get_friendly_name() in moving]
    if odd := sorted({kind for node in working if any(part in (kind := _kind(node)) for part in _UNCOUNTED)}):
        raise ModelError(f"{name} has {', '.join(odd)}, which are not counted.", "Only towers without them are.")
    weights = {name: size for node in working for name, size in _weights(node, moving)}
    macs: Counter[str] = Counter()
    for node in working:
        if (count := _COUNTED.get(_kind(node))) is not None:
            macs[_kind(node)] += count(node)
    attention = next(((heads, tokens) for node in working for heads, tokens in _attended(node)), (None, None))
    patch, width = next((_patched(node) for node in working if "Convolution" in _kind(node)), (None, None))
    table = max((_shape(node.input(0)) for node in working if _is_table(node, moving)), default=None)
    return Census(
        parameters=sum(weights.values()),
        macs=dict(macs),
        patch=patch,
        width=table[1] if table else width,
        attentions=sum(1 for node in working for _ in _attended(node)),
        heads=attention[0],
        tokens=attention[1],
        vocabulary=table[0] if table else None,
    )


def _moving(nodes: list[Any]) -> set[str]:
    """Names of the nodes whose result depends on the input; all others are weights, and what is done to them."""
    moving: set[str] = set()
    for node in nodes:
        sources = (value.get_node().get_friendly_name() for value in node.input_values())
        if _kind(node) == "Parameter" or not moving.isdisjoint(sources):
            moving.add(node.get_friendly_name())
    return moving


def _weights(node: Any, moving: set[str]) -> Iterator[tuple[str, int]]:
    """Name and size of what the node reads that does not depend on the input, and is no shape and no single number.

    Taken where the input meets it: a weight of few bits with its scales and zero points is one weight, and so is
    one that is stored as f16 and widened. A vector is one each time it is read, for exporters keep equal ones once,
    and all scales of a model that was never trained are equal; a matrix is one however often it is read.
    """
    for place, value in enumerate(node.input_values()):
        name, shape = value.get_node().get_friendly_name(), tuple(value.get_shape()) if _is_fixed(value, moving) else ()
        if prod(shape) > 1 and _is_weight(value) and not _is_mask(value):
            yield (f"{name} in {node.get_friendly_name()}:{place}" if prod(shape) == max(shape) else name), prod(shape)


def _is_fixed(value: Any, moving: set[str]) -> bool:
    return value.get_node().get_friendly_name() not in moving


def _is_weight(value: Any) -> bool:
    """Also one of few bits that is widened to an integer, which integer products are made of."""
    node = value.get_node()
    if value.get_element_type().get_type_name() in _NUMBERS:
        return True
    return _kind(node) != "ShapeOf" and any(map(_is_weight, node.input_values()))


def _is_mask(value: Any) -> bool:
    """What attention adds where it must not look: above the diagonal a number below all others."""
    shape = value.get_shape()
    is_square = len(shape) > 1 and shape[-1] == shape[-2] and _kind(value.get_node()) == "Constant"
    return is_square and value.get_node().data[..., 0, -1].min() < _UNSEEN


# -- multiplications ------------------------------------------------------------------------------


def _matrix_product(node: Any) -> int:
    left = _shape(node.input(0))
    return prod(_shape(node.output(0))) * left[-2 if node.get_attributes()["transpose_a"] and len(left) > 1 else -1]


def _convolution(node: Any) -> int:
    return prod(_shape(node.output(0))) * prod(_shape(node.input(1))[1:])  # [out, in, rows, columns]


def _grouped_convolution(node: Any) -> int:
    return prod(_shape(node.output(0))) * prod(_shape(node.input(1))[2:])  # [groups, out, in, rows, columns]


def _attention(node: Any) -> int:
    query, key, value = (_shape(node.input(place)) for place in range(3))
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _einsum(node: Any) -> int:
    """Of two operands, every combination of letters is one multiplication; of one, there is nothing to multiply."""
    shapes = [_shape(one) for one in node.inputs()]
    if len(shapes) == 1:
        return 0
    operands = node.get_attributes()["equation"].replace(" ", "").partition("->")[0].split(",")
    if len(shapes) > 2 or any("." in letters for letters in operands):
        raise ModelError(f'The product "{",".join(operands)}" is not counted.', "Only products of two are.")
    pairs = (zip(letters, shape, strict=True) for letters, shape in zip(operands, shapes, strict=True))
    return prod({letter: size for one in pairs for letter, size in one}.values())


_COUNTED: dict[str, Callable[[Any], int]] = {
    "MatMul": _matrix_product,
    "Convolution": _convolution,
    "GroupConvolution": _grouped_convolution,
    "ScaledDotProductAttention": _attention,
    "Einsum": _einsum,
}


# -- the shape of a transformer -------------------------------------------------------------------


def _attended(node: Any) -> Iterator[tuple[int | None, int]]:
    """(heads, tokens) of an attention; nothing of another node."""
    if _kind(node) == "Softmax":
        shape = _shape(node.output(0))
        yield (shape[1] if len(shape) == 4 else None), shape[-1]
    elif _kind(node) == "ScaledDotProductAttention":
        shape = _shape(node.input(1))
        yield (shape[1] if len(shape) == 4 else None), shape[-2]


def _patched(node: Any) -> tuple[int | None, int | None]:
    """(px, width) of the convolution that cuts a picture into patches: they touch and do not overlap."""
    kernel = _shape(node.input(1))
    is_cut = _kind(node) == "Convolution" and tuple(node.get_attributes()["strides"]) == kernel[2:]
    return (kernel[2], kernel[0]) if is_cut and kernel[2] > 1 else (None, None)


def _is_table(node: Any, moving: set[str]) -> bool:
    """A lookup of rows by numbers that depend on the input."""
    return _kind(node) == "Gather" and _is_fixed(node.input_value(0), moving) and len(_shape(node.input(0))) == 2


def _kind(node: Any) -> str:
    name: str = node.get_type_name()
    return name


def _shape(port: Any) -> tuple[int, ...]:
    return tuple(port.get_shape())
