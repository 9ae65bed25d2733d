"""Whether a graph computes what PyTorch does: on noise and on photos, alone and in a batch, on every runtime here.

What PyTorch says of a text is what it says of the text padded to the whole context, as the model was trained; a graph
that takes texts at their own length has to say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from clipsearch.engine.backends import TABLE, Way, is_installed, open_session
from clipsearch.engine.export.graphs import IDS, PIXELS, PROGRAM, Graph, Role, exporting, module_of, outputs_of
from clipsearch.engine.export.loaded import LoadedModel
from clipsearch.engine.golden import GOLDEN
from clipsearch.engine.preprocess import Preprocess
from clipsearch.engine.pulling.activation import activation_of
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.tokenize import TextTokenizer
from clipsearch.errors import ModelError

LEAST_COSINE = 0.9999
MOST_GAP = 1e-4  # between components of unit vectors; of logits, once they are divided by the model's scale
TEXTS = (
    "a dog",
    "two cups of coffee on a wooden table",
    "kids in yellow raincoats, jumping over a puddle in front of a red brick house on a grey november morning",
    "1969",
    "an old black-and-white photograph of a locomotive, " * 12,  # beyond every context
)
_SEED = 20
_REPORT = "Try another --opset, and report the model."

Feeds = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One graph on one runtime beside PyTorch, the worst of all trials."""

    role: Role
    runtime: str
    cosine: float
    gap: float


@dataclass(frozen=True, slots=True)
class Trial:
    what: str
    feeds: Feeds  # of the graph
    wanted: dict[str, NDArray[np.float64]]  # what PyTorch gives


@dataclass(frozen=True, slots=True)
class Expected:
    """What PyTorch says of a graph's trials: all that the proof needs of the model, which may be forgotten then."""

    model: str
    activation: str
    scale: float
    trials: tuple[Trial, ...]


def expected(model: LoadedModel, role: Role) -> Expected:
    return Expected(model.name, model.activation, model.scoring.scale, tuple(_trials(model, role)))


def proven(graph: Graph, expected: Expected) -> Iterator[Agreement]:
    """Each runtime that opens the graph, once it agrees. Raises ModelError for one that does not."""
    _check_activation(graph, expected)
    for runtime in runtimes_for(graph.path):
        cosine, gap = 1.0, 0.0
        for trial, found in zip(expected.trials, _answers(graph, runtime, expected.trials), strict=True):
            for name, values in found.items():
                near, apart = _compared(values, trial.wanted[name], expected, name)
                if not (near >= LEAST_COSINE and apart <= MOST_GAP):
                    raise ModelError(
                        f"{expected.model}: the {graph.role} graph on {runtime} is not what PyTorch computes "
                        f"({trial.what}, {name}: cosine {near:.5f}, difference {apart:.1e}; allowed are "
                        f"{LEAST_COSINE} and {MOST_GAP:.0e}). Nothing was exported.",
                        _REPORT,
                    )
                cosine, gap = min(cosine, near), max(gap, apart)
        yield Agreement(graph.role, runtime, cosine, gap)


def runtimes_for(path: Path) -> list[str]:
    """Those installed that open such a file."""
    if path.suffix == PROGRAM:
        return ["pytorch"]
    return [name for name, one in TABLE.items() if path.suffix in one.reads and is_installed(name)]


def photos(model: LoadedModel) -> NDArray[np.uint8]:
    """Five pictures (5, s, s, 3) as the model prepares them: the product's own two photos, turned and cut."""
    with np.load(STARTER_FOLDER / GOLDEN, allow_pickle=False) as golden:
        first, second = (Image.fromarray(pixels) for pixels in golden["pixels"][:2])
    wide, high = (first.width, first.height // 2), (second.width // 2, second.height)
    pictures = [
        first, second, first.transpose(Image.Transpose.FLIP_LEFT_RIGHT), first.crop((0, 0, *wide)),
        second.crop((0, 0, *high)),
    ]  # fmt: skip
    prepare = Preprocess(model.image_input)
    side = model.image_input.size
    return np.stack([np.frombuffer(prepare(one), np.uint8).reshape(side, side, 3) for one in pictures])


def image_vectors(model: LoadedModel, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """PyTorch's, unit rows."""
    tensor = Preprocess(model.image_input).tensor(pixels)
    return _reference(model, "image", {PIXELS: tensor})[outputs_of("image")[0]].astype(np.float32)


def text_vectors(model: LoadedModel, texts: list[str]) -> NDArray[np.float32]:
    """PyTorch's, unit rows, of texts padded to the whole context."""
    ids = _tokenizer(model).encode(texts, length=model.text_input.context).ids
    return _reference(model, "text", {IDS: ids})[outputs_of("text")[0]].astype(np.float32)


# -- trials ----------------------------------------------------------------------------------------


def _trials(model: LoadedModel, role: Role) -> Iterator[Trial]:
    random = np.random.default_rng(_SEED)
    side, context = model.image_input.size, model.text_input.context
    noise = random.standard_normal((5, 3, side, side), np.float32)
    real = Preprocess(model.image_input).tensor(photos(model))
    tokenizer = _tokenizer(model)
    whole = tokenizer.encode(list(TEXTS), length=context).ids
    drawn = random.choice(np.unique(whole), (5, context))  # ids that the vocabulary has
    drawn[:, -1] = whole.max()  # CLIP's end of a text
    if role == "image":
        for what, pixels in (("photos", real), ("one photo", real[:1]), ("noise", noise), ("noise alone", noise[:1])):
            yield _trial(model, role, what, {PIXELS: pixels})
    elif role == "text":
        for place, text in enumerate(TEXTS):
            own = tokenizer.encode([text]).ids
            yield _trial(model, role, f"a text of {own.shape[1]} tokens", {IDS: own}, {IDS: whole[place : place + 1]})
        yield _trial(model, role, "five texts", {IDS: whole})
        yield _trial(model, role, "random tokens", {IDS: drawn})
    else:
        together = tokenizer.encode(list(TEXTS[:3])).ids
        yield _trial(model, role, "photos and texts", {PIXELS: real, IDS: together}, {PIXELS: real, IDS: whole[:3]})
        yield _trial(model, role, "noise and random tokens", {PIXELS: noise[:1], IDS: drawn})


def _trial(model: LoadedModel, role: Role, what: str, feeds: Feeds, reference: Feeds | None = None) -> Trial:
    return Trial(what, feeds, _reference(model, role, reference or feeds))


def _reference(model: LoadedModel, role: Role, feeds: Feeds) -> dict[str, NDArray[np.float64]]:
    return _run_module(module_of(model, role), role, feeds)


def _tokenizer(model: LoadedModel) -> TextTokenizer:
    return TextTokenizer(model.tokenizer.parent if model.tokenizer else Path(), model.text_input)


# -- answers ---------------------------------------------------------------------------------------


def _answers(graph: Graph, runtime: str, trials: tuple[Trial, ...]) -> Iterator[Mapping[str, NDArray[np.floating]]]:
    if graph.path.suffix == PROGRAM:
        module = torch.export.load(graph.path).module()
        for trial in trials:
            yield _run_module(module, graph.role, trial.feeds)
        return
    session = open_session(graph.path, Way(runtime))
    for trial in trials:
        yield {name: session.run(trial.feeds, name) for name in outputs_of(graph.role)}


def _run_module(module: torch.nn.Module, role: Role, feeds: Feeds) -> dict[str, NDArray[np.float64]]:
    with exporting():  # as the graph was made: the fused attention rounds differently
        answer = module(*(torch.from_numpy(np.ascontiguousarray(one)) for one in feeds.values()))
    tensors = answer if isinstance(answer, tuple) else (answer,)
    return {name: one.numpy().astype(np.float64) for name, one in zip(outputs_of(role), tensors, strict=True)}


def _compared(
    found: NDArray[np.floating], wanted: NDArray[np.float64], expected: Expected, name: str
) -> tuple[float, float]:
    """The least cosine of two rows, and the largest difference."""
    values = found.astype(np.float64)
    if values.shape != wanted.shape:
        raise ModelError(f"{expected.model}: {name} came in the shape {values.shape}, not {wanted.shape}.", _REPORT)
    gap = float(np.abs(values - wanted).max())
    if name.startswith("logits"):
        return 1.0, gap / max(1.0, expected.scale)
    lengths = np.linalg.norm(values, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((values * wanted).sum(1) / lengths).min()), gap


def _check_activation(graph: Graph, expected: Expected) -> None:
    """Read from the graph itself, whatever it was compared with."""
    if graph.role == "text" and graph.path.suffix == ".onnx":
        found = activation_of(graph.path)
        if found not in (None, expected.activation.rpartition(", ")[2]):
            raise ModelError(
                f"{expected.model}: its text graph computes {found} and its checkpoint says {expected.activation}. "
                "Nothing was exported.",
                _REPORT,
            )
