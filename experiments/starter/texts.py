"""Collects everything that the starter's text tower is taught, from the repositories of text_sources.toml.

    python experiments/starter/texts.py WORK                       # fetches about 40 repositories, some GB
    python experiments/starter/texts.py WORK --repositories FOLDER # clones OWNER+NAME that are there already

Writes WORK/texts.json and WORK/texts.npz. The JSON holds `texts`, a list of strings that all else names by number:

    rows        {"text", "name", "set"}: a text and the vector of the same row of `rows` in the NPZ
    classes     {"texts", "name", "set"}: sentences, the mean of whose vectors is that row of `classes` in the NPZ
    pairs       {"photo", "stem", "module", "texts"}: what is said of one photo of a textbook
    captions    lists of texts, each about one photo of COCO val2017, which is not needed
    validation  {"photo", "captions"}: photos by COCO's number, for choosing how to train; their captions are strings

The vectors are float16 of length 1, in the space of OpenAI's CLIP ViT-B/16. Needs torch, which reads some of the files.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pinned import Pinned, pinned
from text_vectors import ClassMean, Row, class_means, class_row, imagenet_rows, relation_rows, segmentation_rows
from textbooks import figures, photo_paths, queries

HERE = Path(__file__).parent
CAPTIONS = "annotations/captions_val2017.json"
SENTENCES = 12  # of a class; more say little that is new
SEED = 11  # of their choice


@dataclass
class Texts:
    """Strings by number; the same string has one."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        return self.numbers.setdefault(re.sub(r"\s+", " ", text.strip()), len(self.numbers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--repositories", type=Path, metavar="FOLDER", help="clones OWNER+NAME, used before fetching")
    arguments = parser.parse_args()
    tables = tomllib.loads((HERE / "text_sources.toml").read_text("utf-8"))
    books = [pinned(table, arguments.work, arguments.repositories) for table in tables.pop("textbooks")]
    sources = {key: pinned(table, arguments.work, arguments.repositories) for key, table in tables.items()}
    write(arguments.work, sources, books)


def write(work: Path, sources: Mapping[str, Pinned], books: list[Pinned]) -> None:
    texts = Texts()
    rows = [*segmentation_rows(sources), *relation_rows(sources["vidvrd"])]
    rows += imagenet_rows(sources["hicropl"], sources["imagenet_names"])
    classes = class_means(sources)
    rows += [class_row(mean) for mean in classes]
    captions, validation = coco(sources["coco"], texts)
    collected: dict[str, list[Any]] = {
        "rows": [{"text": texts.number(row.text), "name": row.name, "set": row.set} for row in rows],
        "classes": some_sentences(classes, texts),
        "pairs": [pair for book in books for pair in textbook_pairs(book, texts)],
        "captions": captions,
        "validation": validation,
    }
    work.mkdir(parents=True, exist_ok=True)
    (work / "texts.json").write_text(json.dumps({"texts": list(texts.numbers), **collected}), "utf-8")
    np.savez(work / "texts.npz", rows=stacked(rows), classes=stacked(classes))
    print(f"{len(texts.numbers)} texts;", ", ".join(f"{len(part)} {name}" for name, part in collected.items()))


def some_sentences(classes: list[ClassMean], texts: Texts) -> list[dict[str, Any]]:
    random = np.random.default_rng(SEED)
    chosen = []
    for mean in classes:
        sentences = sorted(set(mean.sentences))
        some = [sentences[place] for place in random.permutation(len(sentences))[:SENTENCES]]
        chosen.append({"texts": [texts.number(text) for text in some], "name": mean.name, "set": mean.set})
    return chosen


def textbook_pairs(book: Pinned, texts: Texts) -> list[dict[str, Any]]:
    """The photos of text_photos.tsv that are this book's."""
    said, paths = figures(book), photo_paths(book)
    pairs = []
    for photo in table("text_photos.tsv"):
        if photo["repository"] == book.name:
            figure = said[photo["photo"]]
            numbers = [texts.number(text) for text in queries(figure)]
            place = f"{book.name}/{paths[figure.stem]}"
            pairs.append({"photo": place, "stem": figure.stem, "module": figure.module, "texts": numbers})
    return pairs


def coco(source: Pinned, texts: Texts) -> tuple[list[list[int]], list[dict[str, Any]]]:
    """Captions to learn from, by photo, and the photos of the validation.

    In neither are those of the evaluation, and others "aside" that public copies hold and one may measure with.
    """
    left_out = {int(line["coco_id"]): line["why"] for line in table("coco_left_out.tsv")}
    captions: dict[int, list[str]] = {}
    for annotation in json.loads(source.read(CAPTIONS))["annotations"]:
        captions.setdefault(annotation["image_id"], []).append(annotation["caption"])
    photos = sorted(captions)
    learnt = [[texts.number(text) for text in captions[photo]] for photo in photos if photo not in left_out]
    held = [photo for photo in photos if left_out.get(photo) == "validation"]
    return learnt, [{"photo": photo, "captions": captions[photo]} for photo in held]


def stacked(parts: list[Row] | list[ClassMean]) -> np.ndarray[Any, np.dtype[np.float16]]:
    return np.stack([part.vector for part in parts]).astype(np.float16)


def table(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


if __name__ == "__main__":
    main()
