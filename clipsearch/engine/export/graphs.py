"""LoadedModel -> files: ONNX, OpenVINO's IR, or programs of torch.export. Writes them; whether they are right is
proof.py's to say.

Every graph takes any batch, gives unit vectors, and holds one LayerNormalization for each layer norm, which TensorRT
needs no plug-in for. PyTorch's newer exporter writes it: of ViT-B/32's image tower it makes 390 nodes and takes 1.5
times the checkpoint, the older one 980 nodes and 3.2 times (docs/export.md).
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.functional import normalize

from clipsearch.engine.cards import Scoring
from clipsearch.engine.export.loaded import LoadedModel
from clipsearch.engine.export.onefile import merge
from clipsearch.errors import ModelError

Role = Literal["image", "text", "combined"]
Format = Literal["onnx", "openvino", "torch"]

PIXELS, IDS = "pixel_values", "input_ids"
IMAGE_VECTORS, TEXT_VECTORS = "image_embeds", "text_embeds"
# As transformers names and orders them.
COMBINED = ("logits_per_image", "logits_per_text", TEXT_VECTORS, IMAGE_VECTORS)

DEFAULT_OPSET = 18
OPSETS = (18, 23)  # the first with everything the exporter speaks, and the last that it was tried with
_ATTENTION = 23  # the first opset with an operator for it
PROGRAM = ".pt2"
_SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml", "torch": PROGRAM}
# A protocol buffer ends at 2 GiB; what is not weights takes less than a thirtieth of this.
ONE_FILE = 2**31 - 2**26  # bytes of weights
_EXAMPLES = 2  # a batch of 1 would be taken for a constant


@dataclass(frozen=True, slots=True)
class Graph:
    """A file that was written, and the files beside it that hold weights of it."""

    role: Role
    path: Path
    data: tuple[Path, ...]
    nodes: int
    layer_norms: int  # nodes; one for each layer norm of the towers

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in (self.path, *self.data))


class ImageGraph(nn.Module):
    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return normalize(self.tower(pixel_values), dim=-1)


class TextGraph(nn.Module):
    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return normalize(self.tower(input_ids), dim=-1)


class CombinedGraph(nn.Module):
    """Both towers and what their cosines mean; scale and bias are numbers of the graph."""

    def __init__(self, image: nn.Module, text: nn.Module, scoring: Scoring) -> None:
        super().__init__()
        self.image, self.text, self.scoring = image, text, scoring

    def forward(self, pixel_values: torch.Tensor, input_ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        images, texts = normalize(self.image(pixel_values), dim=-1), normalize(self.text(input_ids), dim=-1)
        logits = self.scoring.scale * (images @ texts.T)
        if self.scoring.kind == "sigmoid":
            logits = logits + self.scoring.bias
        return logits, logits.T, texts, images


def module_of(model: LoadedModel, role: Role) -> nn.Module:
    """What the graph of this role has to equal."""
    if role == "image":
        return ImageGraph(model.image).eval()
    if role == "text":
        return TextGraph(model.text).eval()
    return CombinedGraph(model.image, model.text, model.scoring).eval()


def outputs_of(role: Role) -> tuple[str, ...]:
    return {"image": (IMAGE_VECTORS,), "text": (TEXT_VECTORS,), "combined": COMBINED}[role]


def layer_norms(module: nn.Module) -> int:
    """How many there are to be found in the graph."""
    return sum(isinstance(one, nn.LayerNorm) for one in module.modules())


def written(model: LoadedModel, role: Role, folder: Path, format_: Format, opset: int) -> Graph:
    """The graph of a role in `folder`. Raises ModelError."""
    with exporting():
        try:
            program = _program(model, role)
            graph = (
                _saved_program(program, role, folder)
                if format_ == "torch"
                else _saved_onnx(program, role, folder, opset, is_causal=model.is_causal)
            )
        except Exception as error:  # the exporter raises whatever the model's own code leads it to
            if isinstance(error, (ModelError, OSError)):
                raise
            raise ModelError(
                f"PyTorch cannot make a graph of {model.name}'s {role} tower: {_first_line(error)}",
                "Try another --opset; if that does not help, report the model.",
            ) from error
    if graph.layer_norms != (count := layer_norms(module_of(model, role))):
        raise ModelError(
            f"The {role} graph of {model.name} holds {graph.layer_norms} LayerNormalization nodes for its {count} "
            "layer norms; TensorRT would need a plug-in for the others.",
            "Try another --opset, and report the model.",
        )
    return _converted(graph) if format_ == "openvino" else graph


@contextmanager
def exporting() -> Iterator[None]:
    """Without the fused attention that no graph can hold (pytorch#143107), gradients, and the exporter's chatter."""
    fast = torch.backends.mha.get_fastpath_enabled()
    voice = logging.getLogger("torch.onnx")
    level = voice.level
    torch.backends.mha.set_fastpath_enabled(False)
    voice.setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        voice.setLevel(level)


def _program(model: LoadedModel, role: Role) -> torch.export.ExportedProgram:
    side, context = model.image_input.size, model.text_input.context
    pixels = torch.zeros(_EXAMPLES, 3, side, side)
    batch = torch.export.Dim("batch")
    length = min(context, 7)
    if model.is_causal:
        ids, tokens = torch.ones(_EXAMPLES, length, dtype=torch.int64), torch.export.Dim("tokens", min=2, max=context)
        sizes: dict[int, Any] = {1: tokens}
    else:
        ids, sizes = torch.ones(_EXAMPLES, context, dtype=torch.int64), {}
    if role == "image":
        feeds: tuple[torch.Tensor, ...] = (pixels,)
        shapes: dict[str, dict[int, Any]] = {PIXELS: {0: batch}}
    elif role == "text":
        feeds, shapes = (ids,), {IDS: {0: batch, **sizes}}
    else:
        # As many texts as images would make the exporter believe that it must be so.
        feeds = (pixels, torch.cat([ids, ids[:1]]))
        shapes = {PIXELS: {0: batch}, IDS: {0: torch.export.Dim("texts"), **sizes}}
    program = torch.export.export(module_of(model, role), feeds, dynamic_shapes=shapes)
    for node in program.graph.nodes:  # where on this machine the code lies that a node comes from
        node.meta.pop("stack_trace", None)
    return program


def _saved_program(program: torch.export.ExportedProgram, role: Role, folder: Path) -> Graph:
    path = folder / f"{role}{PROGRAM}"
    torch.export.save(program, path)
    norms = sum(node.target is torch.ops.aten.layer_norm.default for node in program.graph.nodes)
    return Graph(role, path, (), len(program.graph.nodes), norms)


def _saved_onnx(
    program: torch.export.ExportedProgram, role: Role, folder: Path, opset: int, *, is_causal: bool
) -> Graph:
    import onnx_ir

    sizes: dict[str, dict[int, str]] = {PIXELS: {0: "batch"}, IDS: {0: "texts" if role == "combined" else "batch"}}
    if is_causal:
        sizes[IDS][1] = "tokens"
    inputs = {"image": (PIXELS,), "text": (IDS,), "combined": (PIXELS, IDS)}[role]
    exported = torch.onnx.export(
        program,
        opset_version=opset,
        dynamo=True,
        input_names=inputs,
        output_names=outputs_of(role),
        dynamic_shapes={name: sizes[name] for name in inputs},  # their names in the graph
        custom_translation_table=_plain_attention() if opset < _ATTENTION else None,
        optimize=False,
        verbose=False,
    )
    assert exported is not None
    model = exported.model
    weights = list(model.graph.initializers.values())
    exported.optimize()
    if model.opset_imports[""] != opset:
        raise ModelError(
            f"The graph came out in opset {model.opset_imports['']} and not in {opset}.",
            f"Take the default: --opset {DEFAULT_OPSET}",
        )
    _strip(model)
    path = folder / f"{role}{_SUFFIXES['onnx']}"
    beside = path.with_name(f"{path.name}.data")
    onnx_ir.save(model, path, external_data=beside.name)
    for value in (*weights, *model.graph.initializers.values()):
        value.const_value = None  # the exporter keeps its last graphs, which need not keep the weights
    if fits := beside.stat().st_size <= ONE_FILE:
        merge(path, beside)
    kinds = [node.op_type for node in model.graph]
    return Graph(role, path, () if fits else (beside,), len(kinds), kinds.count("LayerNormalization"))


def _strip(model: Any) -> None:
    """Takes out where in whose Python files each node comes from: it triples the graph, and is nobody's business."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


def _plain_attention() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Attention in six nodes, where the exporter's own reckons sizes that are known, in 16."""
    from onnxscript import opset18 as op

    def attention(
        query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
        scale: float | None = None, enable_gqa: bool = False,
    ) -> Any:  # fmt: skip
        if is_causal or enable_gqa or (attn_mask is not None and attn_mask.dtype != query.dtype):
            raise NotImplementedError("attention that makes its own mask, chooses by one, or shares its keys")
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        axes = [*range(len(query.shape) - 2), len(query.shape) - 1, len(query.shape) - 2]
        scores = op.MatMul(op.Mul(query, op.Constant(value_float=factor)), op.Transpose(key, perm=axes))
        if attn_mask is not None:
            scores = op.Add(scores, attn_mask)
        return op.MatMul(op.Softmax(scores, axis=-1), value)

    return {torch.ops.aten.scaled_dot_product_attention.default: attention}


def _converted(graph: Graph) -> Graph:
    """The same in OpenVINO's format, in float32; the ONNX files are gone."""
    import clipsearch.engine.backends.openvino  # noqa: F401, I001  # first: it keeps telemetry out of the next line
    import openvino

    path = graph.path.with_suffix(_SUFFIXES["openvino"])
    try:
        model = openvino.convert_model(str(graph.path))
        openvino.save_model(model, str(path), compress_to_fp16=False)
    except Exception as error:  # the runtime raises RuntimeError and others
        raise ModelError(
            f"OpenVINO cannot convert the {graph.role} graph: {_first_line(error)}", "Export ONNX: OpenVINO opens it."
        ) from error
    for old in (graph.path, *graph.data):
        old.unlink()
    nodes = model.get_ordered_ops()
    norms = sum(one.get_type_name() == "MVN" for one in nodes)
    return Graph(graph.role, path, (path.with_suffix(".bin"),), len(nodes), norms)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
