"""The weights of a zero-shot classifier beside OpenCLIP's own function, on one checkpoint that was exported for us.

Class names and templates come from where they were published too: OpenCLIP's lists, CLIP-benchmark's table.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch import Engine
from clipsearch.engine.cards import ModelCard, read_card
from clipsearch.evaluation.encoded import classifier
from clipsearch.labels.sets import builtin_set, checked_templates, imagenet_names
from tests.support import checkpoints

torch = pytest.importorskip("torch", reason="the extra [export] is not installed")
with warnings.catch_warnings():  # PyTorch's own, about itself
    warnings.simplefilter("ignore")
    from clipsearch.engine.export.exported import Exported, Wish, exported
    from tests.support import torchvision

    torchvision.install()
    open_clip = pytest.importorskip("open_clip", reason="OpenCLIP is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch warns of itself, from wherever it is called
EXACT = 1e-5  # of a scalar product of two unit vectors

Vectors = NDArray[np.float32]


class Pair:
    """One checkpoint, as OpenCLIP runs it and as it was exported."""

    def __init__(self, settings: dict[str, Any], folder: Path) -> None:
        source = checkpoints.openclip_folder(folder / "random", settings, checkpoints.OPENCLIP_PICTURES)
        self.theirs = open_clip.model.CLIP(**settings).eval()
        self.theirs.load_state_dict(_weights(source), strict=True)
        self.tokenizer = open_clip.SimpleTokenizer(context_length=77)
        *_, done = exported(Wish(str(source), None, None, False, 18, "onnx", None), folder / "models")
        assert isinstance(done, Exported)
        self.card: ModelCard = read_card(done.folder)
        self.cache = folder / "cache"

    def built(self, names: Sequence[str], templates: Sequence[Any]) -> Vectors:
        """OpenCLIP's weights (classes, dim); it has them the other way round."""
        weights = open_clip.build_zero_shot_classifier(self.theirs, self.tokenizer, names, templates)
        return np.asarray(weights.T.numpy())

    def texts(self, names: Sequence[str], templates: Sequence[str]) -> Vectors:
        """What its text tower gives before anything is normalised, (classes, templates, dim)."""
        asked = [template.replace("{}", name) for name in names for template in templates]
        with torch.no_grad():
            vectors = self.theirs.encode_text(self.tokenizer(asked))
        return np.asarray(vectors.numpy().reshape(len(names), len(templates), -1))

    def ours(self, names: Sequence[str], templates: Sequence[str]) -> Vectors:
        with Engine(self.card, cache_folder=self.cache) as engine:
            return classifier(engine, names, templates)


def _weights(folder: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(folder / "open_clip_model.safetensors")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(checkpoints.openclip_settings(quick_gelu=False), tmp_path_factory.mktemp("openclip"))


def apart(one: Vectors, other: Vectors) -> float:
    """How far the worst row is from being the same unit vector: of its length, too."""
    return float(np.abs((one * other).sum(axis=1) - 1).max())


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def cifar_templates() -> list[str]:
    """As CLIP-benchmark has them: {c} is the class."""
    data = pytest.importorskip("clip_benchmark", reason="CLIP-benchmark is missing")
    table = (files(data) / "datasets" / "en_zeroshot_classification_templates.json").read_text("utf-8")
    found: list[str] = [template.replace("{c}", "{}") for template in json.loads(table)["cifar10"]]
    return found


def test_weights_are_openclips_for_cifar10(pair: Pair) -> None:
    names = builtin_set("cifar10").names
    theirs = pair.built(names, cifar_templates())
    assert theirs.shape == (10, checkpoints.DIM)
    assert apart(pair.ours(names, ("cifar10",)), theirs) <= EXACT


def test_weights_are_openclips_for_imagenet_and_its_seven_templates(pair: Pair) -> None:
    """Names with commas, hyphens and apostrophes go through two tokenizers."""
    picked = [*range(0, 1000, 100), 639, 657, 744, 836, 837]  # two are called "missile", and two "sunglasses"
    theirs = pair.built([open_clip.IMAGENET_CLASSNAMES[one] for one in picked], open_clip.SIMPLE_IMAGENET_TEMPLATES)
    ours = pair.ours([imagenet_names()[one] for one in picked], ("imagenet-7",))
    assert apart(ours, theirs) <= EXACT


def test_likely_mistakes_would_show(pair: Pair) -> None:
    """Each is in somebody's script; the first three rank nearly the same, so an accuracy would hide them."""
    names, templates = builtin_set("cifar10").names, checked_templates(("cifar10",))
    right, raw = pair.built(names, templates), pair.texts(names, templates)
    assert apart(unit(unit(raw).mean(axis=1)), right) <= EXACT  # this is how it is made
    mistaken = {
        "texts are averaged as they are long": unit(raw.mean(axis=1)),
        "the mean is left as it is": unit(raw).mean(axis=1),
        "one template is left out": unit(unit(raw[:, 1:]).mean(axis=1)),
        "the full stop is left out": pair.ours(names, [template.rstrip(".") for template in templates]),
        "classes are shifted by one": np.roll(right, 1, axis=0),
    }
    distances = {what: apart(one, right) for what, one in mistaken.items()}
    assert min(distances.values()) > 3 * EXACT, distances
