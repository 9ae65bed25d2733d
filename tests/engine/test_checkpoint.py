"""Whatever a checkpoint is called, its content tells what it is; its towers give the vectors they were saved with."""

from __future__ import annotations

import copy
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clipsearch.engine.export.checkpoint import loaded_source
from clipsearch.engine.export.loaded import LoadedModel
from clipsearch.errors import ModelError, SystemFault, UsageError
from tests.support.models import CLIP_MEAN
from tests.support.weights import (
    SIZE,
    Touch,
    archive,
    ids,
    openclip_model,
    pixels,
    save_gguf,
    save_torchscript,
    transformers_model,
)


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return openclip_model()


def furthest(loaded: LoadedModel, model: torch.nn.Module) -> float:
    """Between the vectors of the towers and the model's own."""
    with torch.no_grad():
        image = (loaded.image(pixels()) - model.encode_image(pixels())).abs().max()
        text = (loaded.text(ids()) - model.encode_text(ids())).abs().max()
    return max(float(image), float(text))


def refused(source: Path | str, *arguments: str) -> ModelError:
    with pytest.raises(ModelError) as raised:
        loaded_source(str(source), *arguments)
    assert raised.value.hint
    return raised.value


# -- OpenAI's archives -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [{}, {"layers": [1, 2, 1, 1], "patch": None}], ids=["vit", "resnet"])
def test_an_openai_archive_gives_the_vectors_it_was_saved_with(tmp_path: Path, shape: dict) -> None:
    """OpenAI published nothing else; a swapped projection or a lost batch norm would not be noticed by shapes."""
    model = openclip_model(**shape)
    loaded = loaded_source(str(save_torchscript(model, tmp_path / "Tiny.pt")))
    assert furthest(loaded, model) < 1e-5
    assert (loaded.activation, loaded.is_causal, loaded.dim, loaded.name) == ("quickgelu", True, 32, "tiny")
    assert loaded.image_input.size == SIZE and loaded.image_input.mean == tuple(CLIP_MEAN)
    assert loaded.scoring.scale == pytest.approx(1 / 0.07)
    assert loaded.caution is None and loaded.licence == "not stated"


def test_half_precision_becomes_full(tmp_path: Path) -> None:
    """OpenAI's weights are float16, in which a CPU computes slowly and worse."""
    model = openclip_model()
    halved = copy.deepcopy(model)
    for parameter in halved.parameters():
        parameter.data = parameter.data.half().float()  # what half precision keeps
    half = {name: tensor.half() for name, tensor in model.state_dict().items()}
    torch.save(half, tmp_path / "half.pt")
    loaded = loaded_source(str(tmp_path / "half.pt"), "quickgelu")
    assert all(tensor.dtype == torch.float32 for tensor in loaded.image.state_dict().values())
    assert furthest(loaded, halved) < 1e-5


# -- state dicts -----------------------------------------------------------------------------------


def test_a_state_dict_alone_is_refused_until_somebody_says_its_activation(
    model: torch.nn.Module, tmp_path: Path
) -> None:
    """GELU for QuickGELU loads without an error and finds worse; nobody would ever know."""
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    error = refused(tmp_path / "weights.pt")
    assert "activation" in error.message and "--activation quickgelu" in error.hint
    told = loaded_source(str(tmp_path / "weights.pt"), "quickgelu")
    assert furthest(told, model) < 1e-5 and told.caution
    assert furthest(loaded_source(str(tmp_path / "weights.pt"), "gelu"), model) > 1e-4


def test_a_training_checkpoint_holds_its_model_deeper(model: torch.nn.Module, tmp_path: Path) -> None:
    """OpenCLIP's training saves the optimizer beside it, and each name behind the wrapper's."""
    inside = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": inside, "optimizer": {"state": {}}}, tmp_path / "epoch_3.pt")
    assert furthest(loaded_source(str(tmp_path / "epoch_3.pt"), "quickgelu"), model) < 1e-5


def test_openclips_settings_beside_the_weights_say_what_they_do_not(tmp_path: Path) -> None:
    """LAION's ViT-L/14 is prepared by another mean than all of its family: only its settings know."""
    model = openclip_model(quick_gelu=False)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, tmp_path / "w.safetensors")
    vision = {"image_size": SIZE, "layers": 2, "width": 64, "patch_size": 8}
    text = {"context_length": 16, "vocab_size": 49_408, "width": 64, "heads": 1, "layers": 2}
    settings = {
        "model_cfg": {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bilinear", "resize_mode": "squash"},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(settings))
    loaded = loaded_source(str(tmp_path / "w.safetensors"))
    assert furthest(loaded, model) < 1e-5
    image = loaded.image_input
    assert (loaded.activation, image.mean, image.resize) == ("gelu", (0.5,) * 3, "squash")
    assert loaded.caution is None
    with pytest.raises(UsageError, match="is gelu, not quickgelu"):
        loaded_source(str(tmp_path / "w.safetensors"), "quickgelu")
    settings["model_cfg"]["vision_cfg"] = {**vision, "layers": 3}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(settings))
    assert "misses visual.transformer.resblocks.2" in refused(tmp_path / "w.safetensors").message


def changed(weights: dict[str, torch.Tensor], name: str, tensor: torch.Tensor | None) -> dict[str, torch.Tensor]:
    kept = {key: value for key, value in weights.items() if key != name}
    return kept if tensor is None else {**kept, name: tensor}


UNFIT = {
    "without its projection": ("text_projection", None, "misses text_projection"),
    "one bias too few": ("transformer.resblocks.1.mlp.c_fc.bias", None, "misses text_model.encoder.layers.1.mlp.fc1"),
    "one weight too many": ("adapter.weight", torch.ones(2), "holds adapter.weight"),
    "a bias of another width": ("visual.ln_pre.bias", torch.ones(63), "where (64,) goes"),
    "something that is no number": ("visual.ln_pre.bias", torch.full((64,), float("nan")), "no number"),
    "another vocabulary": ("token_embedding.weight", torch.ones(32_000, 64), "vocabulary of 32,000 words"),
    "positions that are no square": ("visual.positional_embedding", torch.ones(16, 64), "no square"),
    "no text": ("positional_embedding", torch.ones(()), "which no CLIP has"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_weights_that_are_no_clip_say_what_is_wrong(model: torch.nn.Module, tmp_path: Path, what: str) -> None:
    """A part that was left as it was made, at random, is a model that looks whole."""
    name, tensor, words = UNFIT[what]
    torch.save(changed(model.state_dict(), name, tensor), tmp_path / "weights.pt")
    assert words in refused(tmp_path / "weights.pt", "quickgelu").message


def test_heads_that_nobody_can_tell_are_not_guessed(tmp_path: Path) -> None:
    """ViT-H/14 has 80 channels a head and ViT-g/14 88: with 64 it loads, and every vector is wrong."""
    weights = {
        "text_projection": torch.ones(64, 32), "positional_embedding": torch.ones(16, 64),
        "token_embedding.weight": torch.ones(49_408, 64), "transformer.resblocks.0.ln_1.bias": torch.ones(64),
        "visual.proj": torch.ones(1280, 32), "visual.conv1.weight": torch.ones(1280, 3, 2, 2),
        "visual.positional_embedding": torch.ones(5, 1280), "visual.transformer.resblocks.0.ln_1.bias": torch.ones(2),
    }  # fmt: skip
    torch.save(weights, tmp_path / "weights.pt")
    assert "nobody can tell its heads" in refused(tmp_path / "weights.pt", "gelu").message


# -- what it is ------------------------------------------------------------------------------------


def test_the_content_decides_and_not_the_name(model: torch.nn.Module, tmp_path: Path) -> None:
    """People rename what they download."""
    save_gguf(transformers_model(), tmp_path / "model.gguf")
    (tmp_path / "model.gguf").rename(tmp_path / "model.pt")
    assert loaded_source(str(tmp_path / "model.pt")).activation == "gelu"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, tmp_path / "weights.bin")
    assert furthest(loaded_source(str(tmp_path / "weights.bin"), "quickgelu"), model) < 1e-5


@pytest.mark.parametrize("what", ["raw", "saved"])
def test_a_hostile_state_dict_runs_nothing(tmp_path: Path, what: str) -> None:
    """A .pt file is a program to whoever reads it carelessly."""
    planted, path = tmp_path / "planted", tmp_path / "model.pt"
    if what == "raw":
        path.write_bytes(pickle.dumps({"state_dict": Touch(planted)}, 2))
    else:
        torch.save({"state_dict": Touch(planted)}, path)
    message = refused(path, "quickgelu").message
    assert str(path) in message and not planted.exists()


def test_a_state_dict_that_grows_is_refused(tmp_path: Path) -> None:
    """Zeros are packed a thousandfold: ten megabytes could ask for all the memory there is."""
    torch.save({"visual.proj": torch.zeros(4 << 20)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain:
        members = {name.removeprefix("plain/"): plain.read(name) for name in plain.namelist()}
    packed = archive(tmp_path / "packed.pt", members, compressed=True)
    assert packed.stat().st_size < 1 << 20
    assert "would unpack to" in refused(packed).message


def test_a_state_dict_that_asks_for_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    """One number, shown as a matrix of terabytes."""
    torch.save({"visual.proj": torch.ones(1).expand(1 << 20, 1 << 20)}, tmp_path / "model.pt")
    assert "more numbers than it holds" in refused(tmp_path / "model.pt").message


def test_what_is_no_checkpoint_says_what_would_be(tmp_path: Path) -> None:
    """The way out of a wrong name is the list of right ones."""
    (tmp_path / "old.bin").write_bytes(b"lmgg" + bytes(100))
    assert "before GGUF" in refused(tmp_path / "old.bin").message
    (tmp_path / "notes.pt").write_text("nothing")
    assert "no checkpoint" in refused(tmp_path / "notes.pt").message
    (tmp_path / "empty.pt").write_bytes(b"")
    assert "no checkpoint" in refused(tmp_path / "empty.pt").message
    assert "There is no" in refused(tmp_path / "absent.pt").message
    (tmp_path / "folder").mkdir()
    assert "no folder of a checkpoint" in refused(tmp_path / "folder").message
    (tmp_path / "folder" / "card.toml").write_text("")
    assert "model pull" in refused(tmp_path / "folder").hint


def test_transformers_weights_need_their_folder(tmp_path: Path) -> None:
    """Its config.json says heads, activation and where a text ends; the weights do not."""
    torch.save(transformers_model().state_dict(), tmp_path / "pytorch_model.bin")
    error = refused(tmp_path / "pytorch_model.bin")
    assert "config.json" in error.hint


def test_a_file_that_may_not_be_read_is_a_fault_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To fetch it again would not help, and the administrator may run the tests."""
    (tmp_path / "model.pt").write_bytes(b"x")

    def refuse(*arguments: object, **settings: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SystemFault, match="Permission denied"):
        loaded_source(str(tmp_path / "model.pt"))
