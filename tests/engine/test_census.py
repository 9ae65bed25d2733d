"""Parameters and multiplications of a graph, compared with what was counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from clipsearch.engine.census import Tower
from clipsearch.errors import ModelError

Arrays = dict[str, np.ndarray]


def written(folder: Path, nodes: list, weights: Arrays, shape: list, kind: int = TensorProto.FLOAT) -> Tower:
    """A graph that reads `x` and gives `y`."""
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        initializers,
    )
    file = folder / "tiny.onnx"
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return Tower(file)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_a_vision_transformer_is_counted_as_on_paper(tmp_path: Path) -> None:
    """A figure of work that is off by what attention takes would rank models wrongly."""
    nodes = [
        helper.make_node("Conv", ["x", "patches"], ["grid"], strides=[8, 8]),  # 4 x 4 patches of width 6
        helper.make_node("Reshape", ["grid", "rows"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "q"], ["query"]),
        helper.make_node("Transpose", ["t"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["query", "keys"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"]),
        helper.make_node("MatMul", ["shares", "t"], ["mixed"]),
        helper.make_node("ReduceMean", ["mixed"], ["pooled"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["pooled", "out", "bias"], ["y"], transB=1),
    ]
    weights = {
        "patches": ones(6, 3, 8, 8), "rows": np.array([0, 6, -1]), "q": ones(6, 6), "out": ones(5, 6), "bias": ones(5),
    }  # fmt: skip
    found = written(tmp_path, nodes, weights, ["n", 3, 32, 32]).counted_picture(32)
    assert found.parameters == 6 * 3 * 64 + 36 + 30 + 5
    assert found.macs["Convolution"] == 16 * 6 * 3 * 64
    assert found.macs["MatMul"] == 16 * 6 * 6 + 2 * 16 * 16 * 6 + 6 * 5
    assert found.gflop == 2e-9 * sum(found.macs.values())
    assert (found.patch, found.width, found.tokens, found.attentions) == (8, 6, 16, 1)


def test_a_grouped_convolution_costs_a_share_of_a_whole_one(tmp_path: Path) -> None:
    """Mobile towers are made of them: counted as whole ones they would cost a hundred times too much."""
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["y"], group=3, pads=[1, 1, 1, 1])]
    found = written(tmp_path, nodes, {"kernel": ones(6, 1, 3, 3)}, [1, 3, 10, 10]).counted_picture(10)
    assert sum(found.macs.values()) == 100 * 6 * 9
    assert found.patch is None  # its windows overlap


def test_a_text_costs_what_its_own_length_costs(tmp_path: Path) -> None:
    """7 tokens and 77 are one graph; the cost of the one is not that of the other."""
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["t"]),
        helper.make_node("MatMul", ["t", "w"], ["wide"]),
        helper.make_node("ReduceMean", ["wide"], ["y"], axes=[1], keepdims=0),
    ]
    weights = {"table": ones(100, 4), "w": ones(4, 9)}
    tower = written(tmp_path, nodes, weights, ["n", "length"], TensorProto.INT64)
    long, short = tower.counted_text(77), tower.counted_text(7)
    assert (sum(long.macs.values()), sum(short.macs.values())) == (77 * 36, 7 * 36)
    assert long.parameters == short.parameters == 436
    assert (long.vocabulary, long.width) == (100, 4)


def test_an_einsum_is_every_combination_of_its_letters(tmp_path: Path) -> None:
    nodes = [helper.make_node("Einsum", ["x", "w"], ["y"], equation="nchw,cd->nd")]
    found = written(tmp_path, nodes, {"w": ones(3, 7)}, ["n", 3, 4, 4]).counted_picture(4)
    assert sum(found.macs.values()) == 3 * 4 * 4 * 7


def test_what_is_stored_in_few_bits_is_as_many_parameters(tmp_path: Path) -> None:
    """Scales and zero points would make an int8 model larger than the one it was made from."""
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["wide"], axis=1),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ]
    weights = {
        "w": np.ones((16, 9), np.int8), "scale": ones(9), "zero": np.arange(9).astype(np.int8),
    }  # fmt: skip
    tower = written(tmp_path, nodes, weights, [1, 3, 16, 16])
    assert tower.counted_picture(16).parameters == 16 * 9


def test_what_an_exporter_keeps_once_counts_as_often_as_it_is_meant(tmp_path: Path) -> None:
    """Scales that were never trained are equal and stored once: ViT-B/32 would have 151.1 of its 151.3 million."""
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["a"]),
        helper.make_node("Add", ["a", "scale"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["c"]),
        helper.make_node("MatMul", ["c", "w"], ["d"]),
        helper.make_node("Add", ["d", "mask"], ["e"]),
        helper.make_node("Mul", ["e", "half"], ["y"]),
    ]
    mask = np.triu(np.full((8, 8), -np.inf, np.float32), 1)
    weights = {"scale": ones(8), "w": ones(8, 8), "mask": mask, "half": np.array(0.5, np.float32)}
    assert written(tmp_path, nodes, weights, [1, 3, 8, 8]).counted_picture(8).parameters == 2 * 8 + 64


def test_products_of_weights_alone_are_no_work(tmp_path: Path) -> None:
    """They are done once, when the model opens."""
    nodes = [helper.make_node("MatMul", ["a", "b"], ["w"]), helper.make_node("MatMul", ["x", "w"], ["y"])]
    found = written(tmp_path, nodes, {"a": ones(8, 50), "b": ones(50, 8)}, [1, 3, 8, 8]).counted_picture(8)
    assert sum(found.macs.values()) == 3 * 8 * 8 * 8
    assert found.parameters == 64


def test_what_cannot_be_counted_is_refused(tmp_path: Path) -> None:
    """A figure without the recurrent part would look like a fast model."""
    nodes = [helper.make_node("ConvTranspose", ["x", "w"], ["y"])]
    with pytest.raises(ModelError, match="ConvolutionBackpropData, which are not counted"):
        written(tmp_path, nodes, {"w": ones(3, 1, 2, 2)}, [1, 3, 8, 8]).counted_picture(8)


def test_a_graph_of_one_length_has_no_figure_for_another(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
    tower = written(tmp_path, nodes, {"table": ones(5, 4)}, [1, 16], TensorProto.INT64)
    assert not tower.takes_texts_of(7)
    with pytest.raises(ModelError, match=r"tiny\.onnx takes no input of the shape \(1, 7\)"):
        tower.counted_text(7)


def test_a_file_that_is_no_graph_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "image.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"image\.onnx cannot be counted"):
        Tower(tmp_path / "image.onnx")
