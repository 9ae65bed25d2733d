"""`clipsearch zsl`: labels of one's own, with probabilities that mean something."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from clipsearch import Engine
from clipsearch.cli import zsl
from clipsearch.labels.sets import label_set
from tests.cli.program import Program, copied, said_once

LABELS = "jellyfish,a cup of coffee,a city at night"


def test_json_names_every_label_of_every_photo(indexed: Program, photos: Path) -> None:
    """A script that sorts photos by label needs all of them, in one known form."""
    outcome = indexed("zsl", photos / "animals", photos / "food/coffee-cup.jpg", "--labels", LABELS, "--json")
    assert outcome.code == 0 and outcome.stderr == ""
    rows = outcome.json
    assert [row["path"] for row in rows] == [
        *sorted(str(path) for path in (photos / "animals").iterdir()), str(photos / "food/coffee-cup.jpg"),
    ]  # fmt: skip
    for row in rows:
        assert set(row) == {"path", "label", "probability", "labels"} and row["label"] == row["labels"][0]["label"]
        assert {one["label"] for one in row["labels"]} == set(LABELS.split(","))
        assert all(set(one) == {"label", "probability", "score"} for one in row["labels"])
        probabilities = [one["probability"] for one in row["labels"]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert probabilities == sorted(probabilities, reverse=True) and probabilities[-1] >= 0
        scores = [one["score"] for one in row["labels"]]
        assert scores == sorted(scores, reverse=True) and all(-1 <= score <= 1 for score in scores)
    best = {os.path.basename(row["path"]): row["labels"][0]["label"] for row in rows}
    assert best["jellyfish.jpg"] == "jellyfish" and best["coffee-cup.jpg"] == "a cup of coffee"


def test_probabilities_follow_the_scale_of_the_model(indexed: Program, photos: Path) -> None:
    """Under another scale 99 % would mean nothing."""
    (row,) = indexed("zsl", photos / "food/coffee-cup.jpg", "--labels", LABELS, "--json").json
    logits = 85.0 * np.array([one["score"] for one in row["labels"]])  # starter/card.toml
    wanted = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert [one["probability"] for one in row["labels"]] == pytest.approx(wanted.tolist(), abs=1e-4)


def test_ndjson_and_a_pipe_give_a_line_a_photo(indexed: Program, photos: Path) -> None:
    """A long folder could not be followed while it is labelled."""
    wanted = indexed("zsl", photos / "food", "--labels", LABELS, "--json").json
    lines = indexed("zsl", photos / "food", "--labels", LABELS, "--ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == wanted and len(wanted) == 3
    plain = indexed("zsl", photos / "food", "--labels", LABELS).stdout.decode().splitlines()
    for line, row in zip(plain, wanted, strict=True):
        best = row["labels"][0]
        assert line.split("\t") == [row["path"], best["label"], f"{best['probability']:.4f}"]


def test_a_terminal_shows_names_labels_and_percent(indexed: Program, photos: Path) -> None:
    """The one form that people read."""
    shown = indexed.on_terminal("zsl", photos / "food/coffee-cup.jpg", "--labels", LABELS, columns=120)
    assert shown.code == 0 and "coffee-cup.jpg" in shown.text and "a cup of coffee" in shown.text
    assert max(map(len, shown.text.splitlines())) <= 120


def test_labels_come_from_a_file_or_from_stdin(indexed: Program, photos: Path, tmp_path: Path) -> None:
    """A hundred labels do not fit a command line, and a label may hold a comma."""
    lines = "# mine\n\njellyfish\na cup of coffee\r\n  a city at night  \n"
    labels = tmp_path / "labels.txt"
    labels.write_bytes(lines.encode())
    wanted = indexed("zsl", photos / "food", "--labels", LABELS, "--json").json
    assert indexed("zsl", photos / "food", "--labels-file", labels, "--json").json == wanted
    assert indexed("zsl", photos / "food", "--labels-file", "-", "--json", stdin=lines.encode()).json == wanted
    labels.write_text("a cup, of coffee\nother\n")
    rows = indexed("zsl", photos / "food/coffee-cup.jpg", "--labels-file", labels, "--json").json
    assert {one["label"] for one in rows[0]["labels"]} == {"a cup, of coffee", "other"}


def test_templates_are_averaged_as_unit_vectors(indexed: Program, photos: Path) -> None:
    """Taking the last template, or the mean of the scores, gives other numbers than the papers' ensembles."""
    image, templates = photos / "food/coffee-cup.jpg", ("a photo of a {}.", "a drawing of a {}.")
    options = [word for template in templates for word in ("--template", template)]
    (row,) = indexed("zsl", image, "--labels", "cup,dog", *options, "--json").json
    with Engine(models_folder=indexed.folder / "models", cache_folder=indexed.cache) as engine:
        stored = engine.encode_images(image).vectors[0].astype(np.float16).astype(np.float32)
        for one in row["labels"]:
            mean = engine.encode_text(template.replace("{}", one["label"]) for template in templates).mean(axis=0)
            cosine = mean @ stored / (np.linalg.norm(mean) * np.linalg.norm(stored))
            assert one["score"] == pytest.approx(float(cosine), abs=1e-4)
    (single,) = indexed("zsl", image, "--labels", "cup,dog", *options[:2], "--json").json
    assert single["labels"][0]["score"] != row["labels"][0]["score"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--labels", "dog"], "shares 100 %"),
        (["--labels", "dog,cat, dog"], "twice"),
        (["--labels", " , "], "no labels"),
        ([], "no labels"),
        (["--labels", "a,b", "--template", "a photo"], "0 places"),
        (["--labels", "a,b", "--template", "{} and {}"], "2 places"),
        (["--labels", os.fsdecode(b"caf\xe9,b")], "not UTF-8"),
    ],
)
def test_labels_that_cannot_work_are_refused_with_the_reason(
    indexed: Program, photos: Path, options: list[str], said: str
) -> None:
    """One label under softmax always gets 100 %: an answer that says nothing and looks certain."""
    outcome = indexed("zsl", photos / "food", *options)
    assert said in said_once(outcome, 2) and outcome.stdout == b""


def test_it_works_without_any_library(program: Program, photos: Path) -> None:
    """Who only wants labels would have to index first."""
    outcome = program("zsl", photos / "food", "--labels", LABELS, "--json")
    assert outcome.code == 0 and len(outcome.json) == 3
    assert not program.library.exists()


def test_stored_vectors_answer_without_decoding(indexed: Program, program: Program, photos: Path) -> None:
    """Labelling a library again would take as long as indexing it."""
    arguments = ("zsl", photos / "food", "--labels", LABELS, "--json")
    first = indexed(*arguments)
    again, loaded = indexed.modules(*arguments)
    assert again.json == first.json
    assert not {"PIL", "onnxruntime", "openvino", "tokenizers", "usearch"} & loaded
    decoded = program(*arguments).json
    for stored, fresh in zip(again.json, decoded, strict=True):
        for one, other in zip(stored["labels"], fresh["labels"], strict=True):
            assert one["label"] == other["label"] and one["score"] == pytest.approx(other["score"], abs=1e-3)


def test_a_broken_file_is_told_and_the_others_keep_their_labels(program: Program, photos: Path) -> None:
    """One broken file would stop the run, or shift the labels of all after it."""
    folder = program.folder / "in"
    copied(photos, folder, "animals/jellyfish.jpg", "broken/half-copied.jpg", "food/coffee-cup.jpg")
    outcome = program("zsl", folder, "--labels", LABELS, "--json")
    assert outcome.code == 0
    assert [(os.path.basename(row["path"]), row["labels"][0]["label"]) for row in outcome.json] == [
        ("coffee-cup.jpg", "a cup of coffee"), ("jellyfish.jpg", "jellyfish"),
    ]  # fmt: skip
    assert "half-copied.jpg was left out: " in outcome.stderr and "cut short" in outcome.stderr
    alone = program("zsl", folder / "half-copied.jpg", "--labels", LABELS, "--json")
    assert "left out" in said_once(alone, 5) and alone.json == []


def test_a_whole_library_is_labelled_without_naming_a_path(indexed: Program) -> None:
    """Its vectors are all there; decoding everything again would take hours."""
    rows = indexed("zsl", "--labels", LABELS, "--ndjson", "--top", "2").stdout.splitlines()
    assert len(rows) == 45
    assert all(len(json.loads(row)["labels"]) == 2 for row in rows)
    empty = indexed.folder / "nothing"
    assert indexed("zsl", "--labels", "a,b", "--library", empty).code == 3


def test_what_fits_none_of_the_labels_is_unknown(indexed: Program, photos: Path) -> None:
    """A photo that is sorted under a wrong label is lost; 100 % among wrong labels is no proof."""
    asked = ("zsl", photos / "food/coffee-cup.jpg", photos / "animals/perched-osprey.jpg", "--labels", "a bird,a ship")
    assert [row["label"] for row in indexed(*asked, "--json").json] == ["a ship", "a bird"]
    assert [row["label"] for row in indexed(*asked, "--unknown", "--json").json] == [None, "a bird"]
    assert b"\tunknown\t" in indexed(*asked, "--unknown").stdout.splitlines()[0]
    saved = indexed(*asked, "--unknown", "--save")
    assert "Saved the best label of 1 photo; 1 fit none." in saved.stderr
    assert indexed("search", 'label:"a bird"').paths == [str(photos / "animals/perched-osprey.jpg")]
    assert indexed("search", "label:unknown").code == 1


def test_a_set_that_ships_and_a_file_with_kinds(indexed: Program, photos: Path, tmp_path: Path) -> None:
    """What is no sure cat may still be a sure animal."""
    labels = tmp_path / "labels.toml"
    labels.write_text(
        'labels = ["a car"]\n[label.cat]\nunder = "animal"\nthreshold = 1.0\n[label.dog]\nunder = "animal"'
    )
    cat = photos / "animals/cat-on-armchair.jpg"
    (row,) = indexed("zsl", cat, "--labels-file", labels, "--json").json
    assert (row["label"], row["labels"][0]["label"]) == ("animal", "cat")
    assert row["probability"] == pytest.approx(1 - row["labels"][-1]["probability"], abs=1e-5)  # cat or dog, not a car
    (row,) = indexed("zsl", cat, "--set", "everyday", "--json").json
    assert row["label"] == "cat"
    assert indexed("zsl", cat, "--set", "nothing").code == 2
    assert indexed("zsl", cat, "--set", "mnist", "--labels", "a,b").code == 2


def test_a_table_for_a_spreadsheet(indexed: Program, photos: Path) -> None:
    """Commas in labels and names must not move a column."""
    outcome = indexed("zsl", photos / "animals", "--labels", LABELS, "--csv")
    head, *rows = csv.reader(outcome.stdout.decode().splitlines())
    assert head == ["path", "label", "probability", "score", "others"]
    assert {len(row) for row in rows} == {5} and len(rows) == len(list((photos / "animals").iterdir()))
    assert indexed("zsl", photos / "animals", "--labels", LABELS, "--csv", "--json").code == 2


def test_numbers_of_a_table_are_those_of_the_label_beside_them(indexed: Program, photos: Path) -> None:
    """`unknown` had the probability of a label that the row did not name."""
    outcome = indexed("zsl", photos / "animals/jellyfish.jpg", "--labels", "cat,jellyfish", "--margin", "100", "--csv")
    (row,) = csv.DictReader(outcome.stdout.decode().splitlines())
    assert (row["label"], row["probability"], row["score"]) == ("unknown", "", "")
    assert row["others"].startswith("jellyfish 0.") and "; cat 0." in row["others"]


def test_many_texts_are_announced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """ImageNet's 998 labels were minutes without a word."""
    monkeypatch.setattr(zsl, "_MANY_TEXTS", 4)
    two = ["a {}.", "the {}."]
    zsl._tell_long(label_set(["cat"], two))
    assert capsys.readouterr().err == ""
    zsl._tell_long(label_set(["cat", "dog"], two))
    assert "2 labels are 4 texts to encode" in capsys.readouterr().err


def test_words_and_pictures_are_compared_without_a_library(program: Program, photos: Path) -> None:
    """clip.cpp's `main`: how alike are these two?"""
    cat, cup = photos / "animals/cat-on-armchair.jpg", photos / "food/coffee-cup.jpg"
    asked = ("similarity", "--text", "a cat", "--text", "a cup of coffee", "--image", cat, "--image", cup)
    pairs = {(row["text"], Path(row["path"]).name): row["score"] for row in program(*asked, "--json").json}
    assert pairs["a cat", cat.name] > pairs["a cup of coffee", cat.name]
    assert pairs["a cup of coffee", cup.name] > pairs["a cat", cup.name]
    table = program(*asked).stdout.decode()
    assert f"{pairs['a cat', cat.name]:.4f}" in table.splitlines()[1] and cup.name in table.splitlines()[0]
    assert program("similarity", "--text", "a cat").code == 2
    assert "A text is empty" in said_once(program("similarity", "--text", " ", "--image", cat), 2)
    absent = program("similarity", "--text", "a cat", "--image", photos / "absent.jpg")
    assert "`" not in said_once(absent, 5)  # names of Python's are no way out here


def test_examples_are_learned_from_and_kept(program: Program, photos: Path, tmp_path: Path) -> None:
    """What was learned could not be used again, or would label other photos than with the examples at hand."""
    examples, kept = tmp_path / "examples", tmp_path / "my labels.toml"
    for name, photo in (("cat", "animals/cat-on-armchair.jpg"), ("food", "food/coffee-cup.jpg")):
        copied(photos, examples / name, photo)
    learned = program("zsl", photos / "food", "--examples", examples, "--write-labels", kept, "--json")
    assert "Learned from 2 photos of 2 labels." in learned.stderr and f"--labels-file '{kept}'" in learned.stderr
    again = program("zsl", photos / "food", "--labels-file", kept, "--json")
    assert again.json == learned.json and again.stderr == ""
    assert again.json != program("zsl", photos / "food", "--labels", "cat,food", "--json").json
    said_once(program("zsl", "--labels", "cat,food", "--write-labels", kept), 5)  # it is there already
    said_once(program("zsl", "--labels", "cat,food", "--write-labels", tmp_path / "labels.txt"), 2)


def test_sidecars_are_written_when_that_is_agreed_to(program: Program, photos: Path) -> None:
    """A script that only wanted to look would have touched every folder."""
    folder = program.folder / "in"
    copied(photos, folder, "animals/cat-on-armchair.jpg", "food/coffee-cup.jpg")
    before = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    (broken,) = (path.with_name(path.name + ".xmp") for path in before if "cup" in path.name)
    broken.write_text("<x:xmpmeta")
    asked = ("zsl", folder, "--labels", "cat,a cup of coffee", "--write-xmp")
    planned = program(*asked)
    assert planned.code == 2 and not list(folder.rglob("cat*.xmp"))
    assert "  made     " in planned.stderr and "1 made, 1 left alone" in planned.stderr and "--yes" in planned.stderr
    assert f"clipsearch: {broken} is left alone: it is not well-formed XML" in planned.stderr
    done = program(*asked, "--yes")
    assert done.code == 0 and done.stdout == planned.stdout and "Wrote 1 sidecar." in done.stderr
    (sidecar,) = folder.rglob("cat*.xmp")
    assert b"<rdf:li>cat</rdf:li>" in sidecar.read_bytes() and broken.read_text() == "<x:xmpmeta"
    assert {path: path.read_bytes() for path in folder.rglob("*.jpg")} == before
    assert "1 unchanged, 1 left alone. There is nothing to write." in program(*asked).stderr
    said_once(program("zsl", folder, "--labels", "a,b", "--yes"), 2)
