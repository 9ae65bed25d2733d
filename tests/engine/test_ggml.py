"""GGML for real, where its plug-in is installed: it asks for an older onnxruntime, so the usual set of tests has none.

python -m venv ggml && ggml/bin/pip install -e '.[ggml]' pytest pytest-timeout hypothesis
ggml/bin/pytest tests/engine/test_ggml.py
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from clipsearch.engine.backends import default_way, open_session
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.errors import ModelError

if importlib.util.find_spec("onnxruntime_ggml") is None:
    pytest.skip("the plug-in is not installed: pip install 'clipsearch[ggml]'", allow_module_level=True)

SIDE, PATCH, WIDTH, DIM = 32, 8, 16, 12


def a_small_vit(path: Path) -> Path:
    """The beginning and the end of a vision transformer, as PyTorch exports them."""
    random = np.random.default_rng(0)
    weights = {
        "kernel": random.standard_normal((WIDTH, 3, PATCH, PATCH)).astype(np.float32) / 8,
        "rows": np.array([0, WIDTH, (SIDE // PATCH) ** 2]),
        "scale": np.ones(WIDTH, np.float32),
        "shift": random.standard_normal(WIDTH).astype(np.float32),
        "projection": random.standard_normal((WIDTH, DIM)).astype(np.float32),
        "least": np.float32(1e-12),
    }
    nodes = [
        helper.make_node("Conv", ["pixel_values", "kernel"], ["patches"], strides=[PATCH, PATCH]),
        helper.make_node("Reshape", ["patches", "rows"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("LayerNormalization", ["tokens", "scale", "shift"], ["normal"], axis=-1),
        helper.make_node("ReduceMean", ["normal"], ["pooled"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["pooled", "projection"], ["embed"]),
        helper.make_node("ReduceL2", ["embed"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Max", ["length", "least"], ["lengths"]),
        helper.make_node("Div", ["embed", "lengths"], ["image_embeds"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["batch", DIM])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize(("name", "least"), [("onnxruntime-ggml", 0.9999), ("onnxruntime-ggml-f16", 0.999)])
def test_all_of_an_image_tower_runs_there_and_means_the_same(tmp_path: Path, name: str, least: float) -> None:
    """It claims a whole graph or nothing, and says nothing of it."""
    path = a_small_vit(tmp_path / "image.onnx")
    pixels = np.random.default_rng(1).standard_normal((3, 3, SIDE, SIDE)).astype(np.float32)
    wanted = open_session(path, default_way("onnxruntime")).run({"pixel_values": pixels}, "image_embeds")
    session = open_session(path, default_way(name, 2))
    assert list(session.placed) == ["ggml"] and session.placed.total() >= 6
    assert session.inputs[0].shape == (None, 3, SIDE, SIDE)  # pictures go in, whatever the graph takes now
    found = session.run({"pixel_values": pixels}, "image_embeds")
    cosines = (found * wanted).sum(axis=1) / np.linalg.norm(found, axis=1)
    assert (cosines >= least).all()


def test_what_it_cannot_run_is_refused() -> None:
    """The CPU would do all the work under its name."""
    with pytest.raises(ModelError, match="took none of its"):
        open_session(STARTER_FOLDER / "text.onnx", default_way("onnxruntime-ggml"))
    with pytest.raises(ModelError, match="there and does not work"):
        open_session(STARTER_FOLDER / "image.onnx", default_way("onnxruntime-ggml"))
