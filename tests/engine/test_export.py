"""From a checkpoint to a model: real classes with random weights, compared with PyTorch."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from clipsearch import cli, config
from clipsearch.engine import export as extra
from clipsearch.engine.backends import Way, open_session
from clipsearch.engine.cards import ModelCard, read_card
from clipsearch.engine.choosing.candidates import Candidate
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.engine.verify import checked_files, checked_towers
from clipsearch.errors import LibraryError, ModelError, UsageError
from clipsearch.files import exclusive_lock
from tests.support import checkpoints

torch = pytest.importorskip("torch", reason="the extra [export] is not installed")
with warnings.catch_warnings():  # PyTorch's and transformers' own, about themselves
    warnings.simplefilter("ignore")
    from clipsearch.engine.export import graphs, proof
    from clipsearch.engine.export.checkpoint import loaded_source
    from clipsearch.engine.export.exported import Exported, Wish, exported
    from tests.support import torchvision

    torchvision.install()
    import transformers

RUNTIMES = ("onnxruntime", "openvino")
PROMPTS = ["a dog", "two cups of coffee on a wooden table", "kids in yellow raincoats jumping over a puddle"]

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch warns of itself, from wherever it is called


def wish(source: Path | str, **changes: Any) -> Wish:
    return replace(Wish(str(source), None, None, False, 18, "onnx", None), **changes)


def run(wanted: Wish, models: Path) -> tuple[ModelCard, Exported]:
    *_, done = exported(wanted, models)
    assert isinstance(done, Exported)
    return read_card(done.folder), done


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.clip_folder(tmp_path_factory.mktemp("clip") / "tiny-clip")


@pytest.fixture(scope="module")
def clip_model(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelCard, str]:
    """Exported once, by the command line, with the combined graph; and what was said."""
    folder = tmp_path_factory.mktemp("home")
    stream = io.BytesIO()
    said = io.TextIOWrapper(stream, "utf-8", write_through=True)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        for name in ("models", "library", "cache"):
            patch.setenv(f"CLIPSEARCH_{name.upper()}", str(folder / name))
        patch.setenv(config.CONFIG_VARIABLE, os.devnull)
        assert cli.run(["model", "export", str(clip), "--combined"]) == 0, stream.getvalue().decode()
    return read_card(folder / "models" / "tiny-clip"), stream.getvalue().decode()


@pytest.fixture(scope="module")
def reference(clip: Path) -> Any:
    return transformers.CLIPModel.from_pretrained(clip).eval()


@pytest.fixture(scope="module")
def openclip(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same weights, trained with one activation or the other."""
    root = tmp_path_factory.mktemp("openclip")
    return {
        name: checkpoints.openclip_folder(
            root / name, checkpoints.openclip_settings(quick_gelu=name == "quickgelu"), checkpoints.OPENCLIP_PICTURES
        )
        for name in ("quickgelu", "gelu")
    }


def padded(texts: list[str], card: ModelCard) -> Any:
    from clipsearch.engine.tokenize import TextTokenizer

    return torch.from_numpy(TextTokenizer(card.folder, card.text).encode(texts, length=card.text.context).ids)


def unit(tensor: Any) -> np.ndarray:
    return torch.nn.functional.normalize(tensor, dim=-1).detach().numpy()


# -- what comes out --------------------------------------------------------------------------------


def test_a_transformers_folder_becomes_a_whole_model(clip_model: tuple[ModelCard, str]) -> None:
    card, said = clip_model
    assert (card.name, card.dim, card.activation, card.text.padding) == ("tiny-clip", 32, "quickgelu", "longest")
    assert card.scoring.kind == "softmax" and card.scoring.scale == pytest.approx(14.2857, abs=1e-3)
    assert {*card.digests} == {"image.onnx", "text.onnx", "combined.onnx", "golden.npz"}
    assert sorted(path.name for path in card.folder.iterdir()) == sorted([*card.digests, "card.toml"])
    assert len(list(checked_files(card))) == 4
    for runtime in RUNTIMES:
        list(checked_towers(card, runtime))
    assert [path for path in card.folder.parent.iterdir() if path != card.folder] == []
    for file in ("image", "text", "combined"):
        assert f"{file} graph: compared with PyTorch on onnxruntime and openvino" in said
        line = next(line for line in said.splitlines() if line.startswith(f"{file}.onnx: "))
        assert "layer norms" in line and "(onnxruntime, openvino)" in line
    assert "times the weights" in said
    assert said.rstrip().endswith("tiny-clip is here. Search with it: clipsearch model use tiny-clip")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_text_at_its_own_length_is_the_padded_text_of_the_published_class(
    clip_model: tuple[ModelCard, str], reference: Any, runtime: str
) -> None:
    """A causal tower cut in the wrong place would find other photos for short prompts."""
    card, _ = clip_model
    wanted = unit(reference.get_text_features(input_ids=padded(PROMPTS, card)).pooler_output)
    tower = TextTower(card, Candidate(Way(runtime), "fp32"))
    for prompt, vector in zip(PROMPTS, wanted, strict=True):
        assert np.abs(tower.encode([prompt]).vectors[0] - vector).max() <= 1e-6
    assert np.abs(tower.encode(["x " * 100]).vectors[0] - unit(
        reference.get_text_features(input_ids=padded(["x " * 100], card)).pooler_output)[0]).max() <= 1e-6  # fmt: skip


def test_the_graphs_hold_one_layer_normalization_for_each_layer_norm(
    clip_model: tuple[ModelCard, str], reference: Any
) -> None:
    """TensorRT needs a plug-in for those that are spelled out, and loses precision in them."""
    card, _ = clip_model
    for file, part in (("image", reference.vision_model), ("text", reference.text_model), ("combined", reference)):
        wanted = sum(isinstance(one, torch.nn.LayerNorm) for one in part.modules())
        nodes = [node.op_type for node in onnx.load(card.folder / f"{file}.onnx").graph.node]
        assert nodes.count("LayerNormalization") == wanted > 0
        assert "Sqrt" not in nodes and "Pow" not in nodes


def test_the_combined_graph_gives_the_logits_of_the_published_class(
    clip_model: tuple[ModelCard, str], reference: Any
) -> None:
    card, _ = clip_model
    pixels, ids = torch.randn(4, 3, 32, 32), padded(PROMPTS, card)
    wanted = reference(pixel_values=pixels, input_ids=ids)
    session = open_session(card.folder / "combined.onnx", Way("onnxruntime"))
    assert tuple(port.name for port in session.outputs) == graphs.COMBINED
    feeds = {"pixel_values": pixels.numpy(), "input_ids": ids.numpy()}
    for name in graphs.COMBINED:
        assert np.abs(session.run(feeds, name) - wanted[name].detach().numpy()).max() <= 1e-5


def test_a_graph_says_nothing_of_the_machine_that_made_it(clip_model: tuple[ModelCard, str]) -> None:
    card, _ = clip_model
    content = (card.folder / "image.onnx").read_bytes()
    assert b"site-packages" not in content and str(Path(torch.__file__).parent).encode() not in content


def test_siglip_keeps_its_padding_and_its_learned_scale_and_bias(tmp_path: Path) -> None:
    """Without them the percentages of labels are of another model; without its padding every text is another."""
    source = checkpoints.siglip_folder(tmp_path / "tiny-siglip")
    card, _ = run(wish(source), tmp_path / "models")
    assert card.scoring.kind == "sigmoid" and card.scoring.bias == pytest.approx(-12.5)
    assert card.scoring.scale == pytest.approx(np.exp(4.7), rel=1e-6)
    assert (card.text.padding, card.text.pad_id, card.text.cleaning) == ("context", 1, "canonicalize")
    assert card.activation == "gelu-tanh" and "tokenizer.json" in card.files
    model = transformers.SiglipModel.from_pretrained(source).eval()
    texts = ["a dog", "two cups of coffee"]
    ids = padded(texts, card)
    assert ids.shape[1] == 64 and int(ids[0, -1]) == 1
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    tower = ImageTower(card, Candidate(Way("onnxruntime"), "fp32"))
    wanted = model(input_ids=ids, pixel_values=torch.from_numpy(tower.prepare.tensor(pixels)))
    vectors = TextTower(card, Candidate(Way("onnxruntime"), "fp32")).encode(texts).vectors
    logits = card.scoring.scale * tower.encode_pixels(pixels) @ vectors.T + card.scoring.bias
    assert np.abs(logits - wanted.logits_per_image.detach().numpy()).max() <= 1e-3


def test_quickgelu_and_gelu_are_two_models(
    openclip: dict[str, Path], clip_model: tuple[ModelCard, str], tmp_path: Path
) -> None:
    """With the other activation a model loads, runs, and finds worse."""
    card, _ = clip_model
    assert replace(card, activation="gelu").image_fingerprint != card.image_fingerprint
    assert replace(card, activation="gelu").text_fingerprint != card.text_fingerprint
    answers = []
    for name, folder in openclip.items():
        model = loaded_source(str(folder))
        assert model.activation == name
        (tmp_path / name).mkdir()
        graph = graphs.written(model, "text", tmp_path / name, "onnx", 18)
        expected = proof.expected(model, "text")
        list(proof.proven(graph, expected))
        session = open_session(graph.path, Way("onnxruntime"))
        answers.append(session.run({"input_ids": padded(PROMPTS, card).numpy()}, "text_embeds"))
        other = "gelu" if name == "quickgelu" else "quickgelu"
        with pytest.raises(ModelError, match=f"computes {name} and its checkpoint says {other}"):
            list(proof.proven(graph, replace(expected, activation=other)))
    assert (answers[0] * answers[1]).sum(1).max() < 0.99999


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["openvino", "torch"])
def test_other_formats_are_proven_too(openclip: dict[str, Path], tmp_path: Path, format_: graphs.Format) -> None:
    model = loaded_source(str(openclip["gelu"]))
    graph = graphs.written(model, "text", tmp_path, format_, 18)
    (agreement,) = proof.proven(graph, proof.expected(model, "text"))
    assert agreement.runtime == {"openvino": "openvino", "torch": "pytorch"}[format_]
    assert agreement.cosine >= 0.9999 and graph.layer_norms == 7
    assert not list(tmp_path.glob("*.onnx*"))
    if format_ == "openvino":
        assert graph.path.with_suffix(".bin").stat().st_size > 49_408 * 64 * 4  # float32, not halves


@pytest.mark.slow
def test_weights_beyond_one_file_lie_beside_it_and_may_be_moved(
    openclip: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A protocol buffer ends at 2 GiB; a graph that names its weights by a whole path opens on one machine only."""
    monkeypatch.setattr(graphs, "ONE_FILE", 1000)
    card, _ = run(wish(openclip["gelu"]), tmp_path / "models")
    assert [name for name, _ in card.reference.image.data] == ["image.onnx.data"]
    moved = tmp_path / "elsewhere"
    shutil.move(card.folder, moved)
    for runtime in RUNTIMES:
        list(checked_towers(read_card(moved), runtime))
    places = {
        entry.value
        for one in onnx.load(moved / "text.onnx", load_external_data=False).graph.initializer
        for entry in one.external_data
        if entry.key == "location"
    }
    assert places == {"text.onnx.data"}


@pytest.mark.slow
def test_one_file_holds_the_same_weights_as_two(
    openclip: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is written by hand, not by the library of its format."""
    model = loaded_source(str(openclip["gelu"]))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    merged = onnx.load(graphs.written(model, "image", tmp_path / "one", "onnx", 18).path)
    monkeypatch.setattr(graphs, "ONE_FILE", 0)
    apart = onnx.load(graphs.written(model, "image", tmp_path / "two", "onnx", 18).path)
    onnx.checker.check_model(merged, full_check=True)
    values = [
        {one.name: onnx.numpy_helper.to_array(one) for one in graph.graph.initializer} for graph in (merged, apart)
    ]
    assert values[0].keys() == values[1].keys()
    assert all(np.array_equal(values[0][name], values[1][name]) for name in values[0])


# -- what does not come out ------------------------------------------------------------------------


def test_a_graph_with_a_wrong_weight_is_not_published(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is what an export is worth."""
    whole = graphs.written

    def wrong(*arguments: Any) -> graphs.Graph:
        graph = whole(*arguments)
        model = onnx.load(graph.path)
        last = next(one for one in model.graph.initializer if one.name.endswith("projection.weight"))
        values = onnx.numpy_helper.to_array(last).copy()
        values[0] *= np.float32(1.05)
        last.CopyFrom(onnx.numpy_helper.from_array(values, last.name))
        onnx.save(model, graph.path)
        return graph

    monkeypatch.setattr("clipsearch.engine.export.exported.written", wrong)
    with pytest.raises(ModelError, match=r"not what PyTorch computes .* Nothing was exported"):
        run(wish(clip), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_an_export_that_is_stopped_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    steps = exported(wish(clip), tmp_path)
    for step in steps:
        if "made by PyTorch" in getattr(step, "what", ""):
            break
    assert [path.name for path in tmp_path.iterdir()] == [".exporting-tiny-clip"]
    steps.close()
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_leaves_the_first_one_alone(clip: Path, tmp_path: Path) -> None:
    """It was refused, and took the folder of the one that worked away with it."""
    working = tmp_path / ".exporting-tiny-clip"
    (working / "model").mkdir(parents=True)
    (working / "model" / "image.onnx").touch()
    with (
        exclusive_lock(working / "lock", "clipsearch model export", LibraryError),
        pytest.raises(LibraryError, match="is being exported by process"),
    ):
        run(wish(clip), tmp_path)
    assert (working / "model" / "image.onnx").exists() and (working / "lock").exists()


def test_what_is_there_already_is_not_touched(clip_model: tuple[ModelCard, str], clip: Path) -> None:
    card, _ = clip_model
    with pytest.raises(UsageError, match="tiny-clip is here already"):
        run(wish(clip), card.folder.parent)
    with pytest.raises(UsageError, match="is there already"):
        next(exported(wish(clip, out=card.folder), card.folder.parent))
    with pytest.raises(UsageError, match='cannot be called "Starter"'):
        next(exported(wish(clip, name="Starter"), card.folder.parent))
    list(checked_files(card))


def test_a_missing_extra_is_one_sentence_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    with pytest.raises(ModelError, match="onnxscript") as caught:
        extra.check_installed()
    assert caught.value.hint == "pip install 'clipsearch[export]'"


def test_openclip_names_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them a model is built of noise, and OpenCLIP only warns."""
    with pytest.raises(ModelError, match="laion2b_s34b_b79k"):
        loaded_source("ViT-B-32")
    with pytest.raises(ModelError, match='Did you mean "ViT-B-32"'):
        loaded_source("ViT-B-322/openai")
