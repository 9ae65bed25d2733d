"""`clipsearch eval`: figures over real photos, and files that are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.program import Program


def test_captions_find_their_photos(program: Program, photos: Path, tmp_path: Path) -> None:
    """One caption of four is about another photo: three quarters are right, whatever the order of the lines."""
    captions = tmp_path / "captions.tsv"
    captions.write_text(
        "file\tcaption\n"
        "food/coffee-cup.jpg\ta cup of coffee\n"
        "animals/jellyfish.jpg\ta jellyfish\n"
        "animals/perched-osprey.jpg\ta jellyfish in blue water\n"
        "food/coffee-cup.jpg\ta hot drink in a cup\n"
    )
    found = program("eval", "retrieval", captions, "--photos", photos, "--json").json
    assert (found["photos"], found["captions"]) == (3, 4)
    assert found["text_to_image"][0]["share"] == 0.75
    assert found["image_to_text"][0]["share"] >= 1 / 3
    others = tmp_path / "others"
    shutil.copytree(photos, others)
    (others / "food/coffee-cup.jpg").write_bytes(b"no photo")
    without = program("eval", "retrieval", captions, "--photos", others, "--against", "published")
    assert "2 photos · 2 captions" in without.text and "R@1" in without.text and "0.500 [" in without.text
    assert "Left out: 1 photo that cannot be read, with 2 captions" in without.text
    assert "coffee-cup.jpg was left out: it is not a picture in a known format" in without.stderr
    assert "captions.tsv are known here: there is nothing to compare" in without.text
    missing = program("eval", "retrieval", captions)
    assert missing.code == 2 and "--photos DIR" in missing.stderr
    absent = program("eval", "retrieval", tmp_path / "absent.tsv")
    assert absent.code == 2 and "absent.tsv cannot be read (No such file or directory)." in absent.stderr


def test_photos_of_known_classes_are_counted_as_they_are(program: Program, photos: Path, tmp_path: Path) -> None:
    """Three of four are right; a photo that cannot be read is named, and in no figure."""
    data = tmp_path / "set"
    for name, file in {"cat": "cat-on-armchair", "jellyfish": "jellyfish", "bird": "perched-osprey"}.items():
        (data / name).mkdir(parents=True)
        shutil.copy(photos / "animals" / f"{file}.jpg", data / name)
    shutil.copy(photos / "animals/jellyfish.jpg", data / "cat/not-a-cat.jpg")
    (data / "cat/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    outcome = program("eval", "zero-shot", data, "--json")
    found = outcome.json
    assert (found["photos"], len(found["failures"]), found["acc1"], found["acc5"]) == (4, 1, 0.75, None)
    assert found["mean_class_recall"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["acc1_interval"][0] < 0.75 < found["acc1_interval"][1]
    assert found["published_set"] is None and "published" not in found
    shown = program("eval", "zero-shot", data, "--against", "published")
    assert "75.00% [" in shown.text and "broken.jpg was left out" in shown.stderr
    assert "there is nothing to compare with" in shown.text


def test_published_figures_stand_in_a_column_of_their_own(program: Program, tmp_path: Path) -> None:
    """84.9 of another model must not be read as what was measured; and JPEG copies are said to be such."""
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    for number, name in enumerate(names):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), (20 * number, 99, 0)).save(tmp_path / "set" / name / "1.jpg")
    command = ("eval", "zero-shot", tmp_path / "set", "--against", "published")
    text = program(*command).text
    assert "10 of its pictures are JPEG copies" in text and "it has 10 pictures, not 10,000" in text
    assert "18, averaged (cifar10)" in text  # as published, where none is named
    assert "No figure of starter over CIFAR-10 is published" in text
    (row,) = [line for line in text.splitlines() if "MobileCLIP2-S0" in line]
    head = next(line for line in text.splitlines() if "measured" in line)
    assert row.index("94.2") > head.index("measured") + len("measured")  # below "published"
    found = program(*command, "--template", "a {}.", "--json").json
    assert found["templates"] == ["a {}."]
    assert found["published"]["same_model"] is None
    assert found["published"]["nearest_in_size"][0]["percent"] == {"acc@1": 94.2}
