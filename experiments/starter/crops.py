"""Cuts the crops that the starter is trained on out of the photos that photos.py has shrunk.

    python experiments/starter/crops.py WORK

Writes WORK/crops/round0.npz (the middle of each photo) and round1.npz (a random part, some turned, recoloured or
blurred), 224 px: `photo` numbers, the JPEGs of all of them one after the other as `bytes`, and where each `ends`.
photos.tsv.xz says which crops training used. A crop depends on its photo, the photo's number and the round alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from photos import Photo, jpeg, read_list
from PIL import Image, ImageEnhance

SIDE = 224
SEED = 7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    work: Path = parser.parse_args().work
    photos = read_list()
    if missing := [photo.name for photo in photos if not (work / "photos" / photo.name).exists()]:
        print(f"not in {work / 'photos'}: {len(missing)} photos, the first {missing[0]}", file=sys.stderr)
        return 1
    (work / "crops").mkdir(exist_ok=True)
    for number in (0, 1):
        chosen = [photo for photo in photos if number in photo.rounds]
        crops = [crop(photo, number, work / "photos") for photo in chosen]
        np.savez(
            work / "crops" / f"round{number}.npz",
            photo=np.array([photo.number for photo in chosen]),
            ends=np.cumsum([len(data) for data in crops]),
            bytes=np.frombuffer(b"".join(crops), np.uint8),
        )
        print(f"round {number}: {len(chosen)} crops")
    return 0


def crop(photo: Photo, number: int, folder: Path) -> bytes:
    image = Image.open(folder / photo.name).convert("RGB")
    cut = middle(image) if number == 0 else varied(image, np.random.default_rng([SEED, photo.number, number]))
    return jpeg(cut, 94)


def middle(image: Image.Image) -> Image.Image:
    scale = SIDE / min(image.size)
    width, height = (max(SIDE, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    return image.crop((left, top, left + SIDE, top + SIDE))


def varied(image: Image.Image, random: np.random.Generator) -> Image.Image:
    left, top, right, bottom = random_box(image.size, random)
    image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, right, bottom))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if random.random() < 0.3:
        image = ImageEnhance.Brightness(image).enhance(random.uniform(0.6, 1.4))
        image = ImageEnhance.Contrast(image).enhance(random.uniform(0.7, 1.3))
        image = ImageEnhance.Color(image).enhance(random.uniform(0.3, 1.4))
    if random.random() < 0.08:
        image = image.convert("L").convert("RGB")
    if random.random() < 0.12:
        side = int(random.choice([32, 48, 64, 96]))
        image = image.resize((side, side), Image.Resampling.BICUBIC)
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return image


def random_box(size: tuple[int, int], random: np.random.Generator) -> tuple[int, int, int, int]:
    """A quarter of the photo or more, 3:4 to 4:3; after ten boxes too large for it, a square."""
    photo_width, photo_height = size
    for _ in range(10):
        area = photo_width * photo_height * random.uniform(0.25, 1)
        shape = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
        width, height = round((area * shape) ** 0.5), round((area / shape) ** 0.5)
        if width <= photo_width and height <= photo_height:
            break
    else:
        width = height = min(size)
    left = int(random.integers(0, photo_width - width + 1))
    top = int(random.integers(0, photo_height - height + 1))
    return left, top, left + width, top + height


if __name__ == "__main__":
    sys.exit(main())
