"""Measures a model with clipsearch's own engine: text-to-image recall, and zero-shot CIFAR-10.

    python experiments/starter/measure.py CAPTIONS [--cifar TAR] [--model FOLDER] [--backend NAME] [--write]

CAPTIONS is a folder with captions.tsv (`file<TAB>caption`, a header line) and the photos it names.
TAR holds `test/CLASS/NNNN.jpg`, the CIFAR-10 test pictures as JPEG copies. Prints one JSON line a measurement;
`--write` puts the figures into the [measured] table of the model's card.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipsearch.decoding.decode import decode, upright_rgb
from clipsearch.engine.cards import CARD, ModelCard, read_card
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.labels.verdicts import ensembled
from clipsearch.types import Failure

STARTER = Path(__file__).parents[2] / "clipsearch" / "starter"
RANKS = (1, 5, 10)
CHUNK = 256  # pictures held as pixels at once: 38 MB at 224 px

# Class names and templates as CLIP published them: github.com/openai/CLIP, data/prompts.md, "CIFAR10".
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_KINDS = ("", "blurry ", "black and white ", "low contrast ", "high contrast ", "bad ", "good ")
CIFAR_TEMPLATES = tuple(
    template
    for article in ("a", "the")
    for template in (
        *(f"a {kind}photo of {article} {{}}." for kind in _KINDS),
        f"a photo of {article} small {{}}.",
        f"a photo of {article} big {{}}.",
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--cifar", type=Path, metavar="TAR")
    parser.add_argument("--model", type=Path, default=STARTER, metavar="FOLDER", help="a folder with card.toml")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--write", action="store_true", help="put the figures into the card")
    arguments = parser.parse_args()
    card = read_card(arguments.model)
    candidate = default_candidate(card, arguments.backend)
    image, text = ImageTower(card, candidate), TextTower(card, candidate)
    measured = recall(arguments.captions, image, text)
    if arguments.cifar:
        measured |= cifar(arguments.cifar, card, image, text)
    if arguments.write:
        write_measured(arguments.model / CARD, measured)


def recall(folder: Path, image: ImageTower, text: TextTower) -> dict[str, float]:
    """Each caption asks over all photos; R@k is the share of captions whose own photo is among the first k."""
    with (folder / "captions.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    files = sorted({row["file"] for row in rows})
    photos = encoded(image, (decoded(folder / file, image) for file in files))
    number = {file: index for index, file in enumerate(files)}
    own = np.array([number[row["file"]] for row in rows])
    scores = text.encode([row["caption"] for row in rows]).vectors @ photos.T
    ranks = (scores >= scores[np.arange(len(rows)), own][:, None]).sum(axis=1)  # ties count against the photo
    shares = {k: round(float((ranks <= k).mean()), 3) for k in RANKS}
    tell("text-to-image recall", photos=len(files), captions=len(rows), **{f"R@{k}": v for k, v in shares.items()})
    return {f"text-to-image R@{k} ({len(files)} photos, {len(rows):,} captions)": v for k, v in shares.items()}


def cifar(tar: Path, card: ModelCard, image: ImageTower, text: TextTower) -> dict[str, float]:
    """Zero-shot accuracy: one vector a class, the mean of its prompts' vectors; the nearest class is the answer."""
    prompts = [
        prompt for name in CIFAR_CLASSES for prompt in (template.replace("{}", name) for template in CIFAR_TEMPLATES)
    ]
    grouped = text.encode(prompts).vectors.reshape(len(CIFAR_CLASSES), len(CIFAR_TEMPLATES), card.dim)
    classes = np.stack([ensembled(group) for group in grouped])
    truth: list[int] = []
    pictures = encoded(image, cifar_pixels(tar, image, truth))
    answers = (pictures @ classes.T).argmax(axis=1)
    right = answers == np.array(truth)
    accuracy = round(float(right.mean()), 3)
    each = {name: round(float(right[np.array(truth) == i].mean()), 3) for i, name in enumerate(CIFAR_CLASSES)}
    tell("zero-shot CIFAR-10", pictures=len(truth), templates=len(CIFAR_TEMPLATES), accuracy=accuracy, classes=each)
    return {f"zero-shot CIFAR-10 ({len(truth):,} JPEG copies, {len(CIFAR_TEMPLATES)} templates)": accuracy}


def cifar_pixels(tar: Path, image: ImageTower, truth: list[int]) -> Iterator[bytes]:
    """Pixels of each picture in the order of the archive; its class is appended to `truth`."""
    with tarfile.open(tar) as archive:
        for member in archive:
            if not member.name.endswith(".jpg"):
                continue
            handle = archive.extractfile(member)
            assert handle is not None, member.name
            truth.append(CIFAR_CLASSES.index(member.name.split("/")[-2]))
            with Image.open(io.BytesIO(handle.read())) as picture:
                yield image.prepare(upright_rgb(picture))


def decoded(path: Path, image: ImageTower) -> bytes:
    """A photo's pixels, by the very way that indexing takes."""
    outcome = decode(os.fsencode(path), image.prepare)
    if isinstance(outcome, Failure):
        raise SystemExit(f"{path}: {outcome.reason}")
    return outcome.pixels


def encoded(image: ImageTower, pixels: Iterator[bytes]) -> NDArray[np.float32]:
    """Unit vectors (n, d) of pixels as `image.prepare` makes them."""
    parts: list[NDArray[np.float32]] = []
    side, waiting = image.prepare.size, list[bytes]()
    for one in pixels:
        waiting.append(one)
        if len(waiting) == CHUNK:
            parts.append(image.encode_pixels(as_array(waiting, side)))
            waiting.clear()
    if waiting:
        parts.append(image.encode_pixels(as_array(waiting, side)))
    return np.concatenate(parts)


def as_array(pixels: list[bytes], side: int) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, side, side, 3)


def write_measured(card: Path, measured: dict[str, float]) -> None:
    """Replaces the [measured] table, which is the last one of a card."""
    table = "[measured]\n" + "".join(f'"{name}" = {value}\n' for name, value in measured.items())
    source = card.read_text("utf-8")
    written, count = re.subn(r"^\[measured\]\n[^\[]*\Z", lambda match: table, source, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{card}: [measured] is not its last table; nothing was written")
    card.write_text(written, "utf-8")


def tell(what: str, **figures: object) -> None:
    print(json.dumps({"measured": what, **figures}), flush=True)


if __name__ == "__main__":
    main()
