"""`clipsearch model list`: what the models are worth, said plainly."""

from __future__ import annotations

import shutil

from clipsearch.engine.store import STARTER_FOLDER
from tests.cli.program import Program


def test_the_starter_is_called_small_with_its_caution_and_the_way_to_a_better_one(program: Program) -> None:
    """People would judge the program by its starter, or ship photos under terms they were not told of."""
    outcome = program("model", "list")
    text = outcome.stdout.decode()
    assert outcome.code == 0 and outcome.stderr == ""
    assert "starter" in text and "small" in text
    assert "research" in text and "Caution" in text
    assert "CLIP model" in text and "clipsearch index --model" in text
    assert str(program.folder / "models") in text


def test_json_has_the_same_facts(program: Program) -> None:
    """A program that offers models could not repeat the caution."""
    (card,) = program("model", "list", "--json").json
    assert set(card) >= {"name", "version", "summary", "licence", "caution", "dim", "folder"}
    assert (card["name"], card["dim"]) == ("starter", 512)
    assert "research" in card["caution"]


def test_a_model_folder_put_there_is_listed(program: Program) -> None:
    """The way that the list itself describes has to work."""
    folder = program.folder / "models" / "mine"
    folder.mkdir(parents=True)
    card = (STARTER_FOLDER / "card.toml").read_text().replace('name = "starter"', 'name = "mine"', 1)
    (folder / "card.toml").write_text(card)
    assert [card["name"] for card in program("model", "list", "--json").json] == ["starter", "mine"]
    shutil.rmtree(folder)
    assert [card["name"] for card in program("model", "list", "--json").json] == ["starter"]
