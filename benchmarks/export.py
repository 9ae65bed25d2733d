"""What `clipsearch model export` makes of models of full size, and what it takes: nodes, agreement, time, memory.

    python -m benchmarks.export FOLDER [ROW ...]      # FOLDER: scratch, 2 GB at a time

Weights are random, architectures and sizes the published ones: transformers' classes, and OpenCLIP's
by name. Each row is a checkpoint saved to FOLDER and exported from there in a child process, whose peak of memory is
set beside the weights'. Prints a table in Markdown.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import checkpoints, torchvision

_BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
_TEXT = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8}
_MOBILE = {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear", "resize_mode": "shortest"}


def _named(name: str, preprocess: dict[str, Any]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import open_clip

        return checkpoints.openclip_folder(folder, open_clip.get_model_config(name), preprocess)

    return make


ROWS: dict[str, Callable[[Path], Path]] = {
    "ViT-B/32 (transformers)": lambda folder: checkpoints.clip_folder(
        folder, size=224, patch=32, tower=_TEXT, vision=_BASE, dim=512
    ),
    "ViT-B/16 (transformers)": lambda folder: checkpoints.clip_folder(
        folder, size=224, patch=16, tower=_TEXT, vision=_BASE, dim=512
    ),
    "SigLIP B/32-256 (transformers)": lambda folder: checkpoints.siglip_folder(
        folder, size=256, patch=32, tower=_BASE, words=32_000
    ),
    "RN50-quickgelu (OpenCLIP)": _named("RN50-quickgelu", checkpoints.OPENCLIP_PICTURES),
    "MobileCLIP2-S0 (OpenCLIP)": _named("MobileCLIP2-S0", _MOBILE),
}
_HEAD = (
    "model", "nodes", "layer norms", "MB", "least cosine", "largest difference", "s", "peak MB", "peak : weights",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    scratch, wanted = Path(arguments[0]), arguments[1:] or list(ROWS)
    print(f"| {' | '.join(_HEAD)} |\n|{' --- |' * len(_HEAD)}", flush=True)
    for row in wanted:
        folder = scratch / "checkpoint"
        for step in ("make", "export"):
            answer = subprocess.run(
                [sys.executable, "-m", "benchmarks.export", f"--{step}", row, str(folder)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
        print(f"| {row} | {' | '.join(json.loads(answer.stdout))} |", flush=True)
        shutil.rmtree(folder)
    return 0


def _make(row: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ROWS[row](folder)


def _export(folder: Path) -> None:
    from clipsearch.engine.export.exported import Exported, Wish, exported

    out = folder / "model"
    *_, done = exported(Wish(str(folder), out, None, False, 18, "onnx", None), folder)
    assert isinstance(done, Exported) and done.peak is not None
    cells = [
        " + ".join(str(graph.nodes) for graph in done.graphs),
        " + ".join(str(graph.layer_norms) for graph in done.graphs),
        " + ".join(f"{size / 1e6:.0f}" for size in done.sizes),
        f"{min(one.cosine for one in done.agreements):.7f}",
        f"{max(one.gap for one in done.agreements):.0e}",
        f"{done.seconds:.0f}",
        f"{done.peak / 1e6:,.0f}",
        f"{done.peak / done.weights:.1f}",
    ]
    print(json.dumps(cells))


if __name__ == "__main__":
    torchvision.install()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if sys.argv[1] == "--make":
            _make(sys.argv[2], Path(sys.argv[3]))
        elif sys.argv[1] == "--export":
            _export(Path(sys.argv[3]))
        else:
            sys.exit(main(sys.argv[1:]))
