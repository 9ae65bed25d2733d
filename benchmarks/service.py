"""What the warm service saves, as ratios to a cold process that is asked the same on the same machine.

    python benchmarks/service.py [--runs N]

Over the library of sample_images, a new text each time, so that no cache answers. `socket` is one request and its
answer over the Unix socket, from a process that runs already, as an editor's; `command line` is a whole
`clipsearch search` that the service answers. The cold process opens the library itself: it sees other models
(an empty folder of its own), which is how a command passes a service over. The three take turns, so that a busy
machine slows all of them. Prints one JSON line each; the ratio is the median of the rounds' ratios.
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
from pathlib import Path

from clipsearch.config import Paths
from clipsearch.service.client import Client, running

SAMPLES = Path(__file__).parents[1] / "sample_images"
CLIPSEARCH = [sys.executable, "-m", "clipsearch"]
TARGETS = {"socket": 0.1, "command line": 0.5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, metavar="N", help="rounds (default 15)")
    runs: int = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder, "library"), Path(folder, "cache"), Path(folder, "models"))
        environment = os.environ | {
            "CLIPSEARCH_LIBRARY": str(paths.library),
            "CLIPSEARCH_CACHE": str(paths.cache),
            "CLIPSEARCH_MODELS": str(paths.models),
        }
        asked([*CLIPSEARCH, "index", str(SAMPLES), "--progress", "none"], environment)
        with subprocess.Popen([*CLIPSEARCH, "serve"], env=environment, stderr=subprocess.PIPE) as server:
            try:
                assert server.stderr is not None
                server.stderr.readline()  # it says where it listens once it is ready
                report(*measured(paths, environment, runs))
            finally:
                server.terminate()


def measured(paths: Paths, environment: dict[str, str], runs: int) -> tuple[list[float], dict[str, list[float]]]:
    """Seconds of the cold processes, and of the service by each way; the first round only warms the disk."""
    client = running(paths)
    assert client is not None, "the service does not answer"
    alone = environment | {"CLIPSEARCH_MODELS": str(paths.models / "none")}
    cold: list[float] = []
    warm: dict[str, list[float]] = {"socket": [], "command line": []}
    for number in range(runs + 1):
        cold.append(asked([*CLIPSEARCH, "search", "--all", f"photograph {number} of a dog"], alone))
        warm["socket"].append(asked_at_socket(client, f"photograph {number} of a cat"))
        command = [*CLIPSEARCH, "search", "--all", f"photograph {number} of a house"]
        warm["command line"].append(asked(command, environment))
    return cold[1:], {way: spent[1:] for way, spent in warm.items()}


def asked(command: list[str], environment: dict[str, str]) -> float:
    """Wall time of one process. Raises CalledProcessError when it fails, for a failure is no measurement."""
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def asked_at_socket(client: Client, query: str) -> float:
    started = time.perf_counter()
    assert client.search(query).hits
    return time.perf_counter() - started


def report(cold: list[float], warm: dict[str, list[float]]) -> None:
    for way, spent in warm.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(spent, cold, strict=True))
        row = {
            "benchmark": f"new text query, {way}",
            "ratio": round(ratio, 3),
            "ratio_of_minima": round(min(spent) / min(cold), 3),
            "target": TARGETS[way],
            "met": ratio <= TARGETS[way],
            "runs": len(spent),
            "median_ms": round(statistics.median(spent) * 1000, 1),
            "min_ms": round(min(spent) * 1000, 1),
            "cold_median_ms": round(statistics.median(cold) * 1000),
            "cold_min_ms": round(min(cold) * 1000),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
