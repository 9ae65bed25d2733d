"""Models are found by name or by folder, and found again later."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipsearch.engine.cards import CARD
from clipsearch.engine.store import STARTER_FOLDER, available_models, find_model, model_handle
from clipsearch.errors import Exit, ModelError
from tests.engine.test_cards import GOOD


def installed(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    folder.joinpath(CARD).write_text(GOOD.replace('"toy"', f'"{name}"'))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("siglip-base", "clip-vit-b32"):
        installed(tmp_path / "models" / name, name)
    return tmp_path / "models"


def test_the_starter_is_found_without_any_models_folder(tmp_path: Path) -> None:
    """A fresh install has no models folder and must answer."""
    assert find_model("starter", tmp_path / "absent").folder == STARTER_FOLDER
    assert [card.name for card in available_models(tmp_path / "absent")[0]] == ["starter"]


def test_models_are_listed_by_name_after_the_starter(models: Path) -> None:
    """The list must not change its order from one disk to the next; a folder without a card is no model."""
    models.joinpath("notes").mkdir()
    models.joinpath("README.md").write_text("mine")
    assert [card.name for card in available_models(models)[0]] == ["starter", "clip-vit-b32", "siglip-base"]


def test_an_unknown_model_suggests_the_nearest(models: Path) -> None:
    """A typing mistake costs one look and no search in the documentation."""
    with pytest.raises(ModelError) as caught:
        find_model("siglip-bse", models)
    assert 'Did you mean "siglip-base"?' in caught.value.message
    assert "Installed: starter, clip-vit-b32, siglip-base." in caught.value.message
    assert caught.value.exit_code == Exit.MODEL


def test_a_name_near_nothing_suggests_nothing(models: Path) -> None:
    """A wild suggestion is worse than none."""
    with pytest.raises(ModelError) as caught:
        find_model("qqqqq", models)
    assert "Did you mean" not in caught.value.message and '"qqqqq"' in caught.value.message


def test_what_is_suggested_can_be_found(models: Path) -> None:
    """The card in a renamed folder has another name; suggesting that one would lead nowhere."""
    installed(models / "my-favourite", "some-published-name")
    with pytest.raises(ModelError, match='Did you mean "my-favourite"') as caught:
        find_model("my-favorite", models)
    assert "some-published-name" not in caught.value.message
    assert find_model("my-favourite", models).name == "some-published-name"


def test_a_folder_is_found_by_its_path(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model under construction is tried where it lies."""
    folder = installed(tmp_path / "work" / "toy", "toy")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "work"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "work"))
    for name in (str(folder), "work/toy", "~/toy"):
        assert find_model(name, models).folder.resolve() == folder.resolve()


@pytest.mark.parametrize("name", ["starter", "siglip-base", "work/toy", "work/starter"])
def test_a_model_is_found_again_by_its_handle(
    name: str, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library remembers the handle only: a wrong one would leave its photos without their model."""
    for other in ("toy", "starter"):
        installed(tmp_path / "work" / other, other)
    monkeypatch.chdir(tmp_path)
    card = find_model(name, models)
    folder, handle = card.folder.resolve(), model_handle(card, models)
    monkeypatch.chdir(models)
    assert find_model(handle, models).folder.resolve() == folder


def test_a_folder_called_starter_is_not_taken_for_the_starter(models: Path) -> None:
    """Its library would be searched with the texts of another model."""
    folder = installed(models / "starter", "impostor")
    card = find_model(str(folder), models)
    assert card.name == "impostor"
    assert find_model(model_handle(card, models), models).name == "impostor"


def test_one_broken_card_hides_no_other_model(tmp_path: Path) -> None:
    """A half-made folder would take every model away, and hide which folder it is."""
    for name, text in (("broken", "name = 1"), ("good", (STARTER_FOLDER / "card.toml").read_text("utf-8"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.toml").write_text(text, "utf-8")
    cards, broken = available_models(tmp_path)
    assert [card.folder.name for card in cards] == ["starter", "good"]
    assert len(broken) == 1 and "broken" in broken[0].message


def test_a_name_is_found_however_it_is_written(models: Path) -> None:
    """Names are copied with a blank in front, and typed in capitals."""
    for name in (" clip-vit-b32", "CLIP-ViT-B32 ", "clip_vit_b32"):
        assert find_model(name, models).folder == models / "clip-vit-b32"
    installed(models / "ends in a blank ", "other")
    assert find_model("ends in a blank ", models).name == "other"


def test_a_model_that_can_be_fetched_is_not_said_to_be_unknown(models: Path) -> None:
    """The way to it is one command."""
    with pytest.raises(ModelError, match="vit-b-32-laion2b is not on this machine") as caught:
        find_model("ViT-B-32__laion2b-s34b-b79k", models)
    assert caught.value.hint == "clipsearch model pull vit-b-32-laion2b"


def test_an_empty_name_is_no_model(models: Path) -> None:
    """The models folder itself, with a card in it, would be one."""
    installed(models / "x", "x")
    (models / CARD).write_text((models / "x" / CARD).read_text())
    for name in ("", " "):
        with pytest.raises(ModelError):
            find_model(name, models)
