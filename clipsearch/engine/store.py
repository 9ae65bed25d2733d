"""Where models lie: the starter inside the package, one folder each in the models folder, or a folder by its path."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from clipsearch.engine.cards import CARD, ModelCard, read_card
from clipsearch.errors import ModelError

STARTER_FOLDER = Path(__file__).parent.parent / "starter"
DEFAULT_MODEL = "starter"


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
    """The model of this name, or in this folder. Raises ModelError that suggests the nearest name."""
    if name == DEFAULT_MODEL:
        return read_card(STARTER_FOLDER)
    for folder in (models / name, Path(os.path.expanduser(name))):
        if (folder / CARD).is_file():
            return read_card(folder)
    names = [model_handle(card, models) for card in available_models(models)[0]]
    near = difflib.get_close_matches(name, names, n=1)
    suggestion = f' Did you mean "{near[0]}"?' if near else ""
    raise ModelError(
        f'There is no model "{name}".{suggestion} Installed: {", ".join(names)}.',
        "See them with: clipsearch model list",
    )


def model_handle(card: ModelCard, models: Path) -> str:
    """What `find_model` finds this model by again: its name, or its folder when it lies elsewhere."""
    if card.folder == STARTER_FOLDER:
        return DEFAULT_MODEL
    # A folder that is called like the starter is found by its path only.
    found_by_name = card.folder.parent == models and card.folder.name != DEFAULT_MODEL
    return card.folder.name if found_by_name else str(card.folder.absolute())
