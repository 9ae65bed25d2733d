"""Makes what benchmarks/ingest.py compares: rclip in an environment of its own, and one architecture for both programs.

    python benchmarks/peers/prepare.py FOLDER --photos PHOTOS

FOLDER/rclip       environment with rclip, from the package registry
FOLDER/nncf        environment with nncf, openvino and onnx, which make the models
FOLDER/rclip-data  what rclip looks for under $RCLIP_DATADIR: graphs of its architecture, and its vocabulary
FOLDER/models      vit-b-32-256-fp32 and vit-b-32-256-int8: the same weights as clipsearch's model folders

The weights are random (random_vit.py); int8 is calibrated on PHOTOS (quantised.py). What exists is kept, so a second
run does nothing. Takes a few minutes, 2 GB of disk and the registry. Needs the standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
VOCABULARY = REPOSITORY / "clipsearch" / "engine" / "vocab" / "bpe_simple_vocab_16e6.txt.gz"
RCLIP = "rclip==3.3.0"
MAKERS = ("nncf==3.4.0", "openvino==2026.4.1", "onnx==1.23.2", "numpy", "pillow>=13")
RCLIP_MODEL = "ViT-B-32-256-datacomp_s34b_b86k"  # the folder rclip reads
SIZE = 256  # px

CARD = """\
# Random weights of ViT-B/32 at {size} px, for benchmarks: it finds nothing. Written by benchmarks/peers/prepare.py.
name = "vit-b-32-256-{precision}"
version = "1"
summary = "Random weights, for benchmarks only."
licence = "CC0-1.0"
dim = 512

[image]
size = {size}
resize = "shortest"
interpolation = "bicubic"
mean = [0.48145466, 0.4578275, 0.40821073]
std = [0.26862954, 0.26130258, 0.27577711]

[text]
tokenizer = "clip-bpe"
cleaning = "clip"
context = 77
padding = "context"
pad_id = 0

[scoring]
kind = "softmax"
scale = 100.0

[variants.{precision}]
image = "{image}"
image_sha256 = "{image_sha256}"
text = "textual.onnx"
text_sha256 = "{text_sha256}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos to calibrate int8 with")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    environment(folder / "rclip", RCLIP)
    makers = environment(folder / "nncf", *MAKERS)
    graphs = folder / "rclip-data" / RCLIP_MODEL
    if not (graphs / "textual.onnx").exists():
        run(makers, "random_vit.py", graphs, "--size", SIZE)
    linked(VOCABULARY, folder / "rclip-data" / "tokenizer" / VOCABULARY.name)
    exact, quantised = (folder / "models" / f"vit-b-32-256-{precision}" for precision in ("fp32", "int8"))
    linked(graphs / "visual.onnx", exact / "visual.onnx")
    if not (quantised / "visual.xml").exists():
        run(makers, "quantised.py", graphs / "visual.onnx", arguments.photos, quantised / "visual.xml")
    for model, precision, image in ((exact, "fp32", "visual.onnx"), (quantised, "int8", "visual.xml")):
        linked(graphs / "textual.onnx", model / "textual.onnx")
        sums = {"image_sha256": sha256(model / image), "text_sha256": sha256(model / "textual.onnx")}
        (model / "card.toml").write_text(CARD.format(size=SIZE, precision=precision, image=image, **sums), "utf-8")


def environment(folder: Path, *packages: str) -> Path:
    """The interpreter of an environment that holds the packages; made if it is not there."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = folder / "installed.txt"  # written last: an interrupted installation is begun anew
    if not done.exists() or done.read_text() != "\n".join(packages):
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        done.write_text("\n".join(packages))
    return python


def run(python: Path, script: str, *arguments: object) -> None:
    command = [python, HERE / script, *map(str, arguments)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stdout=sys.stderr)


def linked(source: Path, target: Path) -> None:
    """The same bytes under another name; a second link, or a copy where the file system has none."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        target.write_bytes(source.read_bytes())


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


if __name__ == "__main__":
    main()
