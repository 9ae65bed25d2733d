"""The collection and the queries of the relevance experiment, and which photo mentions which noun.

Photos, captions and objects come from a folder outside this repository; nouns and far-off topics lie beside this file
and were written before anything was measured.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.background import background_texts
from clipsearch.decoding.decode import decode
from clipsearch.engine.cards import read_card
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.types import Failure

HERE = Path(__file__).parent
PHRASE = "a photo of a {}"
CHUNK = 200  # pictures held as pixels at once

Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Collection:
    files: list[Path]
    captions: list[str]
    own: NDArray[np.int64]  # the photo of each caption
    nouns: list[str]
    mentioned: Mask  # (nouns, photos): a caption or the objects name it or a synonym
    far_off: list[str]


@dataclass(frozen=True)
class Encoded:
    """A collection in the eyes of one model; all rows are unit vectors. `part` makes one of some of its photos."""

    photos: Vectors
    captions: Vectors
    own: NDArray[np.int64]
    nouns: Vectors
    phrases: Vectors  # "a photo of a NOUN"
    mentioned: Mask
    far_off: Vectors
    bank: Vectors

    def part(self, photos: NDArray[np.int64]) -> Encoded:
        """Only these photos, with their captions."""
        place = np.full(len(self.photos), -1)
        place[photos] = np.arange(len(photos))
        kept = place[self.own] >= 0
        return Encoded(
            self.photos[photos],
            self.captions[kept],
            place[self.own[kept]],
            self.nouns,
            self.phrases,
            self.mentioned[:, photos],
            self.far_off,
            self.bank,
        )

    def half(self, parity: int) -> Encoded:
        """Every second photo, noun and far-off topic, so that a choice made on one half is judged on the other."""
        some = self.part(np.arange(parity, len(self.photos), 2))
        take = slice(parity, None, 2)
        return Encoded(
            some.photos,
            some.captions,
            some.own,
            some.nouns[take],
            some.phrases[take],
            some.mentioned[take],
            some.far_off[take],
            some.bank,
        )


def read_collection(folder: Path) -> Collection:
    captions = _rows(folder / "captions.tsv")
    names = sorted({row["file"] for row in captions})
    number = {name: index for index, name in enumerate(names)}
    said = [""] * len(names)
    for row in captions:
        said[number[row["file"]]] += f" . {row['caption'].lower()}"
    for row in _rows(folder / "objects.tsv"):
        said[number[row["file"]]] += f" . {row['objects'].lower()}"
    nouns = _rows(HERE / "nouns.tsv")
    return Collection(
        [folder / name for name in names],
        [row["caption"] for row in captions],
        np.array([number[row["file"]] for row in captions]),
        [row["noun"] for row in nouns],
        np.array([_mentions([row["noun"], *_synonyms(row["synonyms"])], said) for row in nouns]),
        (HERE / "far_off.txt").read_text("utf-8").splitlines(),
    )


def encoded(collection: Collection, model: Path) -> Encoded:
    """By the very way that indexing and asking take."""
    text = TextTower(read_card(model))
    nouns = collection.nouns
    return Encoded(
        encoded_photos(collection.files, model),
        text.encode(collection.captions).vectors,
        collection.own,
        text.encode(nouns).vectors,
        text.encode([PHRASE.format(noun) for noun in nouns]).vectors,
        collection.mentioned,
        text.encode(collection.far_off).vectors,
        text.encode(list(background_texts())).vectors,
    )


def encoded_photos(files: Sequence[Path], model: Path) -> Vectors:
    image = ImageTower(read_card(model))
    parts = [image.encode_pixels(_pixels(files[i : i + CHUNK], image)) for i in range(0, len(files), CHUNK)]
    return np.concatenate(parts)


def forms(word: str) -> Iterator[str]:
    """A word and what its plural may be."""
    yield word
    yield f"{word}s"
    yield f"{word}es"
    if word.endswith("y"):
        yield f"{word[:-1]}ies"
    if word.endswith("s"):
        yield f"{word}ses"


def _mentions(words: Sequence[str], said: Sequence[str]) -> Mask:
    pattern = re.compile(rf"\b(?:{'|'.join(re.escape(form) for word in words for form in forms(word))})\b")
    return np.array([bool(pattern.search(text)) for text in said])


def _synonyms(cell: str) -> list[str]:
    return [word.strip() for word in cell.split(",") if word.strip()]


def _pixels(files: Sequence[Path], image: ImageTower) -> NDArray[np.uint8]:
    parts: list[bytes] = []
    for file in files:
        outcome = decode(os.fsencode(file), image.prepare)
        if isinstance(outcome, Failure):
            raise SystemExit(f"{file}: {outcome.reason}")
        parts.append(outcome.pixels)
    side = image.prepare.size
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, side, side, 3)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
