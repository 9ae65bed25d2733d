"""A model comes into the models folder: planned, fetched, checked, described, run once, and only then there.

(P1) A folder of the models folder is a whole model or was put there by somebody else: everything is gathered in
     `.pulling/NAME`, synced, and renamed as the last step. A kill at any point leaves no half model.
(P2) A file has its own name only when its bytes are those that the source promised; until then it is called
     after its digest, so that the rest of another file is never appended to it.
(P3) What has come is kept: the next pull of the same model goes on there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipsearch.engine.backends import default_way, open_session
from clipsearch.engine.cards import ModelCard, Scoring, TowerFile, Variant, read_card
from clipsearch.engine.publication import publish_model, room_in
from clipsearch.engine.pulling.activation import activation_of
from clipsearch.engine.pulling.catalogue import Entry, canonical, entry_for, nearest
from clipsearch.engine.pulling.layouts import Layout, layout_of
from clipsearch.engine.pulling.published import described
from clipsearch.engine.pulling.sources import LocalFolder, Source, SourceFile, Waiting, file_digest, safe_path
from clipsearch.engine.store import DEFAULT_MODEL, PULLING, is_installed, known_names
from clipsearch.engine.verify import checked_files, checked_towers
from clipsearch.errors import LibraryError, ModelError, SystemFault, UsageError
from clipsearch.files import exclusive_lock, sync_file

_SPARE = 64 << 20  # bytes that are left free on the disk


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody has asked for, understood without asking anybody."""

    said: str
    name: str  # of the model's folder here
    entry: Entry | None  # None for a model that the catalogue does not know
    place: Path | str  # a folder, or a repository
    revision: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pull would do; nothing is fetched yet but the list of files."""

    name: str
    entry: Entry | None
    source: Source
    layout: Layout
    files: tuple[SourceFile, ...]
    licence: str

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def restricted(self) -> bool:
        return self.entry is not None and self.entry.restricted


@dataclass(frozen=True, slots=True)
class Fetched:
    path: str
    done: int  # bytes of all files
    total: int


@dataclass(frozen=True, slots=True)
class Checking:
    what: str


Step = Fetched | Checking | Waiting


def understood(said: str, models: Path) -> Wish:
    """A name of the catalogue, `owner/repository` of a hub, or a folder; @REVISION may follow a name.

    Raises ModelError for what is none of them, UsageError for a model that would be called like the starter.
    """
    said = said.strip()
    named, _, revision = said.partition("@")
    if named == DEFAULT_MODEL:
        raise UsageError(
            "The starter is part of clipsearch; there is nothing to fetch.", "clipsearch model use starter"
        )
    folder = Path(os.path.expanduser(said))
    entry = entry_for(named)
    if entry is None and folder.is_dir():
        wish = _folder_wish(said, folder.absolute())
    elif said.startswith((".", "/", "~")):
        raise ModelError(f"There is no folder {said}.", "Name a folder, or a model of clipsearch model list.")
    elif entry and entry.repository is None:
        raise ModelError(
            f"Nobody is known to publish {entry.name} as ONNX towers.",
            f"Export them from {entry.weights} and pull the folder: clipsearch model pull FOLDER",
        )
    elif entry and entry.repository:
        wish = Wish(said, entry.name, entry, entry.repository, revision or None)
    elif is_installed(canonical(named), models):
        wish = Wish(said, canonical(named), None, models / canonical(named), None)
    elif named.count("/") == 1:
        wish = Wish(said, canonical(named.partition("/")[2]), None, named, revision or None)
    else:
        near = nearest(named, known_names(models))
        did = f' Did you mean "{near}"?' if near else ""
        raise ModelError(
            f'No model "{named}" is known.{did}',
            "See clipsearch model list; a repository of a hub is named owner/repository, a folder by its path.",
        )
    if wish.name in ("", DEFAULT_MODEL):
        raise UsageError(
            f'A model cannot be called "{wish.name}".', "Copy it to a folder of another name and pull that."
        )
    return wish


def _folder_wish(said: str, folder: Path) -> Wish:
    # A snapshot in the cache of huggingface_hub: models--owner--name/snapshots/COMMIT.
    is_snapshot = folder.parent.name == "snapshots"
    called = folder.parents[1].name.removeprefix("models--").replace("--", "/") if is_snapshot else folder.name
    entry = entry_for(called)
    return Wish(said, entry.name if entry else canonical(called.rpartition("/")[2]), entry, folder, None)


def planned(wish: Wish) -> Plan:
    """What would be fetched; asks the hub for the list of files. Raises ModelError and SystemFault."""
    source: Source
    if isinstance(wish.place, Path):
        source = LocalFolder(wish.place)
    else:
        from clipsearch.engine.pulling.hub import HubRepository  # the network, loaded by whoever asks for it

        source = HubRepository(wish.place, wish.revision)
    entry = wish.entry
    layout = layout_of([file.path for file in source.files], wish.said, entry.graphs if entry else None)
    wanted = set(layout.wanted)
    files = tuple(sorted((file for file in source.files if file.path in wanted), key=lambda file: file.size))
    licence = entry.licence_text if entry else source.licence or "not stated"
    return Plan(wish.name, entry, source, layout, files, licence)


def pulled(plan: Plan, models: Path) -> Iterator[Step]:
    """Does it. Raises ModelError for files that are damaged or a model that does not work, SystemFault for the disk
    and the network; what has come so far stays for the next time (P3)."""
    staging = models / PULLING / plan.name
    with room_in(models, f"what has come of {plan.name} is kept"):
        staging.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(staging.parent / f"{plan.name}.lock", "clipsearch model pull", _taken(plan.name)):
            _drop_strangers(staging, plan)
            _check_room(staging, plan)
            yield from _gathered(plan, staging)
            try:
                card = _card(plan, staging)
                if plan.layout.kind == "clipsearch":  # of the others the digests have just been made
                    yield from map(Checking, checked_files(card))
                _check_activation(plan, card)
                _check_mask(plan, card)
                yield from map(Checking, checked_towers(card))
            except ModelError as error:
                shutil.rmtree(staging)  # whole, and of no use: fetched again it would be the same
                raise ModelError(
                    f"{error.message} Nothing was installed.", "Take another source of the model."
                ) from error
            publish_model(card, staging, models / plan.name)


# -- gathering -------------------------------------------------------------------------------------


def _gathered(plan: Plan, staging: Path) -> Iterator[Step]:
    done = 0
    for file in plan.files:
        yield Fetched(file.path, done, plan.size)
        for step in _file_gathered(plan.source, file, staging):
            if isinstance(step, int):
                done += step
                yield Fetched(file.path, done, plan.size)
            else:
                yield step


def _file_gathered(source: Source, file: SourceFile, staging: Path) -> Iterator[int | Waiting]:
    final = staging / file.path
    if final.exists():  # of an earlier pull, under its own name and so whole (P2), unless the disk has lost it
        if file.digest and file.digest.matches(final):
            yield file.size
            return
        final.unlink()
    final.parent.mkdir(parents=True, exist_ok=True)
    part = _part(final, file)
    begun = part.stat().st_size if part.exists() else 0
    yield begun
    for again in (bool(begun), False):
        yield from source.fetched(file, part)
        if part.stat().st_size == file.size and (file.digest is None or file.digest.matches(part)):
            sync_file(part)
            part.replace(final)
            return
        yield -part.stat().st_size
        part.unlink()
        if not again:  # damaged though nothing of it was older than this pull
            break
    raise ModelError(
        f"{file.path} of {source.origin} came damaged: it is not what the source itself says; it was thrown away.",
        "Run the same command again; if that does not help, the source is damaged.",
    )


def _part(final: Path, file: SourceFile) -> Path:
    return final.with_name(f"{final.name}.{file.digest.value[:16] if file.digest else 'copy'}.part")


def _drop_strangers(staging: Path, plan: Plan) -> None:
    """What is neither a file of this plan nor the beginning of one: of another commit, or another program."""
    finals = [staging / file.path for file in plan.files]
    ours = {*finals, *(_part(final, file) for final, file in zip(finals, plan.files, strict=True))}
    for parent, _, names in os.walk(staging):
        for name in names:
            if (path := Path(parent, name)) not in ours:
                path.unlink()


def _check_room(staging: Path, plan: Plan) -> None:
    here = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    free, missing = shutil.disk_usage(staging).free, plan.size - here
    if missing + _SPARE > free:
        raise SystemFault(
            f"{plan.name} needs {missing / 1e6:,.0f} MB more, and {staging.parents[1]} has {free / 1e6:,.0f} MB free.",
            "Free some space, or put the models folder elsewhere with CLIPSEARCH_MODELS.",
        )


def _taken(name: str) -> Callable[[str], LibraryError]:
    return lambda holder: LibraryError(f"{name} is being pulled by {holder}.", "Wait for it to finish.")


# -- description -----------------------------------------------------------------------------------


def _card(plan: Plan, staging: Path) -> ModelCard:
    layout, entry = plan.layout, plan.entry
    if layout.kind == "clipsearch":
        card = read_card(staging)
        for name in card.digests:
            safe_path(name)
        return card
    found = described(layout, staging, plan.source.origin, entry)
    digests = {name: file_digest(staging / name) for name in layout.wanted}
    towers = [
        TowerFile(graph, digests[graph], tuple((name, digests[name]) for name in data))
        for graph, data in ((layout.image, layout.image_data), (layout.text, layout.text_data))
    ]
    weights = {name for tower in towers for name in (tower.file, *(name for name, _ in tower.data))}
    return ModelCard(
        name=plan.name,
        version=plan.source.origin.partition("@")[2][:12] or "local",
        summary=f"{entry.title}: {entry.family.languages}." if entry else f"From {plan.source.origin}.",
        licence=plan.licence,
        caution=entry.family.caution if entry else "not in the catalogue: nothing is known here of how well it finds",
        dim=found.dim,
        image=found.image,
        text=found.text,
        scoring=entry.family.scoring if entry else Scoring("softmax", 100.0),
        variants=(Variant("fp32", image=towers[0], text=towers[1]),),
        measured={},
        folder=staging,
        origin=plan.source.origin,
        files={name: digest for name, digest in digests.items() if name not in weights},
    )


def _check_activation(plan: Plan, card: ModelCard) -> None:
    expected = plan.entry.family.activation if plan.entry else "any"
    if expected == "any":
        return
    found = activation_of(card.folder / card.reference.text.file)
    if found not in (None, expected):
        raise ModelError(
            f"{plan.source.origin} was exported with {found} and its weights were trained with {expected}: it would "
            "load and find worse.",
            "Take another source of the model.",
        )


def _check_mask(plan: Plan, card: ModelCard) -> None:
    """SigLIP reads its padding and takes no mask (MODELS section 3); masked, each text would be another vector."""
    if card.text.cleaning != "canonicalize":
        return
    session = open_session(card.folder / card.reference.text.file, default_way())
    if masks := [port.name for port in session.inputs if "mask" in port.name]:
        raise ModelError(f"{plan.source.origin} has a text tower with the input {masks[0]}, which SigLIP has not.", "")
