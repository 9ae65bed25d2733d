"""Where models lie: the starter inside the package, one folder each in the models folder, or a folder by its path."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from clipsearch.engine.cards import CARD, ModelCard, read_card
from clipsearch.engine.pulling.catalogue import canonical, catalogue, entry_for, nearest
from clipsearch.errors import ModelError, UsageError

STARTER_FOLDER = Path(__file__).parent.parent / "starter"
DEFAULT_MODEL = "starter"
PULLING = ".pulling"  # in the models folder: what is not a model yet, or no longer one
_REMOVED = "removed-"


def available_models(models: Path) -> tuple[list[ModelCard], list[ModelError]]:
    """The starter first, then what lies in the models folder, by name; and what is wrong with the others."""
    cards, broken = [read_card(STARTER_FOLDER)], []
    for path in sorted(models.glob(f"*/{CARD}")):
        try:
            cards.append(read_card(path.parent))
        except ModelError as error:
            broken.append(error)
    return cards, broken


def find_model(name: str, models: Path) -> ModelCard:
    """The model of this name, or in this folder. Raises ModelError that suggests the nearest name.

    Names of the catalogue are found however they are written: `ViT-B-32__openai` is vit-b-32-openai.
    """
    wish = name.strip()
    if wish == DEFAULT_MODEL:
        return read_card(STARTER_FOLDER)
    for said in filter(None, dict.fromkeys((name, wish))):  # as it stands first: a folder's name may end in a blank
        for folder in (models / said, Path(os.path.expanduser(said))):
            if (folder / CARD).is_file():
                return read_card(folder)
    # The catalogue is read only now: the name of a folder needs none.
    entry = entry_for(wish)
    called = entry.name if entry else canonical(wish)
    if called and (models / called / CARD).is_file():
        return read_card(models / called)
    installed = [model_handle(card, models) for card in available_models(models)[0]]
    if entry:
        raise ModelError(f"{entry.name} is not on this machine.", f"clipsearch model pull {entry.name}")
    near = nearest(wish, known_names(models))
    suggestion = f' Did you mean "{near}"?' if near else ""
    raise ModelError(
        f'There is no model "{wish}".{suggestion} Installed: {", ".join(installed)}.',
        "See them with: clipsearch model list",
    )


def model_handle(card: ModelCard, models: Path) -> str:
    """What `find_model` finds this model by again: its name, or its folder when it lies elsewhere."""
    if card.folder == STARTER_FOLDER:
        return DEFAULT_MODEL
    # A folder that is called like the starter is found by its path only.
    found_by_name = card.folder.parent == models and card.folder.name != DEFAULT_MODEL
    return card.folder.name if found_by_name else str(card.folder.absolute())


def known_names(models: Path) -> list[str]:
    """Names that a person may have meant: what is installed, and what can be."""
    installed = [model_handle(card, models) for card in available_models(models)[0]]
    return list(dict.fromkeys([*installed, *(entry.name for entry in catalogue())]))


def is_installed(name: str, models: Path) -> bool:
    return bool(name) and (models / name / CARD).is_file()


def begun_models(models: Path) -> list[str]:
    """Names of models of which something has been fetched, but not all."""
    folders = [path.name for path in (models / PULLING).glob("*") if path.is_dir()]
    return sorted(name for name in folders if not name.startswith(_REMOVED))


def remove_begun(name: str, models: Path) -> bool:
    """Whether something of a model of this name had been fetched; it is gone now."""
    entry = entry_for(name)
    called = entry.name if entry else canonical(name)
    if called not in begun_models(models):
        return False
    shutil.rmtree(models / PULLING / called)
    return True


def remove_model(card: ModelCard, models: Path) -> None:
    """Takes the model out of the models folder. Raises UsageError for one that does not lie there."""
    if card.folder == STARTER_FOLDER:
        raise UsageError(
            "The starter is part of clipsearch and stays.", "Search with another one: clipsearch model use NAME"
        )
    if card.folder.parent != models:
        raise UsageError(
            f"{card.folder} is not in the models folder {models}; clipsearch leaves it alone.", "Delete it yourself."
        )
    pulling = models / PULLING
    pulling.mkdir(exist_ok=True)
    for left in pulling.glob(f"{_REMOVED}*"):  # of a process that was killed here
        shutil.rmtree(left)
    # One rename first, so that a crash leaves the whole model or none (P1 in pull.py), never some of its files.
    gone = Path(tempfile.mkdtemp(prefix=_REMOVED, dir=pulling))
    card.folder.rename(gone / card.folder.name)
    shutil.rmtree(gone)
