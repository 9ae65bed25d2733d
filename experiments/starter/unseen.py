"""The starter as if certain words had never been taught: what its text tower knows of words by itself.

    python experiments/starter/unseen.py WORK OBJECTS.tsv OUT
    clipsearch eval words OBJECTS.tsv --model OUT --backend openvino

Of the names whose vectors CLIP gave, all that hold one of the words of OBJECTS (the column `objects`) are left out; the
head is trained on the others, as text_tower.py does. Sentences stay: captions and alt texts have no vector of CLIP.
OUT is a model folder, the starter with that head.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from build import STARTER, sha256, text_graph
from minilm import pooled, tokenizer
from text_head import Lessons, trained
from text_tower import all_texts, coded_head, lessons

from clipsearch.engine.cards import CARD, read_card
from clipsearch.engine.cardtext import card_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("work", "objects", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    work: Path = arguments.work
    texts = json.loads((work / "texts.json").read_text("utf-8"))
    model = torch.load(work / "text.pt", weights_only=False)["model"]
    encodings = tokenizer(work / "minilm/tokenizer.json").encode_batch(all_texts(texts))
    inputs = pooled(model, [encoding.ids for encoding in encodings])
    taught = lessons(texts, np.load(work / "texts.npz"), np.load(work / "vectors.npz"), inputs)
    words = asked_words(arguments.objects)
    head = trained(without(taught, texts, words))
    with tempfile.TemporaryDirectory() as folder:
        graph = text_graph({"model": model, "head": head, "coded": coded_head(head, inputs)}, Path(folder))
    shutil.rmtree(arguments.out, ignore_errors=True)
    shutil.copytree(STARTER, arguments.out, ignore=shutil.ignore_patterns("background*", "golden*"))
    onnx.save(graph, arguments.out / "text.onnx")
    write_card(arguments.out)


def asked_words(objects: Path) -> set[str]:
    with objects.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return {word.strip() for row in rows for word in row["objects"].split(",") if word.strip()}


def without(taught: Lessons, texts: dict, words: set[str]) -> Lessons:
    """The lessons less all names with one of the words in them, in the singular or the plural."""
    one = re.compile(rf"\b({'|'.join(map(re.escape, sorted(words)))})(s|es)?\b")
    names = [row["name"] for row in texts["rows"]]
    forms = len(taught.row_texts) // len(names)
    kept = [number for number, name in enumerate(names * forms) if not one.search(name)]
    classes = [number for number, other in enumerate(texts["classes"]) if not one.search(other["name"])]
    print(f"{len(kept)} of {forms * len(names)} rows and {len(classes)} of {len(texts['classes'])} classes are kept")
    return replace(
        taught,
        row_texts=taught.row_texts[kept],
        row_vectors=taught.row_vectors[kept],
        class_texts=[taught.class_texts[number] for number in classes],
        class_vectors=taught.class_vectors[classes],
    )


def write_card(out: Path) -> None:
    card = read_card(out)
    text = replace(card.reference.text, sha256=sha256(out / "text.onnx"))
    variants = tuple(replace(variant, text=text) for variant in card.variants)
    (out / CARD).write_text(card_text(replace(card, name=out.name, variants=variants, measured={})), "utf-8")


if __name__ == "__main__":
    main()
