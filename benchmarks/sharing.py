"""How OpenVINO runs a batch fastest on this CPU: requests side by side, threads, arithmetic. Images/s, as ratios.

    python benchmarks/sharing.py GRAPH [--batches 4 16] [--rounds 15]

GRAPH is an image tower: clipsearch/starter/image.onnx, or one of benchmarks/peers. Each way runs the same batch in
turns, so that a busy machine slows all of them; the ratio is the median of the rounds' ratios to one request on all
threads in f32. One JSON line a batch size.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from clipsearch.engine.backends import Way, open_session, openvino, usable_cores

BASELINE = "one request"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    plain = Way("openvino", threads=usable_cores())
    ways = {
        BASELINE: plain,
        "one request, one thread": replace(plain, threads=1),
        "shared out": replace(plain, batch=2),
    }
    if any(way.arithmetic == "bf16" for way in openvino.ways()):
        ways["shared out, bf16"] = replace(plain, batch=2, arithmetic="bf16")
    sessions = {name: open_session(arguments.graph, way) for name, way in ways.items()}
    port, output = sessions[BASELINE].inputs[0], sessions[BASELINE].outputs[0].name
    for batch in arguments.batches:
        sides = [size or 224 for size in port.shape[1:]]
        feeds = {port.name: np.random.default_rng(0).standard_normal((batch, *sides), np.float32)}
        took: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(arguments.rounds + 1):  # the first one only warms up
            for name, session in sessions.items():
                started = time.perf_counter()
                session.run(feeds, output)
                took[name].append(time.perf_counter() - started)
        row: dict[str, float] = {"batch": batch}
        row |= {name: round(ratio(took[BASELINE][1:], times[1:]), 2) for name, times in took.items()}
        row["bf16 : f32"] = round(ratio(took["shared out"][1:], took.get("shared out, bf16", [0, np.inf])[1:]), 2)
        row["images/s, one request"] = round(batch / min(took[BASELINE][1:]), 1)
        print(json.dumps(row), flush=True)


def ratio(baseline: list[float], times: list[float]) -> float:
    return statistics.median(before / after for before, after in zip(baseline, times, strict=False))


if __name__ == "__main__":
    main()
