"""Pictures become exactly the pixels the model was trained on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from clipsearch.engine.cards import ImageInput
from clipsearch.engine.preprocess import Preprocess
from tests.conftest import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden"
ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
FAMILIES = {"clip": ("shortest", "bicubic"), "siglip": ("squash", "bicubic"), "mobileclip": ("shortest", "bilinear")}

with np.load(GOLDEN / "crops.npz") as archive:
    CROPS = {name: archive[name] for name in archive.files}


def definition(size: int = 64, family: str = "clip", *, mean=ZEROS, std=ONES) -> ImageInput:
    resize, interpolation = FAMILIES[family]
    return ImageInput(size, resize, interpolation, mean, std)


@pytest.mark.parametrize("name", CROPS)
def test_pixels_equal_upstream(name: str) -> None:
    """One pixel of offset or another filter moves every vector away from what the published model gives."""
    family, size, picture = name.split("_", 2)
    with Image.open(GOLDEN / "crops" / f"{picture}.png") as image:
        pixels = Preprocess(definition(int(size), family))(image.convert("RGB"))
    assert np.array_equal(np.frombuffer(pixels, np.uint8).reshape(CROPS[name].shape), CROPS[name])


def test_every_family_and_picture_has_a_golden_crop() -> None:
    """An archive that lost entries would make the test above pass without looking."""
    pictures = [path.stem for path in (GOLDEN / "crops").glob("*.png")]
    assert len(pictures) == 7
    assert {f"{family}_64_{picture}" for family in FAMILIES for picture in pictures} <= CROPS.keys()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sides", [(1, 65_500), (65_500, 1), (1, 1), (3, 64), (64, 3)], ids=str)
def test_a_thin_picture_gives_the_right_size_without_a_giant_in_between(
    sides: tuple[int, int], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 x 65,500 px would be scaled to 224 x 14,672,000 first: 9.9 GB for one file in the folder."""
    asked: list[int] = []
    resize = Image.Image.resize

    def watched(image: Image.Image, size: tuple[int, int], *args: object, **kwargs: object) -> Image.Image:
        asked.append(size[0] * size[1])
        assert max(asked) <= 16 * 224 * 224
        return resize(image, size, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", watched)
    pixels = Preprocess(definition(224, family))(Image.new("RGB", sides, (10, 20, 30)))
    assert asked
    assert np.array_equal(np.unique(np.frombuffer(pixels, np.uint8).reshape(224 * 224, 3), axis=0), [[10, 20, 30]])


@pytest.mark.parametrize("family", ["clip", "mobileclip"])
@pytest.mark.parametrize("upright", [True, False])
def test_a_thin_picture_shows_its_middle(family: str, upright: bool) -> None:
    """A panorama cut at one end would be found for its edge and not for its subject."""
    image = Image.new("RGB", (10, 1000), "black")
    image.paste("white", (0, 490, 10, 510))
    pixels = Preprocess(definition(32, family))(image if upright else image.transpose(Image.Transpose.ROTATE_90))
    assert np.frombuffer(pixels, np.uint8).mean() > 250


def test_tensor_subtracts_the_mean_and_divides_by_the_deviation_of_each_channel() -> None:
    """Swapped channels or a forgotten mean give plausible vectors that find the wrong photos."""
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[1, 2, 3] = (255, 51, 102)
    tensor = Preprocess(definition(4, mean=mean, std=std)).tensor(pixels)
    assert tensor.shape == (2, 3, 4, 4) and tensor.dtype == np.float32 and tensor.flags.c_contiguous
    assert np.allclose(tensor[0, :, 0, 0], [-0.1 / 0.5, -0.2 / 0.25, -0.3 / 2.0])
    assert np.allclose(tensor[1, :, 2, 3], [0.9 / 0.5, 0.0, 0.1 / 2.0])


def test_it_travels_to_a_decode_worker_and_works_the_same_there() -> None:
    """Workers are other processes: what cannot be pickled cannot decode."""
    here = Preprocess(definition(32))
    there = pickle.loads(pickle.dumps(here))
    image = Image.effect_noise((90, 50), 80).convert("RGB")
    assert there == here and there.size == 32
    assert there(image) == here(image)
