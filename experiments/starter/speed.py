"""The starter's speed: images/s beside another tower's float32 graph, and milliseconds a text query, on two threads.

    python experiments/starter/speed.py BASELINE.onnx [--rounds 4]

BASELINE is an image tower with one input, such as CLIP ViT-B/32's. Graphs take turns at batches of 16; the best round
of each counts, so that a busy moment costs one round. Prints one JSON line a runtime and graph.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import openvino

STARTER = Path(__file__).parents[2] / "clipsearch" / "starter"
BATCH, THREADS = 16, 2
Run = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    graphs = {"baseline": arguments.baseline, "float32": STARTER / "image.onnx", "int8": STARTER / "image-int8.onnx"}
    query = {"input_ids": np.full((1, 9), 2000), "attention_mask": np.ones((1, 9), np.int64)}
    for runtime, opened in (("onnxruntime", with_onnxruntime), ("openvino", with_openvino)):
        runs = {name: opened(path, {}) for name, path in graphs.items()}
        runs["text"] = opened(STARTER / "text.onnx", query)
        rounds = [{name: timed(run) for name, run in runs.items()} for _ in range(arguments.rounds)]
        seconds = {name: min(one[name] for one in rounds) for name in runs}
        for name in graphs:
            ratio = round(seconds["baseline"] / seconds[name], 2)
            print(json.dumps({"runtime": runtime, "image": name, "per_s": round(BATCH / seconds[name], 1), "x": ratio}))
        print(json.dumps({"runtime": runtime, "text_ms": round(seconds["text"] * 1e3, 1)}), flush=True)


def with_onnxruntime(path: Path, feeds: dict[str, np.ndarray]) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = feeds or pictures(session.get_inputs()[0].name, session.get_inputs()[0].shape[-1])
    session.run(None, given)
    return lambda: session.run(None, given)


def with_openvino(path: Path, feeds: dict[str, np.ndarray]) -> Run:
    hints = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0, "INFERENCE_NUM_THREADS": THREADS}
    model = openvino.Core().read_model(path)
    name, shape = model.inputs[0].any_name, model.inputs[0].partial_shape
    given = feeds or pictures(name, shape[3].get_length())
    if not feeds:
        model.reshape({name: list(given[name].shape)})
    compiled = openvino.compile_model(model, "CPU", hints)
    compiled(given)
    return lambda: compiled(given)


def pictures(name: str, size: int) -> dict[str, np.ndarray]:
    return {name: np.random.default_rng(0).standard_normal((BATCH, 3, size, size)).astype(np.float32)}


def timed(run: Run) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
