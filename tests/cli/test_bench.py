"""`clipsearch bench`: every photo is counted, and the figures are those of the vectors."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from clipsearch import Engine
from tests.cli.program import Program

CLASSES = {"cat": "cat-on-armchair.jpg", "jellyfish": "jellyfish.jpg", "bird": "perched-osprey.jpg"}


@pytest.mark.slow  # batches up to 64 are timed
def test_each_photo_is_counted_and_the_figures_are_those_of_its_vector(
    program: Program, photos: Path, tmp_path: Path
) -> None:
    """clip.cpp's benchmark left photos of the last batch out and scored 8 % where 66 % were right."""
    data = tmp_path / os.fsdecode(b"s\xe9t")  # any bytes: the report is UTF-8 all the same
    for name, file in CLASSES.items():
        (data / name).mkdir(parents=True)
        shutil.copy(photos / "animals" / file, data / name)
    shutil.copy(photos / "food/coffee-cup.jpg", data / "bird/not-a-bird.jpg")
    (data / "cat/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    page = tmp_path / "report.html"
    outcome = program("bench", data, "--template", "a photo of a {}.", "--json", "--output", page)
    assert outcome.code == 0 and "broken.jpg was left out" in outcome.stderr
    found = outcome.json
    assert (found["photos"], len(found["failures"])) == (4, 1)
    files = [
        file for name in sorted(CLASSES) for file in sorted((data / name).glob("*.jpg")) if file.name != "broken.jpg"
    ]
    truth = [sorted(CLASSES).index(file.parent.name) for file in files]
    with Engine("starter", models_folder=tmp_path, cache_folder=tmp_path / "cache") as engine:
        cosines = engine.similarity([f"a photo of a {name}." for name in sorted(CLASSES)], files)
    assert found["acc1"] == np.mean(cosines.argmax(axis=0) == truth)
    assert sum(map(sum, found["confusion"])) == 4
    assert [one["name"] for one in found["classes"]] == sorted(CLASSES)
    assert found["batches"][0]["batch"] == 1 and found["text_ms"] > 0
    text = page.read_text("utf-8")
    assert text.count("<svg") == 3 and "<script" not in text
    assert "--template &#x27;a photo of a {}.&#x27; --model starter" in text  # and can be made again


def test_what_cannot_be_measured_is_told_before_the_work(program: Program, photos: Path, tmp_path: Path) -> None:
    """An hour of encoding for a report that cannot be written."""
    there = tmp_path / "there.html"
    there.touch()
    assert program("bench", photos, "--output", there).code == 5
    assert program("bench", photos, "--output", tmp_path / "report.pdf").code == 2
    assert "There is no folder" in program("bench", photos, "--output", tmp_path / "nowhere" / "report.html").stderr
    assert program("bench", photos / "animals").code == 2  # photos, and no class folders
