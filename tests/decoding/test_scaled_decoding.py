"""JPEGs are decoded at a fraction of their size, which must not move their vectors (experiments/decoding)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsearch.decoding import decode as module
from clipsearch.decoding.decode import decode, picture_format
from clipsearch.engine.cards import read_card
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower
from clipsearch.types import Decoded

LEAST, MEAN = 0.995, 0.998  # cosine with the vector of full decoding
IN_FULL = 1_000_000  # a factor at which nothing is decoded smaller

# Of the photos that are decoded smaller, those whose vectors move most: fine print, night, small lights, 12 to 17
# megapixels, and a half, a quarter and an eighth of the size.
TOUCHY = (
    "aquarium-whale-shark.jpg",
    "dandelions-16mp.jpg",
    "handwritten-notes-17mp.jpg",
    "japanese-shop-night.jpg",
    "jellyfish.jpg",
    "navy-jet-goshawk.jpg",
    "nokia-gps-offsettime.jpg",
    "pen-on-paper.jpg",
)


def prepared(photo: Path, tower: ImageTower) -> NDArray[np.uint8]:
    decoded = decode(os.fsencode(photo), tower.prepare)
    assert isinstance(decoded, Decoded), (photo, decoded)
    return np.frombuffer(decoded.pixels, np.uint8).reshape(tower.prepare.size, tower.prepare.size, 3)


def cosines(photos: list[Path], tower: ImageTower, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Of the photos whose pixels at the model's size depend on the scaling; the others' are 1."""
    moved = {}
    for photo in photos:
        scaled = prepared(photo, tower)
        with monkeypatch.context() as patch:
            patch.setattr(module, "DRAFT_FACTOR", IN_FULL)
            full = prepared(photo, tower)
        if not np.array_equal(scaled, full):
            one, other = tower.encode_pixels(np.stack([scaled, full]))
            moved[photo.name] = float(one @ other)
    return moved


def assert_bounded(moved: dict[str, float]) -> None:
    assert {name: cosine for name, cosine in moved.items() if cosine < LEAST} == {}
    assert np.mean(list(moved.values())) >= MEAN  # of these alone: the bound asks it of all photos


def all_photos(shared: Path) -> list[Path]:
    folders = (shared / "data" / "photos", shared / "data" / "captions" / "photos")
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return [path for path in paths if picture_format(os.fsencode(path))]


def test_a_photo_decoded_smaller_keeps_its_vector(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library indexed four times faster must find the same photos."""
    moved = cosines(
        [shared / "data" / "photos" / name for name in TOUCHY], ImageTower(read_card(STARTER_FOLDER)), monkeypatch
    )
    assert len(moved) == len(TOUCHY), "nothing was decoded smaller, so nothing was compared"
    assert_bounded(moved)


@pytest.mark.slow
def test_every_photo_keeps_its_vector_under_the_starter(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of all photos there are, but for one road sign: its letters cost 0.012 (docs/decoding.md)."""
    moved = cosines(all_photos(shared), ImageTower(read_card(STARTER_FOLDER)), monkeypatch)
    assert len(moved) > 30
    assert moved.pop("colorado-sign.jpg") >= 0.985
    assert_bounded(moved)


CARD = """\
name = "clip-vit-b16"
version = "1"
summary = "OpenAI's image tower"
licence = "MIT"
dim = 512
image = {{ size = 224, resize = "shortest", interpolation = "bicubic", mean = {mean}, std = {std} }}
text = {{ tokenizer = "clip-bpe", cleaning = "clip", context = 77, padding = "longest", pad_id = 0 }}
scoring = {{ kind = "softmax", scale = 100.0 }}

[variants.fp32]
image = "vision_fp32.onnx"
image_sha256 = "{sha256}"
text = "none.onnx"
text_sha256 = ""
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_photo_keeps_its_vector_under_a_real_clip(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The starter forgives more than CLIP ViT-B/16, whose patches of 16 px see single letters."""
    beside = shared / "models" / "clip-vit-b16-minilm" / "vision_fp32.onnx"
    tower_file = Path(os.environ.get("CLIP_VIT_B16_IMAGE_TOWER", beside))
    if not tower_file.is_file():
        pytest.skip(
            f"there is no image tower of CLIP ViT-B/16 at {tower_file}: make it as ../shared/models/README.md says, "
            "and name it in CLIP_VIT_B16_IMAGE_TOWER"
        )
    (tmp_path / "vision_fp32.onnx").symlink_to(tower_file.absolute())
    sha256 = hashlib.sha256(tower_file.read_bytes()).hexdigest()
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    (tmp_path / "card.toml").write_text(CARD.format(mean=mean, std=std, sha256=sha256))
    moved = cosines(all_photos(shared), ImageTower(read_card(tmp_path)), monkeypatch)
    assert len(moved) > 30
    assert_bounded(moved)
