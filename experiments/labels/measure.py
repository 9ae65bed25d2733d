"""Measures rules by which a label may say that it fits no photo: which everyday texts it must stand up to.

    python experiments/labels/measure.py CLASSES OBJECTS [--model FOLDER ...] [--per-class N]

CLASSES is a folder of class folders; half of the classes, drawn at random, are the labels, so that the other half's
photos fit none. OBJECTS is a folder with objects.tsv (`file<TAB>object, object`), where a photo shows several things;
each of the objects is asked alone. A model is a folder with card.toml; without one the starter is measured. Prints the
tables of docs/labels.md.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch import Engine
from clipsearch.labels.sets import label_set
from clipsearch.labels.verdicts import alternatives

ROUNDS = 20  # random halves of the classes
TEMPLATES = ("a photo of a {}.",)

Vectors = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classes", type=Path)
    parser.add_argument("objects", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--per-class", type=int, default=40)
    arguments = parser.parse_args()
    for model in arguments.model or ["starter"]:
        with Engine(model) as engine:
            print(f"\n## {engine.card.name}\n\n| rule | unknown told | known labelled | of labelled right | AUROC |")
            print("| --- | --- | --- | --- | --- |")
            for name, row in by_class(engine, arguments.classes, arguments.per_class).items():
                print(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")
            print("\n| rule | objects found | of those right | AUROC |\n| --- | --- | --- | --- |")
            for name, row in by_object(engine, arguments.objects).items():
                print(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")


def by_class(engine: Engine, folder: Path, per_class: int) -> dict[str, NDArray[np.float64]]:
    """Rule -> (unknown told, known labelled, of the labelled right, AUROC of known against unknown)."""
    names = sorted(path.name for path in folder.iterdir())
    files = [sorted((folder / name).iterdir())[:per_class] for name in names]
    photos = engine.encode_images([file for one in files for file in one]).vectors
    truth = np.repeat(np.arange(len(names)), [len(one) for one in files])
    matrix = engine.label_vectors(label_set(names, TEMPLATES))
    bare = engine.encode_text(names)
    found: dict[str, list[list[float]]] = {}
    for seed in range(ROUNDS):
        known = np.sort(np.random.default_rng(seed).permutation(len(names))[: len(names) // 2])
        cosines = photos @ matrix[known].T
        best = cosines.max(axis=1)
        right = known[cosines.argmax(axis=1)] == truth
        fits_one = np.isin(truth, known)
        shares = np.exp(engine.logit_scale * (cosines - best[:, None]))
        rivals = rival_scores(photos, alternatives(engine.bank(), np.concatenate([matrix[known], bare[known]])))
        rules = {"probability 0.9": 1 / shares.sum(axis=1) - 0.9} | {name: best - one for name, one in rivals.items()}
        for name, by in rules.items():
            given = by >= 0
            row = [(~given[~fits_one]).mean(), given[fits_one].mean(), right[given].mean(), auroc(by, fits_one)]
            found.setdefault(name, []).append(row)
    return {name: np.nanmean(rows, axis=0) for name, rows in found.items()}


def by_object(engine: Engine, folder: Path) -> dict[str, list[float]]:
    """Rule -> (objects found, of those right, AUROC), each object asked alone of each photo."""
    with (folder / "objects.tsv").open(newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t"))[1:]
    shown = [{one.strip() for one in row[1].split(",")} for row in rows]
    names = sorted(set().union(*shown))
    truth = np.array([[name in one for name in names] for one in shown])
    photos = engine.encode_images([folder / row[0] for row in rows]).vectors
    matrix = engine.label_vectors(label_set(names, TEMPLATES))
    bare = engine.encode_text(names)
    scores: dict[str, list[Vectors]] = {}
    for label, word in zip(matrix, bare, strict=True):
        for name, rival in rival_scores(photos, alternatives(engine.bank(), np.stack([label, word]))).items():
            scores.setdefault(name, []).append(photos @ label - rival)
    found = {}
    for name, columns in scores.items():
        by = np.stack(columns, axis=1)
        given = by >= 0
        found[name] = [float(given[truth].mean()), float(truth[given].mean()), auroc(by.ravel(), truth.ravel())]
    return found


def rival_scores(photos: Vectors, bank: Vectors) -> dict[str, Vectors]:
    """What the best, second best, … of the texts score with each photo."""
    ranked = np.sort(photos @ bank.T, axis=1)
    return {
        f"best everyday text but {rank - 1}" if rank > 1 else "best everyday text": ranked[:, -rank]
        for rank in (1, 2, 3, 5, 10)
    }


def auroc(by: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Chance that a true one is above a false one (Mann-Whitney)."""
    ranks = by.argsort().argsort()
    positives = int(truth.sum())
    return float((ranks[truth].sum() - positives * (positives - 1) / 2) / (positives * (len(truth) - positives)))


if __name__ == "__main__":
    main()
