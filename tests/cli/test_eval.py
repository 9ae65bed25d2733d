"""`clipsearch eval`: figures over real photos, and files that are none."""

from __future__ import annotations

from pathlib import Path

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
    text = program("eval", "retrieval", captions, "--photos", photos).stdout.decode()
    assert "R@1" in text and "0.750 [" in text
    missing = program("eval", "retrieval", captions)
    assert missing.code == 2 and "--photos DIR" in missing.stderr
    absent = program("eval", "retrieval", tmp_path / "absent.tsv")
    assert absent.code == 2 and "absent.tsv cannot be read (No such file or directory)." in absent.stderr


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
