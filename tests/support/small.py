"""A model of a hundred kilobytes that has what quantisation looks for: a convolution, norms, matrices, a table."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from clipsearch.engine.cards import CARD, ImageInput, ModelCard, Scoring, TextInput, TowerFile, Variant, read_card
from clipsearch.engine.cardtext import card_text

SIZE, DIM, WIDTH = 32, 32, 64
VOCABULARY = [f"word{number}" for number in range(64)]


def small_model(folder: Path) -> ModelCard:
    """The card of a model that is written into `folder`."""
    folder.mkdir(parents=True)
    towers = {"image.onnx": _image_graph(), "text.onnx": _text_graph()}
    for name, model in towers.items():
        onnx.save_model(model, folder / name)
    tokenizer = Tokenizer(WordLevel({"?": 0} | {word: i + 1 for i, word in enumerate(VOCABULARY)}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    image, text = (TowerFile(name, _digest(folder / name)) for name in towers)
    card = ModelCard(
        name=folder.name, version="1", summary="A small one.", licence="MIT", caution=None, dim=DIM,
        image=ImageInput(SIZE, "shortest", "bicubic", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        text=TextInput("tokenizer.json", "none", 16, "longest", 0),
        scoring=Scoring("softmax", 100.0), variants=(Variant("fp32", image, text),), measured={}, folder=folder,
        files={"tokenizer.json": _digest(folder / "tokenizer.json")},
    )  # fmt: skip
    (folder / CARD).write_text(card_text(card), "utf-8")
    return read_card(folder)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Unlike one another: a few large patches each."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(SIZE // 4, axis=1).repeat(SIZE // 4, axis=2))


def texts(count: int, seed: int = 0) -> tuple[str, ...]:
    random = np.random.default_rng(seed)
    return tuple(" ".join(random.choice(VOCABULARY, random.integers(1, 9))) for _ in range(count))


def _image_graph() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["pixels", "patches"], ["grid"], name="patches", kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["grid", "shape"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["tokens"], perm=[0, 2, 1]),
        *_block("tokens"),
    ]
    return _model(nodes, ("pixels", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE]), 1, {
        "patches": _random((WIDTH, 3, 8, 8), 3), "shape": np.array([0, WIDTH, -1], np.int64),
    })  # fmt: skip


def _text_graph() -> onnx.ModelProto:
    nodes = [helper.make_node("Gather", ["table", "ids"], ["tokens"], name="table"), *_block("tokens")]
    table = _random((len(VOCABULARY) + 1, WIDTH), 4) * 8
    return _model(nodes, ("ids", TensorProto.INT64, ["batch", "length"]), 2, {"table": table})


def _block(tokens: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("LayerNormalization", [tokens, "scale", "bias"], ["normed"], name="norm"),
        helper.make_node("MatMul", ["normed", "up"], ["wide"], name="up"),
        helper.make_node("Sigmoid", ["wide"], ["gate"]),
        helper.make_node("Mul", ["wide", "gate"], ["active"]),
        helper.make_node("MatMul", ["active", "down"], ["narrow"], name="down"),
        helper.make_node("ReduceMean", ["narrow"], ["embedding"], axes=[1], keepdims=0),
    ]


def _model(nodes: list, port: tuple, seed: int, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    weights = weights | {
        "scale": np.ones(WIDTH, np.float32), "bias": np.zeros(WIDTH, np.float32),
        "up": _random((WIDTH, 2 * WIDTH), seed), "down": _random((2 * WIDTH, DIM), seed + 7),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info(*port)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIM])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _random(shape: tuple[int, ...], seed: int) -> np.ndarray:
    inside = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
    return (np.random.default_rng(seed).standard_normal(shape) / np.sqrt(inside)).astype(np.float32)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
