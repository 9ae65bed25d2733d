"""A graph without its first convolution and its last normalisation gives the same directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from clipsearch.engine.backends.bare import bare_graph
from clipsearch.engine.store import STARTER_FOLDER

SIDE, PATCH, DIM = 8, 4, 5
PIXELS = np.random.default_rng(0).standard_normal((3, 3, SIDE, SIDE)).astype(np.float32)


def a_tower(path: Path, *, end: str = "ReduceL2", bias: bool = True, **conv: object) -> Path:
    """Patches, their mean, and what makes the result unit, as exporters write it."""
    random = np.random.default_rng(1)
    weights = {
        "kernel": random.standard_normal((DIM, 3, PATCH, PATCH)).astype(np.float32),
        "bias": random.standard_normal(DIM).astype(np.float32),
        "least": np.float32(1e-12),
        "first": np.array([0, 1]),
        "second": np.array([1, 2]),
        "axes": np.array([2, 3]),
    }
    told = {"strides": [PATCH, PATCH], **conv}
    nodes = [
        helper.make_node("Conv", ["pixel_values", "kernel", *(["bias"] if bias else [])], ["patches"], **told),
        helper.make_node("GlobalAveragePool", ["patches"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Slice", ["patches", "first", "second", "axes"], ["corner"]),  # where a patch is counts too
        helper.make_node("Flatten", ["corner"], ["there"]),
        helper.make_node("Add", ["flat", "there"], ["embed"]),
    ]
    if end == "ReduceL2":
        nodes += [
            helper.make_node("ReduceL2", ["embed"], ["length"], axes=[1], keepdims=1),
            helper.make_node("Clip", ["length", "least"], ["clipped"]),
            helper.make_node("Shape", ["embed"], ["shape"]),
            helper.make_node("Expand", ["clipped", "shape"], ["lengths"]),
            helper.make_node("Div", ["embed", "lengths"], ["image_embeds"]),
        ]
    elif end == "LpNormalization":
        nodes.append(helper.make_node("LpNormalization", ["embed"], ["image_embeds"], axis=1))
    else:  # divided, but not by its length
        nodes.append(helper.make_node("Div", ["embed", "bias"], ["image_embeds"]))
    graph = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["batch", DIM])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def answers(source: str | bytes, pixels: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(source, options).run(["image_embeds"], {"pixel_values": pixels})[0]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def kinds(model: bytes) -> set[str]:
    return {node.op_type for node in onnx.load_from_string(model).graph.node}


@pytest.mark.parametrize("end", ["ReduceL2", "LpNormalization"])
@pytest.mark.parametrize("bias", [True, False])
def test_what_the_host_does_instead_gives_the_same_directions(tmp_path: Path, end: str, bias: bool) -> None:
    """Patches in another order would be another picture, with a unit vector as good as any."""
    path = a_tower(tmp_path / "image.onnx", end=end, bias=bias)
    bare = bare_graph(path)
    assert (bare.patch, bare.picture) == (PATCH, (None, 3, SIDE, SIDE))
    assert not kinds(bare.model) & {"Conv", "ReduceL2", "LpNormalization", "Div", "Shape", "Expand"}
    found = answers(bare.model, bare.fed({"pixel_values": PIXELS})["pixel_values"])
    np.testing.assert_allclose(unit(found), answers(str(path), PIXELS), atol=1e-6)
    assert not np.allclose(np.linalg.norm(found, axis=1), 1)  # nothing in the graph makes it unit any more


@pytest.mark.parametrize("conv", [{"strides": [2, 2]}, {"pads": [0, 0, 4, 4]}], ids=["overlapping patches", "padded"])
def test_a_convolution_that_is_no_cutting_stays(tmp_path: Path, conv: dict[str, object]) -> None:
    """A product with patches is another number then."""
    path = a_tower(tmp_path / "image.onnx", **conv)
    bare = bare_graph(path)
    assert bare.patch == 0 and "Conv" in kinds(bare.model)
    np.testing.assert_allclose(unit(answers(bare.model, PIXELS)), answers(str(path), PIXELS), atol=1e-6)


def test_a_division_by_something_else_stays(tmp_path: Path) -> None:
    path = a_tower(tmp_path / "image.onnx", end="Div")
    bare = bare_graph(path)
    found = answers(bare.model, bare.fed({"pixel_values": PIXELS})["pixel_values"])
    np.testing.assert_allclose(found, answers(str(path), PIXELS), rtol=1e-4)


def test_the_starters_towers_lose_their_end_only() -> None:
    """Graphs as an exporter writes them: the text tower has lengths in its middle too."""
    for tower in ("image", "text"):
        whole = onnx.load(STARTER_FOLDER / f"{tower}.onnx").graph
        bare = bare_graph(STARTER_FOLDER / f"{tower}.onnx")
        left = onnx.load_from_string(bare.model).graph
        lengths = [sum(node.op_type == "ReduceL2" for node in graph.node) for graph in (whole, left)]
        assert lengths[0] - lengths[1] == 1 and bare.patch == 0
        assert left.output[0].name == whole.output[0].name
