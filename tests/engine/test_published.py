"""What a published model says of itself becomes a card, or a refusal that names the reason. Nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from clipsearch.engine.cards import ImageInput, TextInput
from clipsearch.engine.pulling.catalogue import Entry, entry_for
from clipsearch.engine.pulling.layouts import layout_of
from clipsearch.engine.pulling.published import Described, described
from clipsearch.errors import ModelError
from tests.support.models import CLIP_MEAN, CLIP_STD

ORIGIN = "acme/model"


def repository(folder: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Tokenizer):
            content.save(str(path))
        else:
            path.write_text(json.dumps(content) if content is not None else "")
    return folder


def read(folder: Path, entry: Entry | None = None) -> Described:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return described(layout_of(names, ORIGIN), folder, ORIGIN, entry)


def sentence(*, start: str | None = None, end: str = "</s>", pad: str = "<pad>") -> Tokenizer:
    """A vocabulary of words, with marks around a text as SentencePiece models have them."""
    words = {"<pad>": 0, "</s>": 1, "<s>": 2, "<unk>": 3, "a": 4, "photo": 5, pad: 0}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [(mark, words[mark]) for mark in (start, end) if mark]
    single = " ".join(filter(None, [start, "$0", end]))
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=marks)
    return tokenizer


def immich_clip() -> dict[str, Any]:
    return {
        "visual/model.onnx": None,
        "textual/model.onnx": None,
        "config.json": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {"vocab_size": 49408, "context_length": 77}},
        "visual/preprocess_cfg.json": {
            "size": 224, "mode": "RGB", "mean": CLIP_MEAN, "std": CLIP_STD, "interpolation": "bicubic",
            "resize_mode": "shortest", "fill_color": 0,
        },
    }  # fmt: skip


def immich_siglip() -> dict[str, Any]:
    return {
        "visual/model.onnx": None,
        "textual/model.onnx": None,
        "textual/tokenizer.json": sentence(),
        "textual/tokenizer_config.json": {"pad_token": "</s>"},
        "config.json": {
            "embed_dim": 768,
            "text_cfg": {
                "vocab_size": 32000, "context_length": 64, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
                "tokenizer_kwargs": {"clean": "canonicalize"},
            },
        },
        "visual/preprocess_cfg.json": {
            "size": [224, 224], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic",
            "resize_mode": "squash",
        },
    }  # fmt: skip


def js_clip() -> dict[str, Any]:
    return {
        "onnx/vision_model.onnx": None,
        "onnx/text_model.onnx": None,
        "config.json": {"model_type": "clip", "projection_dim": 512, "text_config": {}},
        "preprocessor_config.json": {
            "do_resize": True, "size": {"shortest_edge": 224}, "resample": 3, "do_center_crop": True, "crop_size": 224,
            "do_normalize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD,
        },
    }  # fmt: skip


def js_siglip() -> dict[str, Any]:
    return {
        "onnx/vision_model.onnx": None,
        "onnx/text_model.onnx": None,
        "tokenizer.json": sentence(),
        "tokenizer_config.json": {"pad_token": {"content": "</s>", "lstrip": False}},
        "config.json": {"model_type": "siglip", "text_config": {"hidden_size": 768, "max_position_embeddings": 64}},
        "preprocessor_config.json": {
            "do_resize": True, "size": {"height": 224, "width": 224}, "resample": 3, "rescale_factor": 0.003921569,
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        },
    }  # fmt: skip


# -- what is read ----------------------------------------------------------------------------------


def test_immichs_settings_are_read(tmp_path: Path) -> None:
    """A mean or a resize that is lost on the way gives plausible vectors of no model."""
    clip = read(repository(tmp_path / "clip", immich_clip()))
    assert clip.image == ImageInput(224, "shortest", "bicubic", tuple(CLIP_MEAN), tuple(CLIP_STD))
    assert clip.text == TextInput("clip-bpe", "clip", 77, "context", 0) and clip.dim == 512
    siglip = read(repository(tmp_path / "siglip", immich_siglip()))
    assert siglip.image == ImageInput(224, "squash", "bicubic", (0.5,) * 3, (0.5,) * 3)
    assert siglip.text == TextInput("textual/tokenizer.json", "canonicalize", 64, "context", 1) and siglip.dim == 768


def test_transformers_js_settings_are_read(tmp_path: Path) -> None:
    """As above."""
    clip = read(repository(tmp_path / "clip", js_clip()))
    assert clip.image == ImageInput(224, "shortest", "bicubic", tuple(CLIP_MEAN), tuple(CLIP_STD))
    assert clip.text == TextInput("clip-bpe", "clip", 77, "context", 0) and clip.dim == 512
    siglip = read(repository(tmp_path / "siglip", js_siglip()))
    assert siglip.image == ImageInput(224, "squash", "bicubic", (0.5,) * 3, (0.5,) * 3)
    assert siglip.text == TextInput("tokenizer.json", "canonicalize", 64, "context", 1) and siglip.dim == 768


def test_pixels_that_are_not_normalised_stay_as_they_are(tmp_path: Path) -> None:
    """MobileCLIP's towers read 0 to 1."""
    files = js_clip()
    files["preprocessor_config.json"] |= {"do_normalize": False, "resample": 2}
    image = read(repository(tmp_path, files)).image
    assert (image.mean, image.std, image.interpolation) == ((0.0,) * 3, (1.0,) * 3, "bilinear")


def test_old_settings_say_sizes_as_numbers(tmp_path: Path) -> None:
    files = js_clip()
    files["preprocessor_config.json"]["size"] = 224
    assert read(repository(tmp_path, files)).image.resize == "shortest"


def test_what_the_catalogue_knows_of_a_text_tower_counts(tmp_path: Path) -> None:
    """CLIP's is causal and fast at a prompt's own length; the settings do not say so, and others' are not."""
    found = read(repository(tmp_path, js_clip()), entry_for("vit-b-32-openai"))
    assert found.text == TextInput("clip-bpe", "clip", 77, "longest", 0)


def test_the_interpolation_beside_the_graph_counts(tmp_path: Path) -> None:
    """Re-exports of one model differ in it; the file says what the export was made for."""
    files = js_clip()
    files["preprocessor_config.json"]["resample"] = 2
    assert read(repository(tmp_path, files), entry_for("vit-b-32-openai")).image.interpolation == "bilinear"


def test_a_vocabulary_of_the_catalogue_is_looked_into(tmp_path: Path) -> None:
    """The tower reads the last position: without its end mark, or padded with another, every text is another text."""
    entry = entry_for("siglip-b-16-224")
    assert read(repository(tmp_path / "good", js_siglip()), entry).text.pad_id == 1
    for name, change, words in (
        ("pad", {"tokenizer_config.json": {"pad_token": "<pad>"}}, "pads texts with 0; the catalogue says 1"),
        ("end", {"tokenizer.json": sentence(end="<unk>")}, "should end with 1"),
        ("start", {"tokenizer.json": sentence(start="<s>")}, "begins a text with a mark"),
        ("none", {"tokenizer_config.json": {}}, "does not say what its texts are padded with"),
        ("broken", {"tokenizer.json": {"version": "1.0"}}, "tokenizer.json that cannot be read"),
    ):
        with pytest.raises(ModelError, match=words):
            read(repository(tmp_path / name, js_siglip() | change), entry)


def test_graphs_alone_are_what_the_catalogue_says(tmp_path: Path) -> None:
    """rclip's files have no settings beside them."""
    entry = entry_for("vit-b-32-256-datacomp")
    assert entry and entry.graphs
    names = [f"{entry.graphs}/visual.onnx", f"{entry.graphs}/textual.onnx", "LICENSE", "OPENAI-CLIP-MIT.txt", "x.bin"]
    layout = layout_of(names, ORIGIN, entry.graphs)
    assert layout.wanted == tuple(sorted(names[:4]))
    found = described(layout, tmp_path, ORIGIN, entry)
    assert found == Described(entry.image, TextInput("clip-bpe", "clip", 77, "longest", 0), 512)


# -- what is refused -------------------------------------------------------------------------------

Change = Callable[[dict[str, Any]], None]


def put(file: str, *keys: str, value: object) -> Change:
    def change(files: dict[str, Any]) -> None:
        table = files[file]
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    return change


PREPROCESS, PROCESSOR, CONFIG = "visual/preprocess_cfg.json", "preprocessor_config.json", "config.json"


@pytest.mark.parametrize(
    ("files", "change", "words"),
    [
        (immich_clip, put(PREPROCESS, "size", value=[224, 288]), "square ones only"),
        (immich_clip, put(PREPROCESS, "size", value=None), "does not say the size"),
        (immich_clip, put(PREPROCESS, "resize_mode", value="longest"), '"longest"; clipsearch knows shortest and'),
        (immich_clip, put(PREPROCESS, "interpolation", value="random"), 'interpolation "random"'),
        (immich_clip, put(PREPROCESS, "mean", value=[0.5, 0.5]), "no mean of three numbers"),
        (immich_clip, put(CONFIG, "text_cfg", "vocab_size", value=64007), "a vocabulary of 64007 words"),
        (immich_clip, put(CONFIG, "text_cfg", value=None), "no text_cfg"),
        (immich_clip, put(CONFIG, "embed_dim", value="wide"), "how wide its vectors are"),
        (immich_siglip, put(CONFIG, "text_cfg", "tokenizer_kwargs", value={"clean": "magic"}), 'texts by "magic"'),
        (immich_siglip, put(CONFIG, "text_cfg", "hf_tokenizer_name", value="facebook/nllb-200"), "of the language"),
        (js_clip, put(PROCESSOR, "crop_size", value=200), "crops to 200"),
        (js_clip, put(PROCESSOR, "do_center_crop", value=False), "crops to None"),
        (js_clip, put(PROCESSOR, "resample", value=0), "method 0"),
        (js_clip, put(PROCESSOR, "do_resize", value=False), "without making them one size"),
        (js_clip, put(PROCESSOR, "rescale_factor", value=1.0), "scales pixels by 1.0"),
        (js_clip, put(PROCESSOR, "size", value=None), "does not say the size"),
        (js_clip, put(CONFIG, "model_type", value="chinese_clip"), '"chinese_clip", which clipsearch does not know'),
        (js_clip, put(CONFIG, "projection_dim", value=None), "how wide its vectors are"),
        (js_siglip, put(PROCESSOR, "size", value={"height": 224, "width": 448}), "square ones only"),
    ],
)  # fmt: skip
def test_what_a_card_cannot_say_is_refused(
    tmp_path: Path, files: Callable[[], dict[str, Any]], change: Change, words: str
) -> None:
    """A model that is prepared nearly as it should be finds nearly nothing, and nobody sees why."""
    changed = files()
    change(changed)
    with pytest.raises(ModelError, match=words):
        read(repository(tmp_path, changed))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put(PROCESSOR, "image_mean", value=[0.5] * 3), "has the mean"),
        (put(PROCESSOR, "image_std", value=[0.5] * 3), "has the std"),
        (put(PROCESSOR, "size", value={"height": 224, "width": 224}), '"squash"; the catalogue says shortest'),
        (put(CONFIG, "projection_dim", value=640), "vectors of 640 dimensions; the catalogue says 512"),
        (put(CONFIG, "text_config", value={"max_position_embeddings": 32}), "a context of 32 tokens"),
    ],
)  # fmt: skip
def test_what_contradicts_the_catalogue_is_refused(tmp_path: Path, change: Change, words: str) -> None:
    """A repository that is not the model that it is called."""
    files = js_clip()
    change(files)
    with pytest.raises(ModelError, match=words):
        read(repository(tmp_path, files), entry_for("vit-b-32-openai"))


def test_a_dimension_that_is_not_confirmed_is_not_held_against_a_model(tmp_path: Path) -> None:
    known = entry_for("vit-b-32-openai")
    assert known
    files = js_clip()
    files["config.json"]["projection_dim"] = 640
    assert read(repository(tmp_path, files), replace(known, unconfirmed=("dim",))).dim == 640


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["height", "width", "a"]), inner),
    max_leaves=4,
)


@given(data=st.data(), files=st.sampled_from([immich_clip, immich_siglip, js_clip, js_siglip]))
def test_settings_of_any_kind_end_in_a_card_or_in_a_reason(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, files: Callable[[], dict[str, Any]]
) -> None:
    """A file that somebody has edited is not a mistake of clipsearch."""
    changed = files()
    file = data.draw(st.sampled_from([name for name, content in changed.items() if isinstance(content, dict)]))
    table = changed[file]
    key = data.draw(st.sampled_from(sorted(table)))
    if isinstance(table[key], dict) and table[key] and data.draw(st.booleans()):
        table = table[key]
        key = data.draw(st.sampled_from(sorted(table)))
    table[key] = data.draw(ANYTHING)
    try:
        found = read(repository(tmp_path_factory.mktemp("edited"), changed))
    except ModelError as error:
        assert error.message.startswith(ORIGIN)
    else:
        assert all(type(number) is int and number > 0 for number in (found.dim, found.image.size, found.text.context))
        assert 0 not in found.image.std


@pytest.mark.parametrize("content", ["{", "[]", '"text"'])
def test_settings_that_are_no_table_are_named(tmp_path: Path, content: str) -> None:
    folder = repository(tmp_path, js_clip())
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        read(folder)


# -- which files -----------------------------------------------------------------------------------


def test_all_files_that_may_hold_weights_are_wanted_and_no_others() -> None:
    """Three large models of another program lacked the files beside their graphs."""
    immich = ["visual/model.onnx", "textual/model.onnx", "config.json", "visual/preprocess_cfg.json"]
    loose = ["textual/transformer.layer.3.bias", "textual/4f1c-uuid", "visual/model.onnx.data"]
    foreign = ["visual/model.armnn", "visual/fp16/model.armnn", "textual/rknpu/rk3588/model.rknn", ".gitattributes"]
    settings = ["textual/tokenizer.json", "textual/tokenizer_config.json", "textual/vocab.json", "README.md"]
    layout = layout_of([*immich, *loose, *foreign, *settings], ORIGIN)
    assert set(layout.wanted) == {*immich, *loose, *settings} - {"textual/vocab.json"}
    assert layout.text_data == ("textual/4f1c-uuid", "textual/transformer.layer.3.bias")
    assert layout.image_data == ("visual/model.onnx.data",)
    js = ["onnx/vision_model.onnx", "onnx/text_model.onnx", "config.json", "preprocessor_config.json", "LICENSE"]
    data = ["onnx/vision_model.onnx_data", "onnx/vision_model.onnx_data_1", "onnx/text_model.onnx.data"]
    others = [
        "onnx/model.onnx",
        "onnx/vision_model_fp16.onnx",
        "onnx/vision_model_fp16.onnx_data",
        "onnx/text_model_q4.onnx",
    ]
    assert set(layout_of([*js, *data, *others], ORIGIN).wanted) == {*js, *data}


def test_a_repository_that_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="none of the layouts"):
        layout_of(["model.safetensors", "config.json"], ORIGIN)
    with pytest.raises(ModelError, match=r"not a whole model: visual/preprocess_cfg\.json is missing"):
        layout_of(["visual/model.onnx", "textual/model.onnx", "config.json"], ORIGIN)
