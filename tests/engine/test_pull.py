"""A model is whole and works, or is not there (P1 to P3 in pull.py). Real graphs, a real server, a real disk."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from clipsearch.engine import tokenize, verify
from clipsearch.engine.cards import CARD, Comparison, ModelCard, TowerFile, read_card
from clipsearch.engine.cardtext import card_text
from clipsearch.engine.pulling.pull import Checking, Fetched, Plan, planned, pulled, understood
from clipsearch.engine.pulling.sources import file_digest
from clipsearch.engine.store import (
    PULLING,
    STARTER_FOLDER,
    available_models,
    begun_models,
    find_model,
    remove_begun,
    remove_model,
)
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.engine.verify import checked_files, checked_towers
from clipsearch.errors import LibraryError, ModelError, SystemFault, UsageError
from clipsearch.files import exclusive_lock
from tests.engine.test_hub import use_hub
from tests.support import models as tiny
from tests.support.hub import COMMIT, Hub, running
from tests.support.small import pictures, small_model, texts


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with running() as hub:
        use_hub(monkeypatch, hub)
        for place in ("clipsearch.engine.pulling.hub.CHUNK", "clipsearch.engine.pulling.sources.CHUNK"):
            monkeypatch.setattr(place, 1 << 16)
        hub.repositories["acme/tiny"] = tiny.immich(tmp_path / "immich")
        hub.repositories["acme/tiny-js"] = tiny.transformers_js(tmp_path / "js", external=True)
        yield hub


@pytest.fixture(autouse=True)
def one_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """CLIP's is built once for all models of these tests; that takes longer than to fetch and open one."""
    monkeypatch.setattr(tokenize, "clip_tokenizer", _clip_tokenizer)


_clip_tokenizer = functools.cache(tokenize.clip_tokenizer)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def pull(wish: str, models: Path) -> ModelCard:
    chosen = plan(wish, models)
    for _ in pulled(chosen, models):
        pass
    return find_model(chosen.name, models)


def plan(wish: str, models: Path) -> Plan:
    return planned(understood(wish, models))


def installed(models: Path) -> list[str]:
    cards, broken = available_models(models)
    assert broken == []
    return [card.folder.name for card in cards[1:]]


# -- what comes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny", "tiny-js"])
def test_a_pulled_model_is_what_was_published(hub: Hub, models: Path, name: str) -> None:
    """Its files are the published ones, its card says where from, and both towers answer."""
    card = pull(f"acme/{name}", models)
    assert installed(models) == [name] and card.origin == f"acme/{name}@{COMMIT}"
    published = hub.repositories[f"acme/{name}"]
    for file, digest in card.digests.items():
        assert hashlib.sha256((published / file).read_bytes()).hexdigest() == digest
        assert (card.folder / file).read_bytes() == (published / file).read_bytes()
    found = {path.relative_to(card.folder).as_posix() for path in card.folder.rglob("*") if path.is_file()}
    assert found == {*card.digests, CARD}
    assert TextTower(card).encode(["a dog"]).vectors.shape == (1, 8)
    assert begun_models(models) == []


def test_weights_beside_the_graph_are_part_of_what_a_model_is(hub: Hub, models: Path) -> None:
    """Two sets of weights under one graph would be searched as one, and mixed."""
    card = pull("acme/tiny-js", models)
    ((name, digest),) = card.reference.image.data
    assert name == "onnx/vision_model.onnx_data" and digest in card.digests.values()
    towers = replace(card.reference, image=replace(card.reference.image, data=((name, "other"),)))
    assert replace(card, variants=(towers,)).image_fingerprint != card.image_fingerprint
    assert replace(card, variants=(towers,)).text_fingerprint == card.text_fingerprint


def test_another_vocabulary_is_another_text_tower(hub: Hub, models: Path) -> None:
    """Its token numbers mean other words; remembered vectors of texts would be of those."""
    card = pull("acme/tiny", models)
    with_file = replace(card, text=replace(card.text, tokenizer="tokenizer.json"), files={"tokenizer.json": "one"})
    assert with_file.text_fingerprint != replace(with_file, files={"tokenizer.json": "two"}).text_fingerprint
    assert with_file.image_fingerprint == card.image_fingerprint


def test_the_card_that_is_written_is_the_card_that_is_read(hub: Hub, models: Path) -> None:
    card = replace(
        pull("acme/tiny-js", models),
        summary='says "hello"\n\t\x7f€😀',
        caution="c",
        measured={"R@1 (5 photos)": 0.5, "b": "x"},
    )
    (card.folder / CARD).write_text(card_text(card), "utf-8")
    assert read_card(card.folder) == card
    starter = read_card(STARTER_FOLDER)
    (card.folder / CARD).write_text(card_text(starter), "utf-8")
    assert read_card(card.folder) == replace(starter, folder=card.folder)


def test_a_model_of_the_catalogue_is_found_by_all_its_names(hub: Hub, models: Path, tmp_path: Path) -> None:
    published = "immich-app/ViT-B-32__laion2b-s34b-b79k"
    hub.repositories[published] = tiny.immich(tmp_path / "b32", size=224, dim=512)
    card = pull(" ViT-B-32__laion2b-s34b-b79k", models)
    assert card.folder == models / "vit-b-32-laion2b" and card.licence == "MIT"
    for name in ("vit-b-32-laion2b", "ViT-B-32-LAION2B ", published):
        assert find_model(name, models).folder == card.folder


def test_a_revision_may_be_named(hub: Hub, models: Path) -> None:
    assert pull(f"acme/tiny@{COMMIT}", models).origin == f"acme/tiny@{COMMIT}"
    with pytest.raises(ModelError, match='no revision "v2"'):
        plan("acme/tiny-js@v2", models)


def test_a_model_with_a_vocabulary_of_its_own_reads_its_padding(models: Path, tmp_path: Path) -> None:
    """SigLIP's towers read the last of 64 positions: a text that ends earlier is another text."""
    card = pull(str(tiny.siglip(tmp_path / "siglip")), models)
    assert (card.text.tokenizer, card.text.padding, card.text.pad_id) == ("tokenizer.json", "context", 1)
    ids = tokenize.TextTokenizer(card.folder, card.text).encode(["A dog, a cat!"]).ids
    assert ids.tolist() == [[3, 4, 3, 5, *[1] * 60]]
    dog, same, cat = TextTower(card).encode(["a dog", "A DOG!", "a cat"]).vectors
    assert dog @ same > 0.999999 and dog @ cat < 0.9999
    with pytest.raises(ModelError, match="attention_mask, which SigLIP has not"):
        pull(str(tiny.siglip(tmp_path / "masked", mask=True)), models)
    assert installed(models) == ["siglip"]


# -- interruptions ---------------------------------------------------------------------------------


def test_a_pull_that_is_interrupted_anywhere_leaves_no_model_and_goes_on(hub: Hub, models: Path) -> None:
    """After each step in turn: no half model, nothing fetched twice, and in the end the whole one."""
    published = hub.repositories["acme/tiny-js"]
    total = sum(file.size for file in plan("acme/tiny-js", models).files)
    done, rounds = 0, 0
    while not installed(models):
        rounds += 1
        assert rounds < 100
        for step in (steps := pulled(plan("acme/tiny-js", models), models)):
            # On to where the last one was stopped, and one step beyond.
            if isinstance(step, Fetched) and step.done > done:
                done = step.done
                assert step.total == total
                break
        steps.close()
        assert installed(models) == [] or done == total
    assert rounds > 10  # sixty-four kilobytes each, and the small files
    card = find_model("tiny-js", models)
    for file in card.digests:
        assert (card.folder / file).read_bytes() == (published / file).read_bytes()
    list(checked_files(card))
    sent = [file for file in hub.files_asked if file == "onnx/text_model.onnx_data"]
    whole = [
        headers for _, path, headers in hub.asked if path.endswith("text_model.onnx_data") and "range" not in headers
    ]
    assert len(sent) > 10 and len(whole) == 1


def test_a_pull_that_is_stopped_while_it_checks_fetches_nothing_again(hub: Hub, models: Path) -> None:
    steps = pulled(plan("acme/tiny", models), models)
    next(step for step in steps if isinstance(step, Checking))
    steps.close()
    assert installed(models) == [] and begun_models(models) == ["tiny"]
    hub.asked.clear()
    pull("acme/tiny", models)
    assert hub.files_asked == [] and installed(models) == ["tiny"]


def test_another_commit_does_not_go_on_with_the_bytes_of_the_last(hub: Hub, models: Path, tmp_path: Path) -> None:
    """Files are replaced in place on hubs; a file that is half of each passes no check, or worse, passes."""
    steps = pulled(plan("acme/tiny", models), models)
    next(step for step in steps if isinstance(step, Fetched) and step.done > 400_000)
    steps.close()
    hub.commit = "d" * 40
    hub.asked.clear()
    hub.repositories["acme/tiny"] = tiny.immich(tmp_path / "next", dim=16)
    card = pull("acme/tiny", models)
    assert card.dim == 16 and card.origin == f"acme/tiny@{'d' * 40}"
    assert not any("range" in headers for _, _, headers in hub.asked)
    list(checked_files(card))
    assert not list(card.folder.rglob("*.part"))


def test_two_pulls_of_one_model_do_not_meet(hub: Hub, models: Path) -> None:
    """Two writers of one file make a third."""
    (models / PULLING).mkdir(parents=True)
    with (
        exclusive_lock(
            models / PULLING / "tiny.lock", "clipsearch model pull", lambda holder: LibraryError(holder, "")
        ),
        pytest.raises(LibraryError, match=f"tiny is being pulled by process {os.getpid()}"),
    ):
        pull("acme/tiny", models)


# -- damage ----------------------------------------------------------------------------------------


def test_a_file_that_is_not_what_was_promised_is_thrown_away(hub: Hub, models: Path) -> None:
    """A flipped bit in the weights loads without an error."""
    hub.garbled = {"textual/model.onnx"}
    with pytest.raises(ModelError, match=r"textual/model\.onnx of acme/tiny@.* came damaged"):
        pull("acme/tiny", models)
    assert installed(models) == []
    assert not list((models / PULLING).rglob("textual/*")) and list((models / PULLING).rglob("visual/model.onnx"))
    hub.garbled = set()
    assert pull("acme/tiny", models).dim == 8


def test_a_small_file_is_checked_too(hub: Hub, models: Path) -> None:
    hub.garbled = {"config.json"}
    with pytest.raises(ModelError, match=r"config\.json .* came damaged"):
        pull("acme/tiny", models)


def test_a_beginning_that_the_disk_has_damaged_is_fetched_again(hub: Hub, models: Path) -> None:
    """What is kept from last time may be what a crash has left of it."""
    steps = pulled(plan("acme/tiny", models), models)
    next(step for step in steps if isinstance(step, Fetched) and step.done > 400_000)
    steps.close()
    (part,) = (models / PULLING).rglob("textual/*.part")
    part.write_bytes(bytes(part.stat().st_size))
    card = pull("acme/tiny", models)
    list(checked_files(card))


def test_a_model_whose_side_file_is_not_published_is_not_installed(hub: Hub, models: Path) -> None:
    """Its graph loads, or seems to; its weights are nowhere."""
    (hub.repositories["acme/tiny-js"] / "onnx/vision_model.onnx_data").unlink()
    with pytest.raises(ModelError, match="Nothing was installed"):
        pull("acme/tiny-js", models)
    assert installed(models) == [] and begun_models(models) == []


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(models.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=64 << 20))
    with pytest.raises(SystemFault, match="needs 1 MB more"):
        pull("acme/tiny", models)
    assert hub.files_asked == []


# -- what is refused -------------------------------------------------------------------------------


def test_an_export_with_the_wrong_activation_is_refused(hub: Hub, models: Path, tmp_path: Path) -> None:
    """OpenAI's weights with GELU load without an error and find worse; such files are published."""
    for name, activation in (("RN50__openai", "Erf"), ("RN101__openai", "Sigmoid")):
        size, dim = (224, 1024) if name == "RN50__openai" else (224, 512)
        folder = tiny.immich(tmp_path / name, size=size, dim=dim, activation=activation)
        hub.repositories[f"immich-app/{name}"] = folder
    assert pull("rn101-openai", models).dim == 512
    with pytest.raises(ModelError, match=r"exported with gelu and its weights were trained with quickgelu"):
        pull("rn50-openai", models)
    assert installed(models) == ["rn101-openai"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("vit-b-32-laion2", 'Did you mean "vit-b-32-laion2b"'),
        ("VIT-B-23-OPENAI", 'Did you mean "vit-b-32-openai"'),
        ("qqqqq", "owner/repository"),
        ("./nowhere", "There is no folder ./nowhere"),
        ("vit-b-16-datacomp", "Nobody is known to publish vit-b-16-datacomp"),
    ],
)
def test_a_name_that_is_none_is_answered_without_the_network(hub: Hub, models: Path, wish: str, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        plan(wish, models)
    assert words in f"{caught.value.message} {caught.value.hint}" and hub.asked == []


def test_what_is_here_is_not_replaced(hub: Hub, models: Path) -> None:
    """A library would be searched with other words than its photos were encoded with."""
    (models / "tiny").mkdir(parents=True)
    (models / "tiny/mine.txt").write_text("not a model")
    with pytest.raises(ModelError, match="is there already"):
        pull("acme/tiny", models)
    assert (models / "tiny/mine.txt").read_text() == "not a model"
    hub.asked.clear()
    with pytest.raises(UsageError, match="part of clipsearch"):
        plan("starter", models)
    with pytest.raises(UsageError, match='cannot be called "starter"'):
        plan("acme/starter", models)
    assert hub.asked == []


# -- folders ---------------------------------------------------------------------------------------


def test_a_folder_is_pulled_as_a_repository_is(models: Path, tmp_path: Path) -> None:
    """Machines without a network have models too; the folder may go away afterwards."""
    folder = tiny.transformers_js(tmp_path / "My Model_v1", external=True)
    card = pull(str(folder), models)
    assert card.folder.name == "my-model-v1" and card.origin == str(folder) and card.version == "local"
    shutil.rmtree(folder)
    list(checked_files(card))


def test_a_snapshot_of_the_cache_of_huggingface_hub_is_known_by_its_repository(models: Path, tmp_path: Path) -> None:
    """What another program has downloaded lies there, as links to files that are called after their digests."""
    real = tiny.immich(tmp_path / "real", size=224, dim=512)
    folder = tmp_path / "models--immich-app--ViT-B-32__laion2b-s34b-b79k/snapshots" / COMMIT
    for file in real.rglob("*"):
        if file.is_file():
            (folder / file.relative_to(real)).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.relative_to(real)).symlink_to(file)
    card = pull(str(folder), models)
    assert card.name == "vit-b-32-laion2b" and not any(path.is_symlink() for path in card.folder.rglob("*"))


def test_a_model_in_our_own_layout_is_pulled_too(hub: Hub, models: Path, tmp_path: Path) -> None:
    """What `clipsearch model pull` has made on one machine is carried to the next."""
    card = pull("acme/tiny", models)
    copy = Path(shutil.copytree(card.folder, tmp_path / "carried"))
    carried = pull(str(copy), models)
    assert carried == replace(card, folder=models / "carried")
    (copy / card.reference.text.file).write_bytes(b"not what the card says")
    (models / "carried").rename(tmp_path / "away")
    with pytest.raises(ModelError, match="not the file that its card names"):
        pull(str(copy), models)
    assert installed(models) == ["tiny"]


def test_a_card_that_names_files_elsewhere_is_refused(models: Path, tmp_path: Path) -> None:
    """It would have the program read, and run, whatever lies there."""
    folder = tiny.immich(tmp_path / "ours")
    card = pull(str(folder), models)
    tower = replace(card.reference.text, file="../../secret.onnx")
    (folder / CARD).write_text(card_text(replace(card, variants=(replace(card.reference, text=tower),))))
    shutil.rmtree(card.folder)
    with pytest.raises(ModelError, match="outside"):
        pull(str(folder), models)


def test_an_empty_graph_is_no_model(models: Path, tmp_path: Path) -> None:
    """What an interrupted copy leaves behind."""
    folder = tiny.immich(tmp_path / "ViT-B-32__laion2b-s34b-b79k", size=224, dim=512)
    (folder / "textual/model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="Nothing was installed"):
        pull(str(folder), models)


# -- removal ---------------------------------------------------------------------------------------


def test_a_model_is_removed_whole_and_only_where_it_was_put(hub: Hub, models: Path, tmp_path: Path) -> None:
    card = pull("acme/tiny", models)
    elsewhere = Path(shutil.copytree(card.folder, tmp_path / "mine"))
    with pytest.raises(UsageError, match="leaves it alone"):
        remove_model(find_model(str(elsewhere), models), models)
    with pytest.raises(UsageError, match="stays"):
        remove_model(find_model("starter", models), models)
    remove_model(card, models)
    assert installed(models) == [] and not list((models / PULLING).glob("removed-*"))
    assert (elsewhere / CARD).exists()


def test_what_has_begun_can_be_removed(hub: Hub, models: Path) -> None:
    """A gigabyte that nobody will go on with."""
    steps = pulled(plan("acme/tiny", models), models)
    next(step for step in steps if isinstance(step, Fetched) and step.done > 400_000)
    steps.close()
    assert begun_models(models) == ["tiny"]
    assert remove_begun("Tiny", models) and not remove_begun("tiny", models)
    assert begun_models(models) == []


# -- verification ----------------------------------------------------------------------------------


def test_a_model_that_works_passes(hub: Hub, models: Path) -> None:
    card = pull("acme/tiny", models)
    assert list(checked_files(card)) == list(card.digests)
    assert list(checked_towers(card)) == ["text tower", "image tower"]
    assert list(checked_towers(find_model("starter", models), "onnxruntime")) == [
        "text tower",
        "image tower",
        "int8 on onnxruntime-cpu, text tower",
        "int8 on onnxruntime-cpu, image tower",
    ]


def test_a_file_that_has_changed_or_is_gone_is_named(hub: Hub, models: Path) -> None:
    card = pull("acme/tiny-js", models)
    data = card.folder / "onnx/vision_model.onnx_data"
    content = bytearray(data.read_bytes())
    content[7] ^= 1
    data.write_bytes(content)
    with pytest.raises(ModelError, match=r"vision_model\.onnx_data is not the file"):
        list(checked_files(card))
    data.unlink()
    with pytest.raises(ModelError, match=r"vision_model\.onnx_data cannot be read"):
        list(checked_files(card))


def test_a_tower_that_does_not_look_is_found_out(hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken export that gives one vector for all would find every photo for every word."""
    card = pull("acme/tiny", models)
    one = np.eye(1, 8, dtype=np.float32)
    monkeypatch.setattr(ImageTower, "encode_pixels", lambda self, pixels: np.repeat(one, len(pixels), axis=0))
    with pytest.raises(ModelError, match="image tower gives the same vector"):
        list(checked_towers(card))


@pytest.mark.parametrize("role", ["text", "image"])
def test_vectors_off_the_golden_ones_are_found_out(hub: Hub, models: Path, role: str) -> None:
    """A processor or a runtime that calculates something else answers with plausible nonsense."""
    card = pull("acme/tiny", models)
    pixels = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), np.uint8)
    golden = {
        "pixels": pixels, "image_vectors": ImageTower(card).encode_pixels(pixels),
        "texts": np.array(["a dog"]), "text_vectors": TextTower(card).encode(["a dog"]).vectors,
    }  # fmt: skip
    np.savez(card.folder / "golden.npz", **golden)
    assert len(list(checked_towers(card))) == 2
    golden[f"{role}_vectors"] = golden[f"{role}_vectors"][:, ::-1]
    np.savez(card.folder / "golden.npz", **golden)
    with pytest.raises(ModelError, match=f"the {role} tower is off its golden vectors"):
        list(checked_towers(card))


NEAR = Comparison(100, 100, 0.99, 0.97, 0.99, 0.97, 0.95, 0.0)


def test_each_variant_is_opened_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is fastest is what is taken: a model whose int8 answers nonsense here was said to work."""
    card = small_model(tmp_path / "small")
    photos, words = pictures(3), list(texts(3))
    monkeypatch.setattr(verify, "_TEXTS", words)  # it knows no others
    np.savez(
        card.folder / "golden.npz",
        pixels=photos, image_vectors=ImageTower(card).encode_pixels(photos),
        texts=np.array(words), text_vectors=TextTower(card).encode(words).vectors,
    )  # fmt: skip
    graph = onnx.load(card.folder / "image.onnx")
    weight = next(one for one in graph.graph.initializer if one.name == "down")
    noise = np.random.default_rng(0).standard_normal(tuple(weight.dims), np.float32)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + 0.05 * noise, "down"))
    onnx.save_model(graph, card.folder / "off.onnx")
    int8 = replace(card.reference, name="int8", runtimes=("openvino",), compared=NEAR)
    elsewhere = replace(int8, name="int4", runtimes=("absent",))
    unknown = replace(card.reference, name="fp16")
    assert list(checked_towers(replace(card, variants=(card.reference, int8, elsewhere, unknown)))) == [
        "text tower",
        "image tower",
        "int8 on openvino-cpu, text tower",
        "int8 on openvino-cpu, image tower",
        "int4, which no runtime here opens: its files only",
        "fp16, which is refused (nobody compared it with the reference): its files only",
    ]
    off = replace(int8, image=TowerFile("off.onnx", file_digest(card.folder / "off.onnx")))
    with pytest.raises(ModelError, match=r"image tower of int8 is off its golden vectors \(cosine 0\.\d+, .* 0\.98\)"):
        list(checked_towers(replace(card, variants=(card.reference, off))))
    wide = replace(off, compared=replace(NEAR, least_cosine=0.1))
    assert len(list(checked_towers(replace(card, variants=(card.reference, wide))))) == 4
