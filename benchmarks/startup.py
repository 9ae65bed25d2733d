"""How long a person waits for a cold process, as a ratio to `python -c "import numpy, sqlite3"` on the same machine.

    python benchmarks/startup.py [--runs N]

Two kinds of query over the library of sample_images: one asked before (no model is loaded) and a new text each
time. Baseline and query alternate, so that a busy machine slows both. Prints one JSON line a kind; the ratio is
the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "sample_images"
BASELINE = [sys.executable, "-c", "import numpy, sqlite3"]
CLIPSEARCH = [sys.executable, "-m", "clipsearch"]
REPEATED = "a dog on a beach"
TARGETS = {"repeated query": 3.0, "new text query": 10.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, metavar="N", help="pairs of each kind (default 15)")
    runs: int = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "CLIPSEARCH_LIBRARY": f"{folder}/library",
            "CLIPSEARCH_CACHE": f"{folder}/cache",
            "CLIPSEARCH_MODELS": f"{folder}/models",
        }
        seconds([*CLIPSEARCH, "index", str(SAMPLES), "--progress", "none"], environment)
        seconds([*CLIPSEARCH, "search", "--all", REPEATED], environment)
        repeated = [[*CLIPSEARCH, "search", "--all", REPEATED]] * runs
        new = [[*CLIPSEARCH, "search", "--all", f"photograph number {number} of a dog"] for number in range(runs)]
        for kind, commands in (("repeated query", repeated), ("new text query", new)):
            report(kind, *interleaved(commands, environment))


def interleaved(commands: Sequence[list[str]], environment: dict[str, str]) -> tuple[list[float], list[float]]:
    """Seconds of the baseline and of the commands, in alternating processes; the first pair only warms the disk."""
    seconds(BASELINE, environment)
    pairs = [(seconds(BASELINE, environment), seconds(command, environment)) for command in commands]
    return [baseline for baseline, _ in pairs], [query for _, query in pairs]


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Wall time of one process. Raises CalledProcessError when it fails, for a failure is no measurement."""
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def report(kind: str, baseline: list[float], query: list[float]) -> None:
    ratio = statistics.median(ours / theirs for ours, theirs in zip(query, baseline, strict=True))
    row = {
        "benchmark": kind,
        "ratio": round(ratio, 2),
        "ratio_of_minima": round(min(query) / min(baseline), 2),
        "target": TARGETS[kind],
        "met": ratio <= TARGETS[kind],
        "runs": len(query),
        "median_ms": round(statistics.median(query) * 1000),
        "min_ms": round(min(query) * 1000),
        "baseline_median_ms": round(statistics.median(baseline) * 1000),
        "baseline_min_ms": round(min(baseline) * 1000),
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
