"""Makes a clipsearch model folder of two towers that share a space, for measuring; it ships nothing.

    python experiments/relevance/pair.py NAME IMAGE.onnx TEXT.onnx tokenizer.json FOLDER

The image tower is preprocessed as OpenAI's CLIP is; the text tower lower-cases by itself and reads 64 tokens.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

CARD = """\
name = "{name}"
version = "1"
summary = "A pair for measuring."
licence = "for tests only"
dim = 512

[image]
size = 224
resize = "shortest"
interpolation = "bicubic"
mean = [0.48145466, 0.4578275, 0.40821073]
std = [0.26862954, 0.26130258, 0.27577711]

[text]
tokenizer = "tokenizer.json"
cleaning = "none"
context = 64
padding = "longest"
pad_id = 0

[scoring]
kind = "softmax"
scale = 60.0

[variants.fp32]
image = "image.onnx"
image_sha256 = "{image}"
text = "text.onnx"
text_sha256 = "{text}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("image", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for source, name in (
        (arguments.image, "image.onnx"),
        (arguments.text, "text.onnx"),
        (arguments.tokenizer, "tokenizer.json"),
    ):
        shutil.copy(source, arguments.folder / name)
    digests = {
        name: hashlib.sha256((arguments.folder / f"{name}.onnx").read_bytes()).hexdigest() for name in ("image", "text")
    }
    (arguments.folder / "card.toml").write_text(CARD.format(name=arguments.name, **digests), "utf-8")


if __name__ == "__main__":
    main()
