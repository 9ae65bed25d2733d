"""Node by node: where a backend or a variant first computes something else than the reference does.

Every result inside of the graph is made an output. The reference is the model's first variant on ONNX Runtime's CPU
with its optimisations off; beside it runs what is asked for, on the same picture or text. Results are handed over as
one row of numbers, as much as fits into memory at a time, so any backend can be asked through its one method.

To show a result is to keep a runtime from fusing across it. So the whole tower is compared too, as it is: where that
differs and no node does, a fusion is at fault.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.backends import Session, Way, open_session, unoptimised_session
from clipsearch.engine.cards import ModelCard, TowerFile, Variant
from clipsearch.engine.choosing.candidates import Candidate, variant_of
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.tokenize import TextTokenizer
from clipsearch.errors import ModelError, SystemFault

Tower = Literal["image", "text"]
TOWERS: tuple[Tower, ...] = ("image", "text")

_TEXT = "two dogs on a beach"
_WORST = 5
_MOST_NUMBERS = 32 << 20  # held at once of each side: 128 MB
_MASKED = 1e30  # what attention adds where it must not look; its distance says nothing
_QUANTISED = ("Dequantize", "Integer", "NBits", "QLinear")  # in the names of operators
_VALUES, _SHAPES = "clipsearch_values", "clipsearch_shapes"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a result may be off: length of the difference by length of the reference's. What scales a result
    wrongly leaves its cosine at 1, and single numbers are far off in any arithmetic of fewer bits."""

    relative: float
    cosine: float  # least, of the whole tower


EXACT = Tolerance(1e-3, 0.9999)  # float32, which differs by the order of its sums
COARSE = Tolerance(0.1, 0.99)  # fewer bits: each node is off by a hundredth, and says nothing by that


@dataclass(frozen=True, slots=True)
class NodeResult:
    node: str
    op: str
    shape: tuple[int, ...]
    cosine: float
    largest: float  # difference of two numbers
    relative: float  # see Tolerance


@dataclass(frozen=True, slots=True)
class LayerReport:
    tower: Tower
    nodes: int  # compared
    tolerance: Tolerance
    first: NodeResult | None  # beyond the tolerance, in the order of the graph
    worst: tuple[NodeResult, ...]
    whole: float  # cosine of the towers' vectors, each as it is used

    @property
    def is_fused_wrong(self) -> bool:
        return self.first is None and self.whole < self.tolerance.cosine


@dataclass(frozen=True, slots=True)
class _Shown:
    """A result that both graphs have."""

    tensor: str
    node: str
    op: str


def compared_layers(card: ModelCard, tower: Tower, candidate: Candidate) -> LayerReport:
    """The candidate's tower beside the reference's. Raises ModelError."""
    variant = variant_of(card, candidate.variant)
    reference = _Graph(card.folder, _file(card.reference, tower))
    other = reference if variant == card.reference else _Graph(card.folder, _file(variant, tower))
    is_exact = candidate.way.arithmetic == "f32" and not reference.is_quantised and not other.is_quantised
    tolerance = EXACT if is_exact else COARSE
    shown = [one for one in reference.shown if one.tensor in other.tensors]
    if not shown:
        raise ModelError(
            f"The {tower} towers of {card.reference.name} and {variant.name} have no node of the same name.",
            "Only variants that were made from the same graph can be compared node by node.",
        )
    results = list(_results(card, reference, other, shown, candidate.way))
    beyond = (one for one in results if not one.relative <= tolerance.relative)
    worst = sorted(results, key=lambda one: (-one.relative, one.cosine))[:_WORST]
    whole = _whole(card, tower, candidate)
    return LayerReport(tower, len(results), tolerance, next(beyond, None), tuple(worst), whole)


# -- the graph -------------------------------------------------------------------------------------


class _Graph:
    """An ONNX graph without the weights beside it, and copies of it that show what is inside."""

    def __init__(self, folder: Path, file: TowerFile) -> None:
        onnx = _onnx()
        self._path = folder / file.file
        if self._path.suffix != ".onnx":
            raise ModelError(f"{self._path.name} is no ONNX graph.", "Nodes can be compared in ONNX graphs only.")
        try:
            self._model = onnx.load(self._path, load_external_data=False)
        except Exception as error:  # onnx raises what protobuf and the disk raise
            raise ModelError(f"{self._path} cannot be read: {error}", "Fetch the model again.") from error
        # Copies of a graph whose weights lie beside it must lie there too.
        self._beside = folder if file.data else None

    @property
    def tensors(self) -> set[str]:
        return {one.tensor for one in self.shown}

    @property
    def is_quantised(self) -> bool:
        """Its weights have fewer bits; runtimes then take the freedom to compute in fewer bits too."""
        return any(part in node.op_type for node in self._model.graph.node for part in _QUANTISED)

    @property
    def shown(self) -> list[_Shown]:
        """What depends on the input, in order; a constant is the same on every backend."""
        weights = {one.name for one in self._model.graph.initializer}
        moving = {one.name for one in self._model.graph.input if one.name not in weights}
        found = []
        for number, node in enumerate(self._model.graph.node):
            if moving.isdisjoint(node.input):
                continue
            moving.update(node.output)
            name = node.name or f"node {number}"
            found += [_Shown(tensor, name, node.op_type) for tensor in node.output if tensor]
        return found

    @contextmanager
    def showing(self, shown: Iterable[_Shown], what: str) -> Iterator[Path]:
        """A copy on the disk with one output: these results' numbers in one row, or their shapes, a -1 before each."""
        onnx = _onnx()
        graph, helper, kinds = self._model.graph, onnx.helper, onnx.TensorProto
        nodes, weights = len(graph.node), len(graph.initializer)
        graph.initializer.append(helper.make_tensor(f"{what}.-1", kinds.INT64, [1], [-1]))
        rows: list[str] = []
        for number, one in enumerate(shown):
            cast, row = f"{what}.{number}.cast", f"{what}.{number}"
            if what == _SHAPES:
                graph.node.append(helper.make_node("Shape", [one.tensor], [row]))
                rows += [f"{what}.-1", row]
            else:
                graph.node.append(helper.make_node("Cast", [one.tensor], [cast], to=kinds.FLOAT))
                graph.node.append(helper.make_node("Reshape", [cast, f"{what}.-1"], [row]))
                rows.append(row)
        graph.node.append(helper.make_node("Concat", rows, [what], axis=0))
        kind = kinds.INT64 if what == _SHAPES else kinds.FLOAT
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info(what, kind, [None]))
        try:
            descriptor, name = tempfile.mkstemp(".onnx", "layers-", self._beside)
            os.close(descriptor)
            try:
                onnx.save_model(self._model, name)
                yield Path(name)
            finally:
                os.unlink(name)
        except OSError as error:
            raise SystemFault(
                f"No copy of {self._path} can be written ({error.strerror}).", "Free some space."
            ) from error
        finally:
            del graph.node[nodes:], graph.initializer[weights:]


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ModelError(
            "To look inside of a graph needs the package onnx, which is not installed.", "pip install onnx"
        ) from error
    return onnx


# -- running and comparing -------------------------------------------------------------------------


def _results(card: ModelCard, reference: _Graph, other: _Graph, shown: list[_Shown], way: Way) -> Iterator[NodeResult]:
    row = _ran(card, reference, shown, _SHAPES, None)
    # A -1 before each.
    shapes = [tuple(map(int, part[1:])) for part in np.split(row, np.flatnonzero(row == -1)) if len(part)]
    sizes = [prod(shape) for shape in shapes]
    for part in _parts(sizes):
        some = shown[part]
        expected, found = (_ran(card, graph, some, _VALUES, how) for graph, how in ((reference, None), (other, way)))
        if len(expected) != len(found):
            raise ModelError(
                f"The results of {some[0].node} to {some[-1].node} have other shapes than the reference's.",
                "Only variants that were made from the same graph can be compared node by node.",
            )
        ends = np.cumsum(sizes[part])[:-1]
        for one, shape, left, right in zip(
            some, shapes[part], np.split(found, ends), np.split(expected, ends), strict=True
        ):
            yield _compared(one, shape, left, right)


def _parts(sizes: list[int]) -> Iterator[slice]:
    """Runs of results that fit into memory together; one that is larger than that comes alone."""
    start = held = 0
    for number, size in enumerate(sizes):
        if held and held + size > _MOST_NUMBERS:
            yield slice(start, number)
            start, held = number, 0
        held += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def _ran(card: ModelCard, graph: _Graph, shown: list[_Shown], what: str, way: Way | None) -> NDArray[np.float32]:
    """`way` None is the reference's."""
    with graph.showing(shown, what) as path:
        session = open_session(path, way) if way else unoptimised_session(path)
        return session.run(_feeds(card, session), what)


def _feeds(card: ModelCard, session: Session) -> Mapping[str, NDArray[np.generic]]:
    """One picture, or one text."""
    feeds: dict[str, NDArray[np.generic]] = {}
    for port in session.inputs:
        rows = port.shape[0] or 1
        if len(port.shape) == 4:
            array: NDArray[np.generic] = Preprocess(card.image).tensor(_picture(card.image.size))
        else:
            tokens = TextTokenizer(card.folder, card.text).encode([_TEXT], length=port.shape[1])
            array = tokens.mask if "mask" in port.name else tokens.ids
        feeds[port.name] = np.repeat(array, rows, axis=0).astype(port.dtype)
    return feeds


def _picture(size: int) -> NDArray[np.uint8]:
    """Noise over a slope: everything in it differs from everything else."""
    noise = np.random.default_rng(0).integers(0, 128, (1, size, size, 3))
    return (noise + np.linspace(0, 127, size)[None, :, None, None]).astype(np.uint8)


def _compared(
    shown: _Shown, shape: tuple[int, ...], found: NDArray[np.float32], expected: NDArray[np.float32]
) -> NodeResult:
    seen = np.abs(expected) < _MASKED
    left, right = found[seen].astype(np.float64), expected[seen].astype(np.float64)
    if not np.isfinite(left).all():
        return NodeResult(shown.node, shown.op, shape, 0.0, math.inf, math.inf)
    difference = left - right
    largest = float(np.abs(difference).max(initial=0.0))
    length, off = float(np.linalg.norm(right)), float(np.linalg.norm(difference))
    lengths = length * float(np.linalg.norm(left))
    cosine = float(left @ right) / lengths if lengths else float(largest == 0)
    relative = off / length if length else (math.inf if off else 0.0)
    return NodeResult(shown.node, shown.op, shape, min(1.0, cosine), largest, relative)


def _whole(card: ModelCard, tower: Tower, candidate: Candidate) -> float:
    """Cosine of the reference's vector with the candidate's, each graph as it stands; 0 for what is no vector."""
    reference = unoptimised_session(card.folder / _file(card.reference, tower).file)
    other = open_session(card.folder / _file(variant_of(card, candidate.variant), tower).file, candidate.way)
    expected, found = (_vector(card, session) for session in (reference, other))
    lengths = float(np.linalg.norm(expected) * np.linalg.norm(found))
    return min(1.0, float(expected @ found) / lengths) if 0 < lengths < math.inf else 0.0


def _vector(card: ModelCard, session: Session) -> NDArray[np.float64]:
    output = next(port for port in session.outputs if len(port.shape) == 2 and port.shape[1] in (None, card.dim))
    vector: NDArray[np.float64] = session.run(_feeds(card, session), output.name)[0].astype(np.float64)
    return vector


def _file(variant: Variant, tower: Tower) -> TowerFile:
    return variant.image if tower == "image" else variant.text
