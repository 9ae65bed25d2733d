"""Small good files of every format, and files made bad from them: as a disk, a cable or an enemy would."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Mutation = Callable[[bytearray, random.Random], None]


def good_files() -> dict[str, bytes]:
    """Name with suffix -> bytes; 64 x 48 px, so that 20,000 of them take minutes."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    rgb = Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)
    grey, clear = rgb.convert("L"), rgb.convert("RGBA")
    clear.putalpha(grey)
    exif = Image.Exif()
    exif[0x0112], exif[0x0110], exif[0x8769] = 6, "Camera", {0x9003: "2011:10:02 14:03:07"}
    made: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "baseline.jpg": (rgb, {"exif": exif}),
        "progressive.jpg": (rgb, {"progressive": True, "subsampling": 2}),
        "restarts.jpg": (rgb, {"restart_marker_blocks": 2}),
        "grey.jpg": (grey, {}),
        "cmyk.jpg": (rgb.convert("CMYK"), {}),
        "rgb.png": (rgb, {"exif": exif}),
        "palette.png": (rgb.convert("P"), {"transparency": 3}),
        "alpha.png": (clear, {}),
        "deep.png": (Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), {}),
        "lossy.webp": (rgb, {"exif": exif}),
        "lossless.webp": (clear, {"lossless": True}),
        "plain.tif": (rgb, {}),
        "lzw.tif": (rgb, {"compression": "tiff_lzw"}),
        "deflate.tif": (grey, {"compression": "tiff_adobe_deflate"}),
        "jpeg.tif": (rgb, {"compression": "jpeg"}),
        "float.tif": (grey.convert("F"), {}),
        "picture.gif": (rgb.convert("P"), {}),
        "picture.bmp": (rgb, {}),
        "palette.bmp": (rgb.convert("P"), {}),
        "picture.avif": (rgb, {"speed": 10, "exif": exif}),
        "alpha.avif": (clear, {"speed": 10}),
        "picture.jp2": (rgb, {}),
        "grey.jp2": (grey, {"irreversible": True}),
        "picture.ppm": (rgb, {}),
        "picture.pgm": (grey, {}),
    }
    files = {}
    for name, (image, options) in made.items():
        encoded = io.BytesIO()
        form = {"jp2": "JPEG2000", "pgm": "PPM", "jpg": "JPEG", "tif": "TIFF"}.get(
            name[-3:], name.split(".")[1].upper()
        )
        image.save(encoded, form, **options)  # type: ignore[arg-type]  # what each format takes
        files[name] = encoded.getvalue()
    return files


def flip_bytes(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 2, 5, 20])):
        data[chance.randrange(len(data))] = chance.randrange(256)


def flip_head(data: bytearray, chance: random.Random) -> None:
    """Where formats, sides and tables are."""
    for _ in range(chance.choice([1, 2, 4])):
        data[chance.randrange(min(len(data), 160))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


def cut_and_fill(data: bytearray, chance: random.Random) -> None:
    """As a download that reserved its room: the right size, zeros at the end."""
    start = chance.randrange(1, len(data))
    data[start:] = bytes([chance.choice([0, 255])]) * (len(data) - start)


def swap_blocks(data: bytearray, chance: random.Random) -> None:
    size = chance.choice([4, 16, 64, 256])
    one, two = (chance.randrange(max(1, len(data) - size)) for _ in range(2))
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]


def repeat_block(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    block = data[start : start + chance.choice([8, 64, 512])]
    data[start:start] = block * chance.choice([1, 3, 50])


def lie_about_numbers(data: bytearray, chance: random.Random) -> None:
    """A length, a count or a side becomes one of those that programs trip over."""
    form = chance.choice(["<H", ">H", "<I", ">I"])
    size = struct.calcsize(form)
    most = (1 << 8 * size) - 1
    value = chance.choice([0, 1, 2, most, most - 1, most // 2, most // 2 + 1, 0x4000 & most, 0x7FFF & most])
    start = chance.randrange(min(len(data) - size, 600))
    struct.pack_into(form, data, start, value)


def lie_about_sides(data: bytearray, chance: random.Random) -> None:
    """64 and 48 px, wherever they are written, become sides that would take gigabytes."""
    for form in ("<H", ">H", "<I", ">I"):
        size = struct.calcsize(form)
        for side in (64, 48, 63, 47):
            place = data.find(struct.pack(form, side))
            if place >= 0 and chance.random() < 0.5:
                large = chance.choice([0, 1, 5000, 16_383, 30_000, 65_535, 200_000, 2_000_000_000])
                struct.pack_into(form, data, place, large % (1 << 8 * size))


def other_head(data: bytearray, chance: random.Random) -> None:
    """The beginning of another format, and its name stays."""
    heads = [
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF....WEBPVP8 ",
        b"II*\0",
        b"MM\0*",
        b"BM",
        b"%!PS",
    ]
    head = chance.choice(heads)
    data[: len(head)] = head


MUTATIONS: tuple[Mutation, ...] = (
    flip_bytes, flip_head, cut, cut_and_fill, swap_blocks, repeat_block, lie_about_numbers, lie_about_sides, other_head,
)  # fmt: skip


def write_mutations(folder: Path, count: int, *, per_folder: int = 1000) -> None:
    """`count` files, the same ones every time; no two have the same bytes, for copies are read once."""
    good = sorted(good_files().items())
    seen = {data for _, data in good}
    number = seed = 0
    while number < count:
        chance = random.Random(seed)
        name, data = good[seed % len(good)]
        mutated = bytearray(data)
        mutation = chance.choice(MUTATIONS)
        mutation(mutated, chance)
        seed += 1
        if bytes(mutated) in seen:
            continue
        seen.add(bytes(mutated))
        place = folder / f"{number // per_folder:02}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:05}-{mutation.__name__}-{name}").write_bytes(mutated)
        number += 1
