"""A variant comes into a model's folder: files first, synced, under names that nothing else has; the card last.

(A1) At any moment the card names files that are there, whole. A kill leaves the old card, and files that no card names.
(A2) A file is never written over: a variant that is made again gets new names, and the old files go after the new card.
(A3) Files that no card names, called as variants are, are of a run that failed, which removes them, or of one
     that was killed: the next one does.
"""

from __future__ import annotations

import contextlib
import errno
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from clipsearch.engine.cards import CARD, ModelCard, TowerFile, Variant, read_card
from clipsearch.engine.cardtext import card_text
from clipsearch.engine.pulling.catalogue import canonical
from clipsearch.engine.pulling.sources import file_digest
from clipsearch.engine.store import DEFAULT_MODEL, PULLING, STARTER_FOLDER
from clipsearch.errors import LibraryError, ModelError, SystemFault
from clipsearch.files import exclusive_lock, publish, sync_file, sync_folder

_OURS = re.compile(r"[a-z0-9-]+\.[0-9a-f]{8}\.(image|text)\.(onnx|onnx\.data|xml|bin)")


@contextlib.contextmanager
def opened_for_adding(card: ModelCard, models: Path) -> Iterator[ModelCard]:
    """The card in the models folder, held against others that change it, rid of what a killed run has left.

    A model that lies elsewhere, and the starter, are copied into the models folder first: clipsearch writes nowhere
    else. Raises ModelError where another model has that name, LibraryError where another process is at it.
    """
    name = _name(card, models)
    (models / PULLING).mkdir(parents=True, exist_ok=True)
    with exclusive_lock(models / PULLING / f"{name}.lock", "clipsearch model quantize", _taken(name)), _disk(models):
        folder = models / name
        if folder != card.folder:
            _copied(card, folder)
        here = read_card(folder)
        _drop_strangers(here)
        try:
            yield here
        except BaseException:  # Ctrl-C too: what was written is of no use, and may be gigabytes
            with contextlib.suppress(OSError, ModelError):  # the first error is the one to tell; the next run comes by
                _drop_strangers(read_card(folder))
            raise


def new_stem(variant: str, role: str) -> str:
    """What a file of it is called, less its suffix."""
    return f"{variant}.{secrets.token_hex(4)}.{role}"


def described(file: Path) -> TowerFile:
    """A tower whose files are written: the graph, and its weights where they lie beside it."""
    beside = file.with_suffix(".bin") if file.suffix == ".xml" else file.with_name(f"{file.name}.data")
    data = ((beside.name, file_digest(beside)),) if beside.exists() else ()
    return TowerFile(file.name, file_digest(file), data)


def added(card: ModelCard, variant: Variant) -> ModelCard:
    """The card with this variant, in place of one of the same name; what it named before is gone then."""
    for tower in (variant.image, variant.text):
        for name, _ in tower.files:
            sync_file(card.folder / name)
    sync_folder(card.folder)
    others = [one for one in card.variants if one.name != variant.name]
    new = replace(card, variants=(*others, variant))
    temporary = card.folder / f"{CARD}.new"  # under the lock nobody else writes it
    temporary.write_text(card_text(new), "utf-8")
    publish(temporary, card.folder / CARD)
    _drop_strangers(new)
    return new


def _name(card: ModelCard, models: Path) -> str:
    if card.folder == STARTER_FOLDER:
        return f"{DEFAULT_MODEL}-quantized"
    return card.folder.name if card.folder.parent == models else canonical(card.folder.absolute().name)


def _copied(card: ModelCard, folder: Path) -> None:
    """Whole or not at all, as a pull does it (P1 in pull.py)."""
    if folder.exists():
        there = read_card(folder)
        if (there.image_fingerprint, there.text_fingerprint) != (card.image_fingerprint, card.text_fingerprint):
            raise ModelError(
                f"{card.folder} would be copied to {folder}, where another model lies.",
                "Give its folder another name, or remove that model.",
            )
        return
    staging = folder.parent / PULLING / folder.name
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed here
    shutil.copytree(card.folder, staging)
    for path in staging.rglob("*"):
        if path.is_file():
            sync_file(path)
    sync_folder(staging)
    staging.rename(folder)
    sync_folder(folder.parent)


def _drop_strangers(card: ModelCard) -> None:
    """What no card names (A3)."""
    for path in card.folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in card.digests:
            with contextlib.suppress(PermissionError):  # Windows, where a process has it open; the next run comes by
                path.unlink()


@contextlib.contextmanager
def _disk(models: Path) -> Iterator[None]:
    """A disk that is full or may not be written, in our words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise SystemFault(
                f"There is no room left in {models} ({error.strerror}); the model is as it was.",
                "Free some space and run the same command again.",
            ) from error
        raise SystemFault(
            f"{error.filename or models} cannot be written ({error.strerror}).",
            "Change its permissions, or put the models folder elsewhere with CLIPSEARCH_MODELS.",
        ) from error


def _taken(name: str) -> Callable[[str], LibraryError]:
    return lambda holder: LibraryError(f"{name} is being changed by {holder}.", "Wait for it to finish.")
