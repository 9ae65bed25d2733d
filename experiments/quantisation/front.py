"""What 8 bits cost a real image tower: for each way to quantise it, how far its vectors move and how fast it is.

    python experiments/quantisation/front.py VISION.onnx --calibrate DIR --photos DIR [--dynamic INT8.onnx]

CLIP's preprocessing at 224 px is meant. Prints one JSON line for each way: mean and least cosine with the fp32 vectors
of the photos in `--photos`, which calibrate nothing, and images a second beside ONNX Runtime fp32 and OpenVINO f32.
Rounds of all of them alternate, and the fastest round counts, for all else is the machine's other work.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime

importlib.import_module("clipsearch.engine.backends.openvino")
import openvino  # noqa: E402

from clipsearch.decoding.workers import DecodeWorkers  # noqa: E402
from clipsearch.engine.cards import ImageInput  # noqa: E402
from clipsearch.engine.preprocess import Preprocess  # noqa: E402
from clipsearch.engine.quantize.activations import calibrated, leave_floats, vectors  # noqa: E402
from clipsearch.engine.quantize.weights import to_blocks  # noqa: E402
from clipsearch.photos import photos_below  # noqa: E402
from clipsearch.types import Decoded  # noqa: E402

PREPARE = Preprocess(
    ImageInput(224, "shortest", "bicubic", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
)
THREADS, BATCH, ROUNDS = 2, 4, 8
Run = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tower", type=Path)
    parser.add_argument("--calibrate", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--dynamic", type=Path, help="a published dynamic int8 graph of the same tower")
    parser.add_argument("--count", type=int, default=100, help="photos that calibrate")
    arguments = parser.parse_args()
    calibrating, held = pixels(arguments.calibrate)[: arguments.count], PREPARE.tensor(pixels(arguments.photos))
    session = onnxruntime.InferenceSession(str(arguments.tower))
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name
    base = {"onnxruntime fp32": with_onnxruntime(arguments.tower, name, output)}
    core = openvino.Core()
    base["openvino fp32"] = with_openvino(core.read_model(arguments.tower), name, output, "f32")
    truth = unit(base["openvino fp32"], held)
    print(json.dumps({"calibrating": len(calibrating), "held out": len(held), "threads": THREADS}), flush=True)
    feeds = [{name: one[None]} for one in PREPARE.tensor(calibrating)]
    for title, run in ways(arguments, core, name, output, feeds):
        cosines = (unit(run, held) * truth).sum(axis=1)
        alone = unit(run, held[:8], 1)
        times = rounds({**base, title: run}, held[:BATCH])
        row = {
            "way": title,
            "mean": round(float(cosines.mean()), 5),
            "least": round(float(cosines.min()), 4),
            "with mates": round(float((alone * unit(run, held[:8], 8)).sum(axis=1).min()), 5),
            **{f"x {other}": round(times[other] / times[title], 2) for other in base},
        }
        print(json.dumps(row), flush=True)


def ways(
    arguments: argparse.Namespace, core: openvino.Core, name: str, output: str, feeds: list[dict[str, np.ndarray]]
) -> Iterator[tuple[str, Run]]:
    judges = feeds[:24]
    truth = vectors(core.read_model(arguments.tower), judges, output)
    for alpha, spared in ((0.95, False), (0.95, True), (0.75, True), (0.6, True)):
        model = calibrated(core.read_model(arguments.tower), feeds, alpha, spare_first=spared)
        title = f"openvino int8, alpha {alpha:g}{', first convolution float' if spared else ''}"
        yield title, with_openvino(model, name, output, "f32")
        for enough in (0.997, 0.998) if alpha == 0.6 else ():
            left = leave_floats(model, judges, output, truth, enough)
            for arithmetic in ("f32", "bf16"):
                run = with_openvino(model, name, output, arithmetic)
                yield f"{title}, {len(left)} more activations float (to {enough:g}), the rest {arithmetic}", run
    yield "openvino bf16", with_openvino(core.read_model(arguments.tower), name, output, "bf16")
    if arguments.dynamic:
        yield "onnxruntime int8, dynamic, as published", with_onnxruntime(arguments.dynamic, name, output)
    for bits, seen in ((8, []), (4, feeds[:40])):
        with tempfile.TemporaryDirectory() as folder:
            to_blocks(arguments.tower, Path(folder, "blocks.onnx"), bits, seen)
            title = f"onnxruntime int{bits}, blocks of 32{', GPTQ' if seen else ''}"
            yield title, with_onnxruntime(Path(folder, "blocks.onnx"), name, output)


def pixels(folder: Path) -> np.ndarray:
    with DecodeWorkers(PREPARE, THREADS) as workers:
        outcomes = workers.decode_all(sorted(photos_below([folder])))
        rows = [np.frombuffer(one.pixels, np.uint8) for one in outcomes if isinstance(one, Decoded)]
    shuffled = np.random.default_rng(0).permutation(len(rows))
    return np.stack(rows)[shuffled].reshape(-1, PREPARE.size, PREPARE.size, 3)


def with_onnxruntime(file: Path, name: str, output: str) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = THREADS, 4
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda tensor: session.run([output], {name: tensor})[0]


def with_openvino(model: openvino.Model, name: str, output: str, arithmetic: str) -> Run:
    properties = {"INFERENCE_PRECISION_HINT": arithmetic, "INFERENCE_NUM_THREADS": THREADS}
    request = openvino.Core().compile_model(model, "CPU", properties).create_infer_request()
    return lambda tensor: np.array(request.infer({name: tensor}, share_inputs=True)[output], np.float32)


def unit(run: Run, tensor: np.ndarray, batch: int = BATCH) -> np.ndarray:
    rows = np.concatenate([run(tensor[start : start + batch]) for start in range(0, len(tensor), batch)])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rounds(runs: dict[str, Run], tensor: np.ndarray) -> dict[str, float]:
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for title, run in runs.items():
            started = time.perf_counter()
            run(tensor)
            best[title] = min(best[title], time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
