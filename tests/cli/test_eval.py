"""`clipsearch eval`: figures over real photos, and files that are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

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
    assert "the 18 templates published for cifar10, averaged" in text  # as published, where none is named
    assert "No figure of starter over CIFAR-10 is published" in text
    (row,) = [line for line in text.splitlines() if "MobileCLIP2-S0" in line]
    head = next(line for line in text.splitlines() if "measured" in line)
    assert row.index("94.2") > head.index("measured") + len("measured")  # below "published"
    found = program(*command, "--template", "a {}.", "--json").json
    assert found["templates"] == ["a {}."]
    assert found["published"]["same_model"] is None
    assert found["published"]["nearest_in_size"][0]["percent"] == {"acc@1": 94.2}


def test_the_template_that_was_asked_is_named_where_none_was_given(program: Program, photos: Path) -> None:
    """An empty list, or "1", of a figure that another sentence changes by points."""
    command = ("eval", "zero-shot", photos, "--per-class", "1")
    assert program(*command, "--json").json["templates"] == ["a photo of {}."]
    assert '"a photo of {}."' in program(*command).text


def test_words_find_their_photos(program: Program, photos: Path, tmp_path: Path) -> None:
    """Three words find theirs first; the fourth is said of a photo that shows none, which comes late."""
    table = tmp_path / "objects.tsv"
    table.write_text(
        "file\tobjects\nfood/coffee-cup.jpg\tcoffee, skyscraper\nanimals/jellyfish.jpg\tjellyfish\n"
        "animals/perched-osprey.jpg\tbird\ncity/skyscrapers-sunset.jpg\t\n"
    )
    found = program("eval", "words", table, "--photos", photos, "--json").json
    assert (found["photos"], found["templates"]) == (4, ["{}"])
    precision = {one["word"]: one["precision"] for one in found["words"]}
    assert [precision[word] for word in ("bird", "coffee", "jellyfish")] == [1.0] * 3
    assert precision["skyscraper"] <= 0.5
    assert found["mean"] == (3 + precision["skyscraper"]) / 4 and found["low"] <= found["mean"] <= found["high"]
    said = program("eval", "words", table, "--photos", photos, "--template", "a photo of a {}.").stdout.decode()
    assert "4 photos · 4 words" in said and "word mAP 0." in said and "by chance" in said
    assert program("eval", "words", table, "--photos", photos, "--template", "no place").code == 2


def test_a_photo_that_cannot_be_read_ends_no_search_for_words(program: Program, photos: Path, tmp_path: Path) -> None:
    """One damaged file of five thousand ended the run; what is in it alone cannot be asked, and that is said."""
    for name in ("food/coffee-cup", "animals/jellyfish"):
        shutil.copy(photos / f"{name}.jpg", tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    table = tmp_path / "objects.tsv"
    table.write_text(
        "file\tobjects\nbroken.jpg\tzebra, coffee\ncoffee-cup.jpg\tcoffee\njellyfish.jpg\tjellyfish\n", "utf-8"
    )
    outcome = program("eval", "words", table, "--json")
    assert outcome.code == 0, outcome.stderr
    found = outcome.json
    assert {one["word"]: (one["photos"], one["precision"]) for one in found["words"]} == {
        "coffee": (1, 1.0), "jellyfish": (1, 1.0),
    }  # fmt: skip
    assert (found["photos"], found["words_left_out"], len(found["failures"])) == (2, ["zebra"], 1)
    said = program("eval", "words", table)
    assert "broken.jpg was left out" in said.stderr
    assert "Left out: 1 photo that cannot be read, with 1 word that is in no other: zebra" in said.text
    few = program("eval", "words", table, "--min-photos", "2")
    assert few.code == 2 and "No word is in 2 photos" in few.stderr


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


@pytest.mark.parametrize(
    "command",
    [
        ("lab", "prompts"),
        ("lab", "temperature"),
        ("lab", "space"),
        ("lab", "compare", "--", "starter", "starter"),
        ("lab", "precision"),
        ("lab", "report", "--output", "page.html"),
        ("eval", "preprocessing", "--classes"),
        ("bench",),
    ],
    ids=" ".join,
)
def test_every_command_over_classes_can_be_told_the_set(
    command: tuple[str, ...], program: Program, photos: Path
) -> None:
    """`Say which with --set` was the advice of commands that had no such option."""
    words = list(command)
    place = words.index("--") if "--" in words else len(words)
    said = program(*words[:place], photos, *words[place + 1 :], "--set", "cifar11", "--per-class", "2")
    assert said.code == 2 and 'There is no set "cifar11"' in said.stderr


@pytest.mark.slow
def test_of_many_captioned_photos_and_classes_some_are_drawn(program: Program, tmp_path: Path, small: Path) -> None:
    """All pixels are held at once: 5,000 photos of COCO took 1.5 GB."""
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(110):
            Image.new("RGB", (40, 40), (number, 99, 0)).save(tmp_path / "set" / name / f"{number}.png")
    table = tmp_path / "captions.tsv"
    table.write_text("".join(f"{name}/{number}.png\ta {name}\n" for name in ("cat", "dog") for number in range(110)))
    asked = ("--captions", table, "--photos", tmp_path / "set", "--model", small)
    assert program("eval", "variants", *asked, "--json").json["samples"] == "200 of 220 photos with 200 captions"
    for source in (asked, ("--classes", tmp_path / "set", "--model", small)):
        outcome = program("eval", "preprocessing", *source)
        assert outcome.code == 0, outcome.stderr
        assert "; 200 photos" in outcome.text and "200 of 220 photos were drawn" in outcome.text


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
