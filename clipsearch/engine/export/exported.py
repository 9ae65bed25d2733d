"""A checkpoint becomes a model here: read, made into graphs, proven, described, and only then there.

Everything is gathered beside the final folder and renamed as the last step, as in pull.py; what fails leaves nothing.
The weights are forgotten before the graphs are opened, for both at once would be what takes the most memory.
"""

from __future__ import annotations

import gc
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from clipsearch.engine.backends import TABLE
from clipsearch.engine.cards import ModelCard, TowerFile, Variant
from clipsearch.engine.export.checkpoint import loaded_source
from clipsearch.engine.export.graphs import Format, Graph, Role, written
from clipsearch.engine.export.loaded import LoadedModel
from clipsearch.engine.export.proof import (
    TEXTS,
    Agreement,
    Expected,
    expected,
    image_vectors,
    photos,
    proven,
    runtimes_for,
    text_vectors,
)
from clipsearch.engine.golden import GOLDEN
from clipsearch.engine.publication import publish_model, room_in
from clipsearch.engine.pulling.catalogue import canonical, entry_for
from clipsearch.engine.pulling.sources import file_digest
from clipsearch.engine.store import DEFAULT_MODEL, is_installed
from clipsearch.engine.verify import checked_files, checked_towers
from clipsearch.errors import LibraryError, ModelError, UsageError
from clipsearch.files import exclusive_lock, sync_file

_STAGING = ".exporting-"
# Those that a format was made for; ONNX is for all.
_RUNTIMES: dict[Format, tuple[str, ...]] = {"onnx": (), "openvino": ("openvino",), "torch": ("pytorch",)}


@dataclass(frozen=True, slots=True)
class Wish:
    source: str
    out: Path | None  # the model's own folder; None: one in the models folder
    name: str | None  # None: as the source is called
    combined: bool
    opset: int
    format: Format
    activation: str | None  # of a checkpoint that does not say it


@dataclass(frozen=True, slots=True)
class Working:
    what: str


@dataclass(frozen=True, slots=True)
class Exported:
    name: str
    folder: Path
    graphs: tuple[Graph, ...]  # where they were made; their files have been moved to `folder`
    sizes: tuple[int, ...]  # bytes of each graph with its weights
    agreements: tuple[Agreement, ...]
    weights: int  # bytes of both towers in float32
    peak: int | None  # bytes of memory this process has had at most; None where the system does not say
    seconds: float


def exported(wish: Wish, models: Path) -> Iterator[Working | Exported]:
    """Does it. Raises ModelError, UsageError, and SystemFault for the disk."""
    begun = time.monotonic()
    _check_target(wish.out, wish.name, models)
    yield Working(f"reading {wish.source}")
    model = loaded_source(wish.source, wish.activation)
    model = replace(model, name=canonical(wish.name or model.name))
    final = wish.out or models / model.name
    _check_target(wish.out, model.name, models)
    weights = sum(one.numel() * 4 for tower in (model.image, model.text) for one in tower.parameters())
    staging = final.parent / f"{_STAGING}{final.name}"
    with room_in(final.parent, "nothing was exported"):
        staging.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(staging / "lock", "clipsearch model export", _taken(final)):
            try:
                folder = staging / "model"
                shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed here
                folder.mkdir()
                graphs: list[Graph] = []
                expectations: list[Expected] = []
                for role in _roles(wish):
                    yield Working(f"{role} graph: made by PyTorch")
                    graphs.append(written(model, role, folder, wish.format, wish.opset))
                    expectations.append(expected(model, role))
                _write_golden(model, folder)
                model = replace(model, image=nn.Identity(), text=nn.Identity())
                gc.collect()  # PyTorch's programs go in circles, and hold the weights
                agreements: list[Agreement] = []
                for graph, what in zip(graphs, expectations, strict=True):
                    yield Working(f"{graph.role} graph: compared with PyTorch on {_listed(runtimes_for(graph.path))}")
                    agreements += proven(graph, what)
                sizes = tuple(graph.size for graph in graphs)
                card = _card(model, wish, graphs, agreements, folder)
                for path in folder.iterdir():
                    sync_file(path)
                publish_model(card, folder, final)
                yield Working(f"opened once more in {final}")
                _reopen(replace(card, folder=final), graphs)
            finally:  # under the lock: the folder of another run is not ours to remove
                shutil.rmtree(staging, ignore_errors=True)
    seconds = time.monotonic() - begun
    yield Exported(model.name, final, tuple(graphs), sizes, tuple(agreements), weights, _peak(), seconds)


def _roles(wish: Wish) -> tuple[Role, ...]:
    return ("image", "text", "combined") if wish.combined else ("image", "text")


def _check_target(out: Path | None, name: str | None, models: Path) -> None:
    """Before minutes are spent on what has no place to go."""
    if name is not None and canonical(name) in ("", DEFAULT_MODEL):
        raise UsageError(f'A model cannot be called "{name}".', "Give it another name: --name NAME")
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{out} is there already.", "Name a folder that is not there yet: --out DIR")
    elif name is not None and is_installed(canonical(name), models):
        raise UsageError(
            f"{canonical(name)} is here already.",
            f"Give the new one another name with --name, or first: clipsearch model remove {canonical(name)}",
        )


def _taken(final: Path) -> Callable[[str], LibraryError]:
    return lambda holder: LibraryError(f"{final} is being exported by {holder}.", "Wait for it to finish.")


def _write_golden(model: LoadedModel, folder: Path) -> None:
    """PyTorch's own vectors, which the model is checked with wherever it goes."""
    pixels = photos(model)
    texts = list(TEXTS[:-1])
    vectors = {"image_vectors": image_vectors(model, pixels), "text_vectors": text_vectors(model, texts)}
    np.savez(folder / GOLDEN, pixels=pixels, texts=np.array(texts), **vectors)  # type: ignore[arg-type]  # numpy's own


def _card(model: LoadedModel, wish: Wish, graphs: list[Graph], agreements: list[Agreement], folder: Path) -> ModelCard:
    entry = entry_for(model.name)
    if model.tokenizer is not None:
        shutil.copyfile(model.tokenizer, folder / model.text_input.tokenizer)
    towers = {graph.role: _tower(graph) for graph in graphs}
    of_towers = {name for role in ("image", "text") for name in (towers[role].file, *dict(towers[role].data))}
    others = sorted(path.name for path in folder.iterdir() if path.name not in of_towers)
    unknown = None if entry else "not in the catalogue: nothing is known here of how well it finds"
    return ModelCard(
        name=model.name,
        version=towers["image"].sha256[:12],
        summary=f"{entry.title}: {entry.family.languages}." if entry else f"Exported from {model.origin}.",
        licence=model.licence,
        caution="; ".join(filter(None, (model.caution, unknown))) or None,
        dim=model.dim,
        image=model.image_input,
        text=model.text_input,
        scoring=model.scoring,
        variants=(Variant("fp32", towers["image"], towers["text"], _RUNTIMES[wish.format]),),
        measured={
            "export, least cosine with PyTorch": f"{min(one.cosine for one in agreements):.7f}",
            "export, largest difference from PyTorch": f"{max(one.gap for one in agreements):.1e}",
        },
        folder=folder,
        origin=model.origin,
        files={name: file_digest(folder / name) for name in others},
        activation=model.activation,
    )


def _tower(graph: Graph) -> TowerFile:
    beside = tuple((path.name, file_digest(path)) for path in graph.data)
    return TowerFile(graph.path.name, file_digest(graph.path), beside)


def _reopen(card: ModelCard, graphs: list[Graph]) -> None:
    """Where it lies now: a graph that names its weights by another folder has been found there until here."""
    try:
        list(checked_files(card))
        for runtime in runtimes_for(graphs[0].path):
            if runtime in TABLE:
                list(checked_towers(card, runtime))
    except ModelError as error:
        shutil.rmtree(card.folder)
        raise ModelError(f"{error.message} Nothing was exported.", "Report the model.") from error


def _listed(names: list[str]) -> str:
    return " and ".join(names)


def _peak() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # bytes there, kilobytes elsewhere
