"""`clipsearch eval`: figures over real photos, and files that are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.support.small import small_model


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
    text = program("eval", "retrieval", captions, "--photos", photos).stdout.decode()
    assert "R@1" in text and "0.750 [" in text
    missing = program("eval", "retrieval", captions)
    assert missing.code == 2 and "--photos DIR" in missing.stderr
    absent = program("eval", "retrieval", tmp_path / "absent.tsv")
    assert absent.code == 2 and "absent.tsv cannot be read (No such file or directory)." in absent.stderr


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that runs in milliseconds, for what is no question of meaning."""
    return small_model(tmp_path_factory.mktemp("models") / "small").folder


def test_a_named_backend_is_compared(program: Program, small: Path) -> None:
    """A script sees the end by the exit code, a person by the first sentence."""
    found = program("eval", "backends", "--model", small, "--backend", "openvino")
    assert found.code == 0, found.stderr
    assert found.text.startswith("openvino-cpu agrees with onnxruntime-cpu; ") and "0 golden pictures" in found.text
    absent = program("eval", "backends", "--backend", "nonsense")
    assert absent.code == 4 and 'There is no backend "nonsense".' in absent.stderr


def test_variants_take_the_photos_of_the_library_or_say_that_there_are_none(
    program: Program, small: Path, photos: Path
) -> None:
    said = program("eval", "variants", "--model", small)
    assert said.code == 2 and "The library has no photos to measure with." in said.stderr
    both = program("eval", "variants", photos, "--captions", "captions.tsv")
    assert both.code == 2 and "PHOTOS and --captions are both given." in both.stderr
    named = program("eval", "variants", photos / "food", "--model", small, "--json").json
    assert named["samples"] == "3 photos" and named["reference"] == "fp32 on onnxruntime-cpu"


def test_preprocessing_is_shown_by_harm(program: Program, photos: Path, tmp_path: Path, small: Path) -> None:
    """With captions the answers count; what cannot be read is named."""
    shutil.copytree(photos / "food", tmp_path / "some")
    shutil.copy(photos / "broken" / "half-copied.jpg", tmp_path / "some")
    page = tmp_path / "page.html"
    outcome = program("eval", "preprocessing", tmp_path / "some", "--model", small, "--output", page)
    assert outcome.code == 0, outcome.stderr
    assert (
        "half-copied.jpg was left out: " in outcome.stderr and "small, fp32/onnxruntime-cpu; 3 photos" in outcome.text
    )
    assert "does most harm" in outcome.text and "blue and red swapped" in page.read_text()
    assert program("eval", "preprocessing").code == 2


def test_recall_of_a_small_library_is_that_of_an_exact_search(indexed: Program, tmp_path: Path) -> None:
    """One's own queries are asked as they are typed, filters too."""
    queries = tmp_path / "queries.txt"
    queries.write_text("dog\n\ncup of coffee size:>1kb\n")
    found = indexed("eval", "recall", "--queries", queries, "--questions", "2", "-k", "5", "--json").json
    assert found["k"] == 5 and found["photos"] > 40
    texts = [one for one in found["measured"] if one["kind"] == "texts"]
    assert sorted((one["plan"], one["questions"]) for one in texts) == [("exact", 1), ("filtered exact", 1)]
    assert {one["mean"] for one in found["measured"]} == {1.0}
    queries.write_text("\n")
    assert indexed("eval", "recall", "--queries", queries).code == 2
