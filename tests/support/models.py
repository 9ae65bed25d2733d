"""Models of a few hundred kilobytes in the layouts that hubs have: real graphs with random weights.

Their vectors mean nothing, but depend on what goes in: unlike pictures and unlike texts get unlike vectors.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
WORDS = 49_408
_INNER = 8


def immich(folder: Path, *, size: int = 32, dim: int = 8, activation: str = "Erf", external: bool = False) -> Path:
    """immich-app's layout: batch 1, 77 tokens of int32."""
    _write(folder / "visual/model.onnx", _image_graph(size, dim, batch=1, names=("image", "embedding")), external)
    text = _text_graph(dim, batch=1, tokens=77, dtype=TensorProto.INT32, names=("text", "embedding"), op=activation)
    _write(folder / "textual/model.onnx", text, external)
    _json(folder / "config.json", {"embed_dim": dim, "vision_cfg": {"image_size": size}, "text_cfg": {
        "context_length": 77, "vocab_size": WORDS}})  # fmt: skip
    _json(folder / "visual/preprocess_cfg.json", {"size": [size, size], "mode": "RGB", "mean": CLIP_MEAN,
        "std": CLIP_STD, "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0})  # fmt: skip
    (folder / "visual/model.armnn").write_bytes(b"for another runtime")
    (folder / "README.md").write_text("---\nlicense: mit\n---\nA tiny model.\n")
    (folder / ".gitattributes").write_text("*.onnx filter=lfs\n")
    return folder


def transformers_js(folder: Path, *, size: int = 32, dim: int = 8, external: bool = False) -> Path:
    """The layout of Xenova's and onnx-community's models: any batch, any length, int64, more outputs than one."""
    image = _image_graph(size, dim, batch=None, names=("pixel_values", "image_embeds"))
    _write(folder / "onnx/vision_model.onnx", image, external)
    text = _text_graph(dim, batch=None, tokens=None, dtype=TensorProto.INT64, names=("input_ids", "text_embeds"))
    _write(folder / "onnx/text_model.onnx", text, external)
    (folder / "onnx/model.onnx").write_bytes(b"both towers in one, which nobody needs")
    _json(folder / "config.json", {"model_type": "clip", "projection_dim": dim,
        "text_config": {"model_type": "clip_text_model"}})  # fmt: skip
    _json(folder / "preprocessor_config.json", {"do_resize": True, "size": {"shortest_edge": size}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": size, "width": size}, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD})  # fmt: skip
    _json(folder / "tokenizer.json", {"version": "1.0"})
    _json(folder / "tokenizer_config.json", {"pad_token": "<|endoftext|>"})
    return folder


def siglip(folder: Path, *, size: int = 32, dim: int = 8, mask: bool = False) -> Path:
    """The same layout with a vocabulary of its own, which is always padded to 64 tokens and canonicalised before."""
    transformers_js(folder, size=size, dim=dim)
    path = folder / "onnx/text_model.onnx"
    if mask:
        model = onnx.load(path)
        model.graph.input.append(
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"])
        )
        onnx.save_model(model, path)
    _json(folder / "config.json", {"model_type": "siglip", "text_config": {"hidden_size": dim}})
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    processor |= {"size": {"height": size, "width": size}, "do_center_crop": False}
    _json(folder / "preprocessor_config.json", processor | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "dog": 4, "cat": 5, "city": 6, "coffee": 7}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="$0 </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    _json(folder / "tokenizer_config.json", {"pad_token": "</s>"})
    return folder


def _image_graph(size: int, dim: int, *, batch: int | None, names: tuple[str, str]) -> onnx.ModelProto:
    patch = size // 4
    weights = np.random.default_rng(1).standard_normal((48, dim)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", [names[0]], ["pooled"], kernel_shape=[patch, patch], strides=[patch, patch]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], [names[1]]),
    ]
    rows = batch or "batch"
    return _model(
        nodes,
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [rows, 3, size, size])],
        [helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [rows, dim])],
        {"weights": weights},
    )


def _text_graph(
    dim: int, *, batch: int | None, tokens: int | None, dtype: int, names: tuple[str, str], op: str = "Erf"
) -> onnx.ModelProto:
    random = np.random.default_rng(2)
    table = random.standard_normal((WORDS, _INNER)).astype(np.float16)
    table[:2] = 0  # padding adds nothing: 0 in CLIP, 1 in SigLIP
    axis = numpy_helper.from_array(np.array([1], np.int64))
    nodes = [
        helper.make_node("Constant", [], ["axis"], value=axis),
        helper.make_node("Gather", ["table", names[0]], ["rows"]),
        helper.make_node("Cast", ["rows"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["wide", "axis"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["sum", "weights"], ["x0"]),
        # As many activations as a small tower has.
        *(helper.make_node(op, [f"x{layer}"], [f"x{layer + 1}"]) for layer in range(3)),
        helper.make_node("Identity", ["x3"], [names[1]]),
    ]
    rows = batch or "batch"
    return _model(
        nodes,
        [helper.make_tensor_value_info(names[0], dtype, [rows, tokens or "tokens"])],
        [
            helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [rows, dim]),
            helper.make_tensor_value_info("wide", TensorProto.FLOAT, [rows, tokens or "tokens", _INNER]),
        ],
        {
            "table": table,
            "weights": random.standard_normal((_INNER, dim)).astype(np.float32) / 8,
        },
    )


def _model(nodes: list, inputs: list, outputs: list, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _write(path: Path, model: onnx.ModelProto, external: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(
        model,
        path,
        save_as_external_data=external,
        location=f"{path.name}_data" if external else None,
        size_threshold=0,
    )


def _json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def dynamic_int8(folder: Path, *, size: int = 32, dim: int = 16) -> Path:
    """A model folder whose image tower is quantised as it runs, by the range of the whole batch, as published "int8"
    graphs are. Its golden pictures have little contrast, so any mate makes them coarser."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from clipsearch.engine.cards import read_card
    from clipsearch.engine.towers import ImageTower, TextTower

    inside = 3 * size * size
    weights = np.random.default_rng(1).standard_normal((inside, dim)).astype(np.float32)
    port = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, size, size])
    nodes = [
        helper.make_node("Flatten", ["pixel_values"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["embeds"]),
    ]
    result = helper.make_tensor_value_info("embeds", TensorProto.FLOAT, ["batch", dim])
    _write(folder / "plain.onnx", _model(nodes, [port], [result], {"weights": weights}), external=False)
    quantize_dynamic(folder / "plain.onnx", folder / "image.onnx", weight_type=QuantType.QInt8)
    text = _text_graph(dim, batch=None, tokens=None, dtype=TensorProto.INT64, names=("input_ids", "embeds"))
    text.graph.output.pop()  # that of its words, which a tower has no use for
    _write(folder / "text.onnx", text, external=False)
    sums = {name: hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest() for name in ("image", "text")}
    (folder / "card.toml").write_text(CARD.format(dim=dim, size=size, **sums))
    card = read_card(folder)
    pixels = np.random.default_rng(4).integers(120, 136, (2, size, size, 3), np.uint8)
    texts = ["a dog", "a cat in the city"]
    vectors = {
        "image_vectors": np.concatenate([ImageTower(card).encode_pixels(one[None]) for one in pixels]),
        "text_vectors": TextTower(card).encode(texts).vectors,
    }
    np.savez(folder / "golden.npz", pixels=pixels, texts=np.array(texts), **vectors)
    return folder


CARD = """\
name = "tiny"
version = "1"
summary = "Random weights."
licence = "CC0-1.0"
dim = {dim}

[image]
size = {size}
resize = "shortest"
interpolation = "bicubic"
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]

[text]
tokenizer = "clip-bpe"
cleaning = "clip"
context = 77
padding = "longest"
pad_id = 0

[scoring]
kind = "softmax"
scale = 100.0

[variants.int8]
image = "image.onnx"
image_sha256 = "{image}"
text = "text.onnx"
text_sha256 = "{text}"
"""
