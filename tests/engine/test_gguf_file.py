"""clip.cpp's files: what was written comes back, quantised or not, and no damaged one takes more than an error."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import CLIPModel

from clipsearch.engine.export.clip_cpp import open_clip_cpp
from clipsearch.engine.export.gguf_file import READ, opened_gguf
from clipsearch.errors import ModelError
from tests.support.models import CLIP_MEAN
from tests.support.weights import CONTEXT, SIZE, cpp_name, ids, pixels, save_gguf, transformers_model


@pytest.fixture(scope="module", params=["gelu", "quick_gelu"])
def model(request: pytest.FixtureRequest) -> CLIPModel:
    return transformers_model(request.param)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole file of a model, as small as it can be."""
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    save_gguf(transformers_model(), path, "Q4_0")
    return path


# -- what was written comes back -------------------------------------------------------------------


@pytest.mark.parametrize("kind", READ)
def test_each_quantisation_comes_back_as_the_numbers_it_stands_for(tmp_path: Path, kind: str) -> None:
    """A block unpacked in the wrong order, or a matrix turned over, is a model that loads and finds nothing."""
    model = transformers_model()
    kept = save_gguf(model, tmp_path / "model.gguf", kind)
    with opened_gguf(tmp_path / "model.gguf") as file:
        assert file.laid.keys() == {cpp_name(name) for name in kept}
        for name, expected in kept.items():
            np.testing.assert_array_equal(file.tensor(cpp_name(name)), expected, name)
    loaded = open_clip_cpp(tmp_path / "model.gguf", "tiny", "MIT")
    model.load_state_dict({name: torch.from_numpy(array) for name, array in kept.items()}, strict=False)
    with torch.no_grad():
        image = model.get_image_features(pixel_values=pixels()).pooler_output
        text = model.get_text_features(input_ids=ids()).pooler_output
        assert float((loaded.image(pixels()) - image).abs().max()) < 1e-6
        assert float((loaded.text(ids()) - text).abs().max()) < 1e-6


def test_the_settings_of_the_file_are_those_of_the_model(model: CLIPModel, tmp_path: Path) -> None:
    """The activation and the preparation of pictures are parts of a model that no weight tells."""
    save_gguf(model, tmp_path / "model.gguf", "F16")
    loaded = open_clip_cpp(tmp_path / "model.gguf", "tiny", "MIT")
    assert loaded.activation == {"gelu": "gelu", "quick_gelu": "quickgelu"}[model.config.vision_config.hidden_act]
    image, text = loaded.image_input, loaded.text_input
    assert (image.size, image.resize, image.interpolation) == (SIZE, "shortest", "bicubic")
    assert image.mean == pytest.approx(CLIP_MEAN, abs=1e-8)
    assert (text.tokenizer, text.context, text.padding) == ("clip-bpe", CONTEXT, "longest")
    assert loaded.scoring.scale == 100 and "100" in str(loaded.caution)


# -- what is missing -------------------------------------------------------------------------------


@pytest.mark.parametrize("tower", ["text", "vision"])
def test_half_a_model_is_told_by_its_tower(tmp_path: Path, tower: str) -> None:
    """The same repositories hold -text-model- and -vision-model- files beside the whole ones."""
    save_gguf(transformers_model(), tmp_path / "model.gguf", towers=(tower,))
    with pytest.raises(ModelError, match=f"only the {tower} tower") as raised:
        open_clip_cpp(tmp_path / "model.gguf", "tiny", "MIT")
    assert "both towers" in raised.value.hint


def written(path: Path, fill: Callable[[gguf.GGUFWriter], None], architecture: str = "clip") -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_another_kind_of_model_is_named(tmp_path: Path) -> None:
    """Most GGUF files in the world are language models."""
    path = written(tmp_path / "model.gguf", lambda one: one.add_tensor("x", np.ones(4, np.float32)), "llama")
    with pytest.raises(ModelError, match='of the kind "llama"'):
        open_clip_cpp(path, "tiny", "MIT")


def test_a_quantisation_that_is_not_read_is_named(tmp_path: Path) -> None:
    """A guess at its blocks would be noise."""
    packed = np.zeros((1, gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType.Q6_K][1]), np.uint8)
    path = written(
        tmp_path / "model.gguf", lambda one: one.add_tensor("x", packed, raw_dtype=gguf.GGMLQuantizationType.Q6_K)
    )
    with pytest.raises(ModelError, match="holds x as ggml's type 14; clipsearch reads F32, F16, Q4_0"):
        open_clip_cpp(path, "tiny", "MIT")


def test_a_file_with_a_tensor_less_or_more_is_refused(tmp_path: Path) -> None:
    """A part left as it was made, at random, is a model that looks whole."""
    model = transformers_model()
    bias = model.vision_model.post_layernorm.bias
    model.vision_model.post_layernorm.bias = None
    save_gguf(model, tmp_path / "less.gguf")
    with pytest.raises(ModelError, match=r"misses vision_model.post_layernorm.bias"):
        open_clip_cpp(tmp_path / "less.gguf", "tiny", "MIT")
    model.vision_model.post_layernorm.bias = bias
    model.text_model.final_layer_norm.register_buffer("more", torch.ones(2))
    save_gguf(model, tmp_path / "more.gguf")
    with pytest.raises(ModelError, match=r"holds text_model.final_layer_norm.more"):
        open_clip_cpp(tmp_path / "more.gguf", "tiny", "MIT")


# -- hostile ---------------------------------------------------------------------------------------


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(*, version: int = 3, tensors: int = 0, settings: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, settings)


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


HUGE = (1 << 62) + 1
HOSTILE = {
    "not GGUF": b"GGML" + bytes(64),
    "version 1": header(version=1),
    "the other byte order": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "more tensors than bytes": header(tensors=HUGE),
    "more settings than bytes": header(settings=HUGE),
    "a name without an end": header(settings=1) + struct.pack("<Q", HUGE) + bytes(64),
    "a list without an end": header(settings=1) + text("k") + struct.pack("<IIQ", 9, 4, HUGE) + bytes(64),
    "a vocabulary without an end": header(settings=1) + text("k") + struct.pack("<IIQ", 9, 8, HUGE) + bytes(64),
    "a list of lists": header(settings=1) + text("k") + struct.pack("<IIQ", 9, 9, 1) + bytes(64),
    "a setting of no type": header(settings=1) + text("k") + struct.pack("<I", 77) + bytes(64),
    "a name that is not UTF-8": header(settings=1) + struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<IB", 0, 0),
    "one setting twice": header(settings=2) + 2 * (text("k") + struct.pack("<IB", 0, 0)) + bytes(64),
    "an alignment of nothing": header(settings=1) + text("general.alignment") + struct.pack("<II", 4, 0) + bytes(64),
    "a shape of terabytes": header(tensors=1) + tensor("x", (1 << 20, 1 << 20)) + bytes(4096),
    "a shape that overflows": header(tensors=1) + tensor("x", (1 << 32, 1 << 32)) + bytes(4096),
    "a shape of nothing": header(tensors=1) + tensor("x", (0, 4)) + bytes(4096),
    "a thousand dimensions": header(tensors=1) + text("x") + struct.pack("<I", 1000) + bytes(9000),
    "half a block": header(tensors=1) + tensor("x", (31,), kind=2) + bytes(4096),
    "a tensor behind the end": header(tensors=1) + tensor("x", (4,), offset=1 << 40) + bytes(4096),
    "tensors that overlap": header(tensors=2) + tensor("x", (4,)) + tensor("y", (4,), offset=8) + bytes(4096),
    "one tensor twice": header(tensors=2) + tensor("x", (4,)) + tensor("x", (4,), offset=32) + bytes(4096),
    "nothing": b"",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_one_error(tmp_path: Path, what: str) -> None:
    """Every count in a file is a wish to have memory."""
    (tmp_path / "model.gguf").write_bytes(HOSTILE[what])
    with pytest.raises(ModelError) as raised, opened_gguf(tmp_path / "model.gguf"):
        pass
    assert str(tmp_path) in raised.value.message and raised.value.hint
    if "than bytes" in what or "without an end" in what:
        assert "promises" in raised.value.message  # before it is gone through


_FUZZ = """
import random, sys
from pathlib import Path
from clipsearch.engine.export.gguf_file import opened_gguf
from clipsearch.errors import ModelError
whole, broken = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
front = int(sys.argv[4])
refused = 0
for seed in range(int(sys.argv[3])):
    chance = random.Random(seed)
    content = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        content[chance.randrange(front)] = chance.randrange(256)
    broken.write_bytes(content[: chance.randint(1, len(content))] if seed % 3 == 0 else content)
    try:
        with opened_gguf(broken) as file:
            for name in file.laid:
                file.tensor(name)
    except ModelError:
        refused += 1
assert refused > seed // 3, refused
"""


def test_damaged_files_are_errors_in_a_gigabyte(tmp_path: Path) -> None:
    """A download that broke off, a disk that rots: never a traceback, a hang or all the memory."""

    def small(writer: gguf.GGUFWriter) -> None:
        writer.add_token_list(["a", "bc", "def"])
        writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
        for number, kind in enumerate(READ):
            packed = gguf.quants.quantize(np.ones((2, 32), np.float32), gguf.GGMLQuantizationType[kind])
            writer.add_tensor(f"tensor.{number}", packed, raw_dtype=gguf.GGMLQuantizationType[kind])

    path = written(tmp_path / "model.gguf", small)
    limit, front = 1 << 30, 700  # bytes; what the file says of itself
    subprocess.run(
        [sys.executable, "-c", _FUZZ, str(path), str(tmp_path / "broken.gguf"), "700", str(front)],
        check=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )


def test_a_damaged_model_is_loaded_whole_or_refused(smallest: Path, tmp_path: Path) -> None:
    """What the header says right may still make no model."""
    whole, random = smallest.read_bytes(), np.random.default_rng(0)
    names = [at for at in range(len(whole) - 8) if whole[at : at + 5] in (b"clip.", b".weig", b".bias")]
    refused = 0
    for _ in range(25):
        content = bytearray(whole)
        content[int(random.choice(names)) + int(random.integers(0, 60))] ^= 1 << int(random.integers(0, 8))
        (tmp_path / "broken.gguf").write_bytes(content)
        try:
            loaded = open_clip_cpp(tmp_path / "broken.gguf", "tiny", "MIT")
        except ModelError:
            refused += 1
        else:
            with torch.no_grad():
                assert loaded.image(pixels()).shape == (2, loaded.dim)
    assert refused > 10
