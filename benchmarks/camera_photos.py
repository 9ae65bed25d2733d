"""Camera-size JPEGs with distinct pixels in every file, made from a few dozen photographs.

    python benchmarks/camera_photos.py FOLDER [--photos N] [--megapixels 12] [--source PHOTOS]

Each is a crop of a photograph, turned, recoloured and scaled to 4,000 x 3,000 px (24 megapixels: 6,000 x 4,000),
with the noise of a sensor: without it a scaled picture compresses to 1 MB where a camera writes 4 to 8, and decodes
faster. As cameras do, they carry EXIF, a quarter lies on its side with an orientation, half have a colour profile,
a third halve the colours in one direction only. The same number gives the same photo; what exists is kept. Needs
numpy and Pillow; 12 megapixels take about 0.8 s a photo and core.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

SHARED_PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "photos"
SIDES = {12: (4000, 3000), 24: (6000, 4000)}  # megapixels -> px
NOISE = 9.0  # grey levels, standard deviation before it is smoothed; gives 4 to 8 MB at 12 megapixels
LEAST_SIDE = 1000  # px; a smaller source has nothing of a camera's detail left
TILE = 1024  # px, side of the square of noise that is laid over a photo at a place of its own
_ORIENTATION, _MAKE, _MODEL, _EXIF, _TAKEN = 0x0112, 0x010F, 0x0110, 0x8769, 0x9003


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=300, metavar="N", help="how many (default 300)")
    parser.add_argument("--megapixels", type=int, choices=sorted(SIDES), default=12)
    parser.add_argument("--source", type=Path, default=SHARED_PHOTOS, metavar="PHOTOS", help="photographs, any number")
    arguments = parser.parse_args()
    made = camera_photos(arguments.folder, arguments.photos, arguments.megapixels, arguments.source)
    sizes = sorted(path.stat().st_size for path in made)
    least, mean, most = (size / 1e6 for size in (sizes[0], sum(sizes) / len(sizes), sizes[-1]))
    print(f"{len(made)} photos of {least:.1f} to {most:.1f} MB, mean {mean:.1f}")


def camera_photos(folder: Path, count: int, megapixels: int, source: Path) -> list[Path]:
    """The first `count` photos of a set, made where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(path for path in source.rglob("*") if path.suffix in (".jpg", ".png", ".webp"))
    sources = [path for path in sources if min(size(path)) >= LEAST_SIDE]
    paths = [folder / f"DSC_{number:05}.jpg" for number in range(count)]
    absent = [number for number, path in enumerate(paths) if not path.exists()]
    # One source after the other: a process keeps the one it has decoded.
    absent.sort(key=lambda number: number % len(sources))
    with ProcessPoolExecutor() as processes:
        make = partial(write_photo, folder, sources, SIDES[megapixels])
        list(processes.map(make, absent, chunksize=max(1, count // len(sources))))
    return paths


def write_photo(folder: Path, sources: list[Path], sides: tuple[int, int], number: int) -> None:
    random = np.random.default_rng(number)
    image = cropped(photograph(sources[number % len(sources)]), sides[0] / sides[1], random)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.resize(sides, Image.Resampling.BICUBIC)
    noisy = with_noise(recoloured(image, random), random)
    exif = Image.Exif()
    exif[_MAKE], exif[_MODEL] = "Random", "Benchmark"
    exif[_ORIENTATION] = 6 if number % 4 == 3 else 1
    exif.get_ifd(_EXIF)[_TAKEN] = f"2024:{number % 12 + 1:02}:{number % 28 + 1:02} 12:00:00"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if number % 2 else None
    part = folder / f".{number}.part"  # under its name only when it is whole
    quality, chroma = 92 + number % 4, 1 if number % 3 == 2 else 2  # Pillow's 1 is 4:2:2, 2 is 4:2:0
    noisy.save(part, "JPEG", quality=quality, subsampling=chroma, exif=exif, icc_profile=profile)
    os.replace(part, folder / f"DSC_{number:05}.jpg")


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@lru_cache(maxsize=1)
def photograph(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def cropped(image: Image.Image, ratio: float, random: np.random.Generator) -> Image.Image:
    """A window of that ratio, 65 to 95 % of the widest that fits, anywhere."""
    width = min(image.width, image.height * ratio) * random.uniform(0.65, 0.95)
    left, top = random.uniform(0, image.width - width), random.uniform(0, image.height - width / ratio)
    return image.crop((int(left), int(top), int(left + width), int(top + width / ratio)))


def recoloured(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Each channel a little brighter or darker, as another light would have it."""
    gains = random.uniform(0.85, 1.15, 3)
    return image.point([min(255, round(value * gain)) for gain in gains for value in range(256)])


def with_noise(image: Image.Image, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image)
    tile, start = noise(), random.integers(0, TILE, 2)
    rows = tile[(np.arange(pixels.shape[0]) + start[0]) % TILE]
    shift = np.take(rows, (np.arange(pixels.shape[1]) + start[1]) % TILE, axis=1)
    # Saturating additions of bytes: what is below the middle is taken off, what is above it is added.
    added = np.minimum(pixels, 255 - np.maximum(shift, 0)[..., None].astype(np.uint8))
    added = added + np.maximum(shift, 0)[..., None].astype(np.uint8)
    taken = np.minimum(added, np.maximum(-shift, 0)[..., None].astype(np.uint8))
    return Image.fromarray(added - taken)


@lru_cache(maxsize=1)
def noise() -> NDArray[np.int8]:
    """TILE x TILE grey levels, each pixel a little like its neighbour, as a camera's own interpolation leaves them."""
    white = np.random.default_rng(0).normal(0, NOISE, (TILE, TILE))
    smooth = 0.7 * white + 0.15 * (np.roll(white, 1, 0) + np.roll(white, 1, 1))
    return np.round(smooth).astype(np.int8)


if __name__ == "__main__":
    main()
