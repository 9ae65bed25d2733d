"""int8 for OpenVINO: weights and what flows between them, calibrated by NNCF; saved as OpenVINO's own files.

A transformer has a few activations that 8 bits cannot hold: values a hundred times the others in a few channels. How
much of them is moved into the weights (SmoothQuant's alpha), and which of them stay float, is decided by measuring on
photos or texts that calibrate, never by the name of a layer.
"""

from __future__ import annotations

import importlib
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.engine.backends import usable_cores
from clipsearch.engine.quantize.feeds import Feeds
from clipsearch.engine.quantize.graphs import plain_graph, write_graph

Vectors = NDArray[np.float32]

# SmoothQuant's alpha, the share of an activation's range that its weights take over; and whether what reads the picture
# itself stays float, which costs some 6 % of the speed. In this order, until one is good enough; else the best of them.
WAYS = ((0.6, False), (0.6, True), (0.75, True))
_OF_TEXTS = ((0.6, False), (0.75, False))
ENOUGH = 0.997  # mean cosine from which on no further activation stays float
_JUDGES = 24  # inputs that decide
_LOOKED_AT = 8  # inputs whose activations are looked at
_SUSPECTS = 0.25  # share of the activations, those that 8 bits move most, that are tried as floats one by one
_LEAST_GAIN = 1e-4  # of the mean cosine; an activation that gives less is not worth its time


def to_int8(source: Path, target: Path, feeds: Sequence[Feeds], output: str) -> Iterator[str]:
    """Writes TARGET and its .bin, and tells what it does; `output` of the ONNX graph is what must stay as it is."""
    # First, for it keeps OpenVINO, and NNCF after it, from telling their maker of it.
    importlib.import_module("clipsearch.engine.backends.openvino")
    import openvino

    plain = target.with_suffix(".onnx")  # weights that are stored in fewer bits would be left as they are
    write_graph(plain_graph(source), plain)
    core = openvino.Core()
    judges = feeds[:_JUDGES]
    truth = vectors(core.read_model(plain), judges, output)
    best: tuple[float, Any] | None = None
    for alpha, spare_first in WAYS if _first_convolutions(core.read_model(plain)) else _OF_TEXTS:
        spared = ", first layer float" if spare_first else ""
        yield f"calibrating with {len(feeds)} inputs, SmoothQuant {alpha:g}{spared}"
        model = calibrated(core.read_model(plain), feeds, alpha, spare_first=spare_first)
        cosine = mean_cosine(vectors(model, judges, output), truth)
        if best is None or cosine > best[0]:
            best = cosine, model
        if cosine >= ENOUGH:
            break
    assert best is not None
    cosine, model = best
    if cosine < ENOUGH:
        yield f"looking for what 8 bits cannot hold: the mean cosine is {cosine:.4f}"
        leave_floats(model, judges, output, truth, ENOUGH)
    openvino.save_model(model, target, compress_to_fp16=True)
    for left in target.parent.glob(f"{plain.name}*"):
        left.unlink()


def calibrated(model: Any, feeds: Sequence[Feeds], alpha: float, *, spare_first: bool) -> Any:
    """The model in int8. `spare_first` leaves what reads the picture itself in float."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, AdvancedSmoothQuantParameters

    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(io.StringIO()):  # its progress bars; ours say what is done
        return nncf.quantize(
            model,
            nncf.Dataset(list(feeds)),
            subset_size=len(feeds),
            model_type=nncf.ModelType.TRANSFORMER,
            # 2 % of the work, and a quarter of the error where it was measured (docs/quantisation.md).
            ignored_scope=nncf.IgnoredScope(names=_first_convolutions(model) if spare_first else []),
            advanced_parameters=AdvancedQuantizationParameters(
                smooth_quant_alphas=AdvancedSmoothQuantParameters(matmul=alpha)
            ),
        )


def _first_convolutions(model: Any) -> list[str]:
    """Those that no other one comes before."""
    after: set[str] = set()
    first = []
    for node in model.get_ordered_ops():
        behind = any(value.get_node().get_friendly_name() in after for value in node.input_values())
        is_convolution = "Convolution" in node.get_type_name()
        if is_convolution and not behind:
            first.append(node.get_friendly_name())
        if is_convolution or behind:
            after.add(node.get_friendly_name())
    return first


def leave_floats(model: Any, judges: Sequence[Feeds], output: str, truth: Vectors, enough: float) -> list[str]:
    """Takes the roundings out that cost most, the worst first, until the mean cosine is enough; says which."""
    left: list[str] = []
    cosine = mean_cosine(vectors(model, judges, output), truth)
    gains = []
    for node in _suspects(model, judges):
        undo = _bypassed(node)
        gains.append((mean_cosine(vectors(model, judges, output), truth) - cosine, node))
        undo()
    for gain, node in sorted(gains, key=lambda pair: -pair[0]):
        if gain < _LEAST_GAIN or cosine >= enough:
            break
        _bypassed(node)
        left.append(node.get_friendly_name())
        cosine = mean_cosine(vectors(model, judges, output), truth)
    return left


def _suspects(model: Any, judges: Sequence[Feeds]) -> list[Any]:
    """The roundings that move what goes through them most, relative to its size."""
    import openvino

    rounding = [node for node in model.get_ordered_ops() if node.get_type_name() == "FakeQuantize"]
    nodes = [node for node in rounding if node.output(0).get_target_inputs()]  # nobody reads one that was taken out
    watched = openvino.Model(
        [port for node in nodes for port in (node.input_value(0), node.output(0))], model.get_parameters()
    )
    request = _compiled(watched).create_infer_request()
    moved = np.zeros(len(nodes))
    for feeds in judges[:_LOOKED_AT]:
        request.infer(feeds, share_inputs=True)
        for place in range(len(nodes)):
            before, after = (request.get_output_tensor(2 * place + one).data for one in (0, 1))
            moved[place] += float(np.square(after - before).sum() / max(float(np.square(before).sum()), 1e-12))
    order = np.argsort(-moved, kind="stable")
    return [nodes[place] for place in order[: max(1, round(_SUSPECTS * len(nodes)))]]


def _bypassed(node: Any) -> Callable[[], None]:
    """Whoever reads the rounded values reads the floats before them; returns what puts it back."""
    readers = list(node.output(0).get_target_inputs())
    for reader in readers:
        reader.replace_source_output(node.input_value(0))

    def undo() -> None:
        for reader in readers:
            reader.replace_source_output(node.output(0))

    return undo


def vectors(model: Any, feeds: Sequence[Feeds], output: str) -> Vectors:
    request = _compiled(model).create_infer_request()
    rows = [np.array(request.infer(one, share_inputs=True)[output], np.float32)[0] for one in feeds]
    return np.asarray(np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _compiled(model: Any) -> Any:
    import openvino

    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": usable_cores()}
    return openvino.Core().compile_model(model, "CPU", properties)


def mean_cosine(some: Vectors, others: Vectors) -> float:
    return float((some * others).sum(axis=1).mean())
