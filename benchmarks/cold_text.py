"""How long a cold process waits for its text tower, with what the cache folder keeps of it and without.

    python benchmarks/cold_text.py MODEL_FOLDER [--rounds 7]

For each runtime: to verify, open and run the tower for one text, in processes that alternate. Prints one JSON line
each: seconds of processor time and of the clock, fastest of the rounds, and the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHILD = """
import json, sys, time
from pathlib import Path
from clipsearch.engine.backends import backend_of
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.cards import read_card
from clipsearch.engine.towers import TextTower
card = read_card(Path(sys.argv[1]))
backend_of(sys.argv[2])
wall, processor = time.perf_counter(), time.process_time()
TextTower(card, default_candidate(card, sys.argv[2]), Path(sys.argv[3]) if sys.argv[3] else None).encode(["a dog"])
print(json.dumps([time.process_time() - processor, time.perf_counter() - wall]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL_FOLDER")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    for runtime in ("onnxruntime", "openvino"):
        with tempfile.TemporaryDirectory() as cache:
            run(arguments.model, runtime, cache)  # fills it
            time.sleep(2.1)  # what is younger is not remembered
            run(arguments.model, runtime, cache)
            pairs = [
                (run(arguments.model, runtime, ""), run(arguments.model, runtime, cache))
                for _ in range(arguments.rounds)
            ]
        row: dict[str, object] = {"runtime": runtime}
        for place, what in enumerate(("processor", "clock")):
            without, kept = ([pair[side][place] for pair in pairs] for side in (0, 1))
            row[what] = {
                "without": round(min(without), 3),
                "kept": round(min(kept), 3),
                "ratio": round(statistics.median(a / b for a, b in zip(without, kept, strict=True)), 2),
            }
        print(json.dumps(row), flush=True)


def run(model: Path, runtime: str, cache: str) -> list[float]:
    command = [sys.executable, "-c", CHILD, str(model), runtime, cache]
    times: list[float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return times


if __name__ == "__main__":
    main()
