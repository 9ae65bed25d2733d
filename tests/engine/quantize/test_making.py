"""A small model goes through every precision, and what is added is what it says. Real runtimes, real files."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clipsearch.engine.backends import Way
from clipsearch.engine.cards import CARD, ModelCard, read_card
from clipsearch.engine.choosing.candidates import Candidate, refusal
from clipsearch.engine.quantize import making
from clipsearch.engine.quantize.making import Added, Precision, check_extra, quantized
from clipsearch.engine.quantize.material import Material
from clipsearch.engine.towers import ImageTower, TextTower
from clipsearch.engine.verify import checked_files
from clipsearch.errors import LibraryError, ModelError
from tests.support.small import pictures, small_model, texts

MATERIAL = Material(pictures(24), texts(24), pictures(20, seed=1), texts(20, seed=1), texts(6, seed=2))


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return small_model(tmp_path / "models" / "small")


def add(card: ModelCard, precision: Precision, material: Material = MATERIAL) -> ModelCard:
    steps = list(quantized(card, card.folder.parent, precision, material, 0.98, 0.9))
    assert any(isinstance(step, Added) for step in steps)
    return read_card(card.folder)


def size_of(card: ModelCard, name: str) -> int:
    (variant,) = (one for one in card.variants if one.name == name)
    return sum(
        (card.folder / file).stat().st_size for tower in (variant.image, variant.text) for file, _ in tower.files
    )


@pytest.mark.parametrize(
    ("precision", "names", "smaller", "least"),
    [
        ("fp16", ["fp16"], 0.6, 0.9999),
        ("int4", ["int4-onnxruntime"], 0.45, 0.9),
        ("int8", ["int8-openvino", "int8-onnxruntime"], 0.8, 0.98),
    ],
)
def test_a_variant_is_small_near_and_blind_to_its_batch_mates(
    card: ModelCard, precision: Precision, names: list[str], smaller: float, least: float
) -> None:
    """A photo that is indexed alone, after a change, would leave its place."""
    made = add(card, precision)
    assert [one.name for one in made.variants] == ["fp32", *names]
    assert (made.image_fingerprint, made.text_fingerprint) == (card.image_fingerprint, card.text_fingerprint)
    assert len(list(checked_files(made))) == len(made.digests)
    photos = pictures(9, seed=5)
    true = ImageTower(made, Candidate(Way("onnxruntime"), "fp32")).encode_pixels(photos)
    true_texts = TextTower(made, Candidate(Way("onnxruntime"), "fp32")).encode(list(texts(5, seed=5))).vectors
    for variant in made.variants[1:]:
        if not variant.image.data:  # OpenVINO's graph is text, and longer than the weights of so small a model
            assert size_of(made, variant.name) < smaller * size_of(made, "fp32")
        assert variant.compared is not None and variant.compared.image_mean >= least
        assert (variant.compared.photos, variant.compared.texts) == (20, 20)
        for runtime in variant.runtimes or ("onnxruntime", "openvino"):
            together, alone = (
                ImageTower(made, Candidate(Way(runtime), variant.name, batch)).encode_pixels(photos) for batch in (9, 1)
            )
            assert (together * true).sum(axis=1).mean() >= least
            assert (together * alone).sum(axis=1).min() >= 0.9995
            found = TextTower(made, Candidate(Way(runtime), variant.name)).encode(list(texts(5, seed=5))).vectors
            assert (found * true_texts).sum(axis=1).mean() >= least


def test_made_again_it_takes_the_place_of_the_old_one(card: ModelCard) -> None:
    first = add(card, "fp16")
    again = add(first, "fp16")
    assert [one.name for one in again.variants] == ["fp32", "fp16"]
    assert not {one for one in first.digests if one.startswith("fp16")} & again.digests.keys()
    assert {path.name for path in card.folder.iterdir()} == {*again.digests, CARD}


# -- killed --------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from clipsearch.engine.cards import read_card
from clipsearch.engine.quantize import adding, making
from tests.engine.quantize.test_making import MATERIAL

left = int(sys.argv[2])
def dying(step):
    def run(*arguments):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        step(*arguments)
    return run
for name in ("sync_file", "sync_folder", "publish", "_drop_strangers"):
    setattr(adding, name, dying(getattr(adding, name)))
card = read_card(Path(sys.argv[1]))
for step in making.quantized(card, card.folder.parent, "fp16", MATERIAL, 0.98, 0.9):
    pass
"""


@pytest.mark.parametrize("steps", range(7))
def test_killed_anywhere_the_card_names_whole_files(card: ModelCard, steps: int) -> None:
    """A model that was fetched for an hour must not be lost to a variant of it. The next run cleans up."""
    before = add(card, "fp16")
    arguments = [sys.executable, "-c", KILLED, str(card.folder), str(steps)]
    done = subprocess.run(arguments, capture_output=True, timeout=60, check=False)
    # Of garbage: 0. Two towers and the folder are synced, the card is published: 1 to 4. Of the old variant: 5.
    assert done.returncode == (-signal.SIGKILL if steps < 6 else 0), done.stderr
    left = read_card(card.folder)
    list(checked_files(left))
    assert [one.name for one in left.variants] == ["fp32", "fp16"]
    assert (left.variants == before.variants) == (steps < 5)
    vectors = ImageTower(left, Candidate(Way("onnxruntime"), "fp16")).encode_pixels(pictures(1))
    assert vectors.shape == (1, 32)
    after = add(left, "fp16")
    assert {path.name for path in card.folder.iterdir()} <= {*after.digests, CARD, f"{CARD}.new"}


def test_a_killed_run_leaves_nothing_that_the_next_one_keeps(card: ModelCard) -> None:
    for name in (
        "int8-openvino.0123abcd.image.xml",
        "fp16.0123abcd.text.onnx",
        "int4-onnxruntime.0123abcd.image.onnx.data",
    ):
        (card.folder / name).write_bytes(b"half")
    (card.folder / "notes.txt").write_text("mine")
    made = add(card, "fp16")
    assert {path.name for path in card.folder.iterdir()} == {*made.digests, CARD, "notes.txt"}


# -- elsewhere, refused, full --------------------------------------------------------------------------


def test_a_model_that_lies_elsewhere_is_copied_first(tmp_path: Path) -> None:
    """A folder that somebody else fills is only ever read."""
    card = small_model(tmp_path / "elsewhere" / "Small")
    before = {path.name: path.read_bytes() for path in card.folder.iterdir()}
    *_, last = quantized(card, tmp_path / "models", "fp16", MATERIAL, 0.98, 0.9)
    assert isinstance(last, Added) and last.card.folder == tmp_path / "models" / "small"
    assert {path.name: path.read_bytes() for path in card.folder.iterdir()} == before
    assert read_card(last.card.folder).image_fingerprint == card.image_fingerprint


def test_another_model_of_that_name_is_left_alone(card: ModelCard, tmp_path: Path) -> None:
    other = small_model(tmp_path / "elsewhere" / "small")
    (card.folder / CARD).write_text((card.folder / CARD).read_text().replace("size = 32", "size = 64"))
    with pytest.raises(ModelError, match="another model lies"):
        list(quantized(other, card.folder.parent, "fp16", MATERIAL, 0.98, 0.9))


def test_the_gate_is_kept_with_the_comparison(card: ModelCard) -> None:
    """Who asked for more is not served less by a later run that reads the card."""
    *_, last = quantized(card, card.folder.parent, "int4", MATERIAL, 0.99999, 0.9)
    assert isinstance(last, Added)
    (variant,) = (one for one in read_card(card.folder).variants if one.name == "int4-onnxruntime")
    assert variant.compared and variant.compared.least_cosine == 0.99999
    assert "0.99999 is asked for" in (refusal(card, variant) or "")


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_MODULES", ("onnx", "no_such_module"))
    with pytest.raises(ModelError, match="needs no_such_module") as caught:
        check_extra()
    assert caught.value.hint == "pip install 'clipsearch[quantize]'"


def test_a_graph_that_cannot_be_quantised_leaves_the_model_as_it_was(
    card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library's own error is a page of its source."""

    def fail(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise RuntimeError("no such operator")

    monkeypatch.setattr(making, "to_fp16", fail)
    before = (card.folder / CARD).read_bytes()
    with pytest.raises(ModelError, match="image tower of small cannot be made fp16: no such operator"):
        list(quantized(card, card.folder.parent, "fp16", MATERIAL, 0.98, 0.9))
    assert (card.folder / CARD).read_bytes() == before
    assert {path.name for path in card.folder.iterdir()} == {*card.digests, CARD}


def test_a_run_that_is_given_up_leaves_nothing(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gigabytes of a large model would lie there until somebody quantises it again."""
    running = quantized(card, card.folder.parent, "fp16", MATERIAL, 0.98, 0.9)
    while len(list(card.folder.iterdir())) <= len(card.digests) + 1:
        next(running)
    running.close()
    assert {path.name for path in card.folder.iterdir()} == {*card.digests, CARD}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "beside", interrupted)
    with pytest.raises(KeyboardInterrupt):
        add(card, "fp16")
    assert {path.name for path in card.folder.iterdir()} == {*card.digests, CARD}


def test_a_model_of_other_graphs_is_refused_before_it_is_copied(card: ModelCard, tmp_path: Path) -> None:
    """What `model export --format openvino` made was handed to onnx, which says that a wire type is wrong."""
    image = replace(card.reference.image, file="image.xml")
    other = replace(card, variants=(replace(card.reference, image=image),))
    with pytest.raises(ModelError, match=r"image\.xml is no ONNX graph"):
        list(quantized(other, tmp_path / "elsewhere", "fp16", MATERIAL, 0.98, 0.9))
    assert not (tmp_path / "elsewhere").exists()


def test_two_do_not_change_a_model_at_once(card: ModelCard) -> None:
    running = quantized(card, card.folder.parent, "fp16", MATERIAL, 0.98, 0.9)
    next(running)
    with pytest.raises(LibraryError, match="small is being changed by process"):
        next(quantized(card, card.folder.parent, "fp16", MATERIAL, 0.98, 0.9))
    running.close()
