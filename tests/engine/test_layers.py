"""Which node goes astray: a planted one is named, on every backend, and where nothing is wrong nothing is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from clipsearch.engine import layers
from clipsearch.engine.backends import Way
from clipsearch.engine.cards import ImageInput, ModelCard, Scoring, TextInput, TowerFile, Variant
from clipsearch.engine.cardtext import card_text
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.layers import LayerReport, compared_layers
from clipsearch.engine.pulling.sources import file_digest
from clipsearch.errors import Exit, ModelError
from tests.cli.program import Program

SIZE, WIDTH, LAYERS = 16, 8, 4
BACKENDS = ["onnxruntime", "openvino"]


def image_graph(weights: list[np.ndarray], names: str = "layer") -> onnx.ModelProto:
    """Four layers of MatMul and Tanh over a flattened picture."""
    nodes, before = [helper.make_node("Flatten", ["pixels"], ["flat"], name="flatten")], "flat"
    for number in range(LAYERS):
        linear, after = f"{names}.{number}.linear", f"{names}.{number}"
        nodes.append(helper.make_node("MatMul", [before, f"weight.{number}"], [linear], name=f"{linear}/MatMul"))
        nodes.append(helper.make_node("Tanh", [linear], [after], name=f"{after}/Tanh"))
        before = after
    nodes.append(helper.make_node("Identity", [before], ["vectors"], name="out"))
    return _model(nodes, ("pixels", TensorProto.FLOAT, ["n", 3, SIZE, SIZE]), weights)


def text_graph() -> onnx.ModelProto:
    table = np.random.default_rng(1).standard_normal((49_408, WIDTH)).astype(np.float16)
    nodes = [
        helper.make_node("Gather", ["weight.0", "ids"], ["rows"], name="table"),
        helper.make_node("Cast", ["rows"], ["wide"], to=TensorProto.FLOAT, name="wide"),
        helper.make_node("ReduceMean", ["wide"], ["vectors"], axes=[1], keepdims=0, name="mean"),
    ]
    return _model(nodes, ("ids", TensorProto.INT64, ["n", "tokens"]), [table])


def _model(nodes: list, given: tuple[str, int, list], weights: list[np.ndarray]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*given)],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", WIDTH])],
        [numpy_helper.from_array(array, f"weight.{number}") for number, array in enumerate(weights)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def random_weights() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    first = random.standard_normal((3 * SIZE * SIZE, WIDTH)) / SIZE
    return [array.astype(np.float32) for array in (first, *random.standard_normal((LAYERS - 1, WIDTH, WIDTH)))]


def installed(folder: Path, other: onnx.ModelProto, *, external: bool = False) -> ModelCard:
    """A model with two variants: `right`, and `other` as its image tower."""
    folder.mkdir(parents=True, exist_ok=True)
    variants = []
    onnx.save_model(text_graph(), folder / "text.onnx")
    text = TowerFile("text.onnx", file_digest(folder / "text.onnx"))
    for name, model in (("right", image_graph(random_weights())), ("other", other)):
        file, data = f"{name}.onnx", f"{name}.onnx.data"
        path = folder / file
        onnx.save_model(model, path, save_as_external_data=external, location=data, size_threshold=0)
        beside = ((data, file_digest(folder / data)),) if external else ()
        variants.append(Variant(name, TowerFile(file, file_digest(path), beside), text))
    card = ModelCard(
        "tiny", "1", "A tiny model.", "MIT", None, WIDTH,
        ImageInput(SIZE, "shortest", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        TextInput("clip-bpe", "clip", 77, "longest", 0), Scoring("softmax", 100.0), tuple(variants), {}, folder,
    )  # fmt: skip
    (folder / "card.toml").write_text(card_text(card))
    return card


def compared(card: ModelCard, backend: str = "onnxruntime", variant: str = "other") -> LayerReport:
    return compared_layers(card, "image", Candidate(Way(backend), variant))


def wrong_weights(layer: int, *, factor: float = 1.0, spoilt: float = 0.0) -> list[np.ndarray]:
    weights = random_weights()
    weights[layer] *= np.float32(factor)
    weights[layer][0, 0] += np.float32(spoilt)
    return weights


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wrong", [{"factor": 1.01}, {"spoilt": 0.5}, {"spoilt": float("nan")}], ids=str)
def test_a_planted_wrong_weight_is_found_at_its_node(tmp_path: Path, backend: str, wrong: dict[str, float]) -> None:
    """Who must find by hand where a conversion went wrong gives up, or blames the wrong node. Scaling alone leaves
    every cosine at 1."""
    report = compared(installed(tmp_path, image_graph(wrong_weights(2, **wrong))), backend)
    assert report.first is not None
    assert (report.first.node, report.first.op, report.first.shape) == ("layer.2.linear/MatMul", "MatMul", (1, WIDTH))
    assert report.nodes == 2 + 2 * LAYERS
    assert report.worst[0].relative >= report.first.relative > report.tolerance.relative
    assert [one.relative for one in report.worst] == sorted((one.relative for one in report.worst), reverse=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_nothing_is_wrong_no_node_differs(tmp_path: Path, backend: str) -> None:
    """A check that cries at rounding is a check nobody runs."""
    card = installed(tmp_path, image_graph(random_weights()))
    report = compared(card, backend)
    assert report.first is None and not report.is_fused_wrong
    assert report.whole > 0.999999 and report.nodes == 2 + 2 * LAYERS and len(report.worst) == 5
    assert compared_layers(card, "text", Candidate(Way(backend), "right")).first is None


def test_a_wrong_operator_is_found_too(tmp_path: Path) -> None:
    """Weights are not all that a converter can get wrong: GELU for QuickGELU is the classic."""
    model = image_graph(random_weights())
    next(node for node in model.graph.node if node.name == "layer.1/Tanh").op_type = "Sigmoid"
    first = compared(installed(tmp_path, model)).first
    assert first is not None and first.node == "layer.1/Tanh"


def test_results_too_large_for_memory_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All results of a large tower at once are gigabytes."""
    card = installed(tmp_path, image_graph(wrong_weights(2, factor=1.5)))
    at_once = compared(card)
    monkeypatch.setattr(layers, "_MOST_NUMBERS", 2 * WIDTH)
    assert compared(card) == at_once


def test_weights_beside_the_graph_are_found_and_nothing_is_left_behind(tmp_path: Path) -> None:
    """Graphs above 2 GB keep their weights in a file beside them, which a copy elsewhere would not see."""
    card = installed(tmp_path, image_graph(wrong_weights(3, factor=2)), external=True)
    before = sorted(tmp_path.iterdir())
    first = compared(card).first
    assert first is not None and first.node == "layer.3.linear/MatMul"
    assert sorted(tmp_path.iterdir()) == before


def test_a_whole_that_differs_though_no_node_does_is_a_fusion_at_fault(tmp_path: Path) -> None:
    """A result that is shown is not fused away: the sum of good nodes would acquit a runtime that fuses wrongly."""
    report = compared(installed(tmp_path, image_graph(random_weights())))
    assert replace(report, whole=0.9).is_fused_wrong


def test_graphs_without_a_common_node_are_not_compared(tmp_path: Path) -> None:
    """Two exporters name their nodes differently; to say that nothing differs would be a lie."""
    other = image_graph(random_weights(), names="block")
    other.graph.node[0].output[0] = other.graph.node[1].input[0] = "another"
    other.graph.node[-1].output[0] = other.graph.output[0].name = "result"
    with pytest.raises(ModelError, match="no node of the same name"):
        compared(installed(tmp_path, other))


def test_the_command_names_the_node_and_ends_with_4(tmp_path: Path) -> None:
    """A script that checks an export must learn of it from the exit code."""
    program = Program(tmp_path)
    installed(tmp_path / "models" / "tiny", image_graph(wrong_weights(1, factor=1.1)))
    outcome = program("model", "verify", "tiny", "--layers", "--variant", "other")
    assert outcome.code == Exit.MODEL and "goes astray at the node layer.1.linear/MatMul" in outcome.stderr
    assert "the first node that differs by more than 0.1%" in outcome.stdout.decode()
    good = program("model", "verify", "tiny", "--layers", "--json")
    assert good.code == Exit.DONE
    assert [(row["tower"], row["first"], row["variant"]) for row in json.loads(good.stdout)] == [
        ("image", None, "right"),
        ("text", None, "right"),
    ]
    assert program("model", "verify", "tiny", "--json").code == Exit.USAGE
    assert program("model", "verify", "tiny", "--layers", "--variant", "nope").code == Exit.USAGE
