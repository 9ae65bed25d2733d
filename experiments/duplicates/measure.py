"""How well hashes and vectors tell copies and frames of one moment from other photos: the tables of docs/duplicates.md.

    python experiments/duplicates/measure.py FOLDER [FOLDER ...] [--model FOLDER] [--limit N] [--cifar TAR]

Each photo of the folders is scaled to at most 1,600 px and saved again in the ways of `COPIES`, `EDITS` and `FRAMES`
(the same ones each time); 60 drawn pages, receipts, chats and lists of settings each, with other words in them, are
what looks alike and is not the same. All go through the program's own decoder and image tower. For comparison with the
difference hash that the first version kept (N. Krawetz, 2013), its 64 bits are counted too. TAR holds small pictures;
those that the hashes alone take for copies are named, for the eye to judge.
"""

from __future__ import annotations

import argparse
import random
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from clipsearch.decoding.appearance import perceptual_hashes
from clipsearch.decoding.decode import FORMATS, decode, upright_rgb
from clipsearch.duplicates import ALL_BITS, BURST_COSINE, COARSE_BITS, COPY_COSINE, SHAPE, copies, looks_of
from clipsearch.engine.cards import read_card
from clipsearch.engine.choosing.candidates import default_candidate
from clipsearch.engine.store import STARTER_FOLDER
from clipsearch.engine.towers import ImageTower
from clipsearch.types import Decoded, Metadata

Picture = Image.Image
LARGEST = 1600  # px
DOCUMENTS = 60  # of each kind


def scaled(factor: float) -> Callable[[Picture], Picture]:
    return lambda picture: picture.resize(
        (max(1, round(picture.width * factor)), max(1, round(picture.height * factor))), Image.Resampling.LANCZOS
    )


def preview(picture: Picture) -> Picture:
    small = picture.copy()
    small.thumbnail((160, 160))
    return small


def cropped(share: float) -> Callable[[Picture], Picture]:
    def crop(picture: Picture) -> Picture:
        x, y = round(picture.width * share), round(picture.height * share)
        return picture.crop((x, y, picture.width - x, picture.height - y))

    return crop


def dated(picture: Picture) -> Picture:
    stamped = picture.copy()
    place = picture.width * 0.7, picture.height * 0.92
    ImageDraw.Draw(stamped).text(place, "12.08.2019 14:03", fill=(255, 160, 0))
    return stamped


def next_frame(picture: Picture) -> Picture:
    """What a hand-held camera sees a second later: moved by up to 6 %, turned by up to 3 degrees, a little brighter."""
    turned = picture.rotate(random.uniform(-3, 3), Image.Resampling.BICUBIC)
    left, top = (random.uniform(0.02, 0.08) for _ in range(2))
    frame = turned.crop(
        (round(turned.width * left), round(turned.height * top),
         round(turned.width * (left + 0.9)), round(turned.height * (top + 0.9)))
    )  # fmt: skip
    return ImageEnhance.Brightness(frame.resize(picture.size)).enhance(random.uniform(0.9, 1.1))


def whole(picture: Picture) -> Picture:
    return picture


@dataclass(frozen=True)
class Way:
    name: str
    change: Callable[[Picture], Picture]
    format: str = "JPEG"
    quality: int = 85


ORIGINAL = Way("original", whole, "PNG")
COPIES = (
    Way("JPEG, quality 95", whole, quality=95),
    Way("JPEG, quality 50", whole, quality=50),
    Way("JPEG, quality 30", whole, quality=30),
    Way("WebP, quality 75", whole, "WEBP", 75),
    Way("AVIF, quality 60", whole, "AVIF", 60),
    Way("3/4 of the sides", scaled(0.75)),
    Way("half of the sides, quality 60", scaled(0.5), quality=60),
    Way("quarter of the sides", scaled(0.25)),
    Way("preview of 160 px", preview, quality=75),
)
EDITS = (
    Way("15 % brighter", lambda p: ImageEnhance.Brightness(p).enhance(1.15)),
    Way("date printed into it", dated),
    Way("grey", lambda p: p.convert("L")),
    Way("1 % cut off each side", cropped(0.01)),
    Way("2 % cut off each side", cropped(0.02)),
    Way("5 % cut off each side", cropped(0.05)),
    Way("10 % cut off each side", cropped(0.1)),
    Way("mirrored", ImageOps.mirror),
)
FRAMES = (Way("next frame by hand", next_frame, quality=92),)


@dataclass(frozen=True)
class Seen:
    """Rows of what the program sees in pictures."""

    vectors: NDArray[np.float32]
    bits: NDArray[np.bool_]  # (n, 256), the coarse 64 first
    difference: NDArray[np.bool_]  # (n, 64), of the difference hash
    shapes: NDArray[np.float64]

    def rows(self, chosen: NDArray[np.intp]) -> Seen:
        return Seen(self.vectors[chosen], self.bits[chosen], self.difference[chosen], self.shapes[chosen])


def seen(pictures: Iterator[tuple[Picture, Way]], tower: ImageTower) -> Seen:
    vectors, bits, difference, shapes = [], [], [], []
    pending: list[bytes] = []
    side = tower.prepare.size

    def flush() -> None:
        pixels = np.frombuffer(b"".join(pending), np.uint8).reshape(-1, side, side, 3)
        vectors.append(tower.encode_pixels(pixels))
        pending.clear()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        for picture, way in pictures:
            way.change(picture).save(path, way.format, quality=way.quality)
            found = decode(bytes(path), tower.prepare)
            assert isinstance(found, Decoded), found
            described = found.metadata
            assert described.phash is not None and described.phash_fine is not None, "a plain picture"
            packed = described.phash.to_bytes(8, "big", signed=True) + described.phash_fine
            bits.append(np.unpackbits(np.frombuffer(packed, np.uint8)).astype(np.bool_))
            with Image.open(path, formats=FORMATS) as again:
                small = again.convert("L").resize((9, 8), Image.Resampling.BOX)
            levels = np.asarray(small, np.int16)
            difference.append((levels[:, 1:] > levels[:, :-1]).ravel())
            shapes.append(described.width / described.height)
            pending.append(found.pixels)
            if len(pending) == 32:
                flush()
    if pending:
        flush()
    return Seen(np.concatenate(vectors), np.array(bits), np.array(difference), np.array(shapes))


def photos(folders: list[Path], limit: int) -> list[Picture]:
    found = []
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())[:limit]:
        try:
            with Image.open(path, formats=FORMATS) as image:
                image.draft("RGB", (LARGEST, LARGEST))
                image.load()
                picture = upright_rgb(ImageOps.exif_transpose(image), image.info.get("icc_profile"))
        except OSError:  # not a picture
            continue
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        found.append(picture)
    return found


# -- what looks alike and is not ----------------------------------------------------------------------

_WORDS = ("the", "of", "and", "to", "in", "is", "that", "for", "with", "be", "by", "not", "his", "have", "from", "they")


def line(room: float, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    words = ""
    while font.getlength(words) < room:
        words += random.choice(_WORDS) + " "
    return words


def page() -> Picture:
    picture = Image.new("RGB", (850, 1100), "white")
    font, y = ImageFont.load_default(22), 80
    while y < 1000:
        ends = random.random() < 0.15
        ImageDraw.Draw(picture).text((70, y), line(300 if ends else 690, font), "black", font)
        y += 50 if ends else 30
    return picture


def receipt() -> Picture:
    picture = Image.new("RGB", (600, 1200), (250, 250, 248))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(22)
    draw.text((200, 40), "SUPERMARKET", "black", font)
    for row in range(random.randint(15, 28)):
        draw.text((60, 120 + row * 34), line(80, font), "black", font)
        draw.text((470, 120 + row * 34), f"{random.random() * 20:.2f}", "black", font)
    return picture


def chat() -> Picture:
    picture = Image.new("RGB", (540, 1080), (236, 229, 221))
    draw, font, y = ImageDraw.Draw(picture), ImageFont.load_default(16), 110
    draw.rectangle((0, 0, 540, 90), (7, 94, 84))
    while y < 980:
        lines, width, mine = random.randint(1, 4), random.randint(180, 400), random.random() < 0.5
        x = 525 - width if mine else 15
        draw.rounded_rectangle((x, y, x + width, y + lines * 24 + 16), 10, (220, 248, 198) if mine else "white")
        for row in range(lines):
            draw.text((x + 10, y + 8 + 24 * row), line(width - 90, font), "black", font)
        y += lines * 24 + 30
    return picture


def settings() -> Picture:
    picture = Image.new("RGB", (540, 1080), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 540, 90), (33, 150, 243))
    for row in range(14):
        y = 110 + row * 66
        draw.ellipse((20, y, 60, y + 40), tuple(random.choices(range(256), k=3)))
        draw.text((80, y), line(100, ImageFont.load_default(22)), "black", ImageFont.load_default(22))
        draw.text((80, y + 26), line(250, ImageFont.load_default(16)), "gray", ImageFont.load_default(16))
        draw.line((0, y + 56, 540, y + 56), "lightgray")
    return picture


ALIKE: Mapping[str, Callable[[], Picture]] = {
    "pages of text": page,
    "receipts": receipt,
    "chats": chat,
    "settings": settings,
}


# -- tables -------------------------------------------------------------------------------------------


def table_of_copies(originals: Seen, others: Mapping[str, Seen]) -> None:
    print("| saved again as | 64 bits | 256 bits | difference hash | lowest cosine, 1 %, 5 % | told as a copy |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, other in others.items():
        differing = (originals.bits != other.bits).sum(axis=1)
        coarse = (originals.bits[:, :64] != other.bits[:, :64]).sum(axis=1)
        former = (originals.difference != other.difference).sum(axis=1)
        cosines = (originals.vectors * other.vectors).sum(axis=1)
        told = (coarse <= COARSE_BITS) & (differing <= ALL_BITS) & (cosines >= COPY_COSINE)
        told &= np.abs(np.log(originals.shapes / other.shapes)) <= SHAPE
        low = "  ".join(f"{value:.3f}" for value in (cosines.min(), *np.percentile(cosines, (1, 5))))
        print(f"| {name} | {high(coarse)} | {high(differing)} | {high(former)} | {low} | {told.mean():.1%} |")


def high(counts: NDArray[np.intp]) -> str:
    """Median, 99th percentile and largest."""
    return "  ".join(str(int(value)) for value in np.percentile(counts, (50, 99, 100), method="nearest"))


def row_of_others(name: str, all_of: Seen, owner: NDArray[np.intp]) -> None:
    """All pairs of rows with different owners."""
    cosines = all_of.vectors @ all_of.vectors.T
    different = owner[:, None] < owner[None]
    coarse, whole_, former = (
        distances(bits)[different] for bits in (all_of.bits[:, :64], all_of.bits, all_of.difference)
    )
    found = cosines[different]
    wrong = (coarse <= COARSE_BITS) & (whole_ <= ALL_BITS) & (found >= COPY_COSINE)
    by_former = (former <= COARSE_BITS) & (found >= 0.97)
    print(
        f"| {name} | {len(found):,} | {coarse.min()} | {whole_.min()} | {former.min()} | {found.max():.3f} "
        f"| {(found >= BURST_COSINE).mean():.2%} | {wrong.sum():,} | {by_former.sum():,} |"
    )


def distances(bits: NDArray[np.bool_]) -> NDArray[np.intp]:
    ones = bits.astype(np.float32)
    counts = ones.sum(axis=1)
    return np.asarray(np.rint(counts[:, None] + counts[None] - 2 * ones @ ones.T), np.intp)


def name_copies(archive: Path) -> None:
    """Pairs of pictures of a tar archive that the hashes take for copies."""
    names, looks = [], []
    with tarfile.open(archive) as pictures:
        for member in pictures:
            if file := pictures.extractfile(member):
                with Image.open(file, formats=FORMATS) as image:
                    coarse, fine = perceptual_hashes(image.convert("RGB")) or (None, None)
                names.append(member.name)
                looks.append(Metadata(1, 1, "JPEG", phash=coarse, phash_fine=fine))
    unit = np.ones((1, 1), np.float32)  # the vectors have no say
    print(f"\n{len(names):,} pictures of {archive.name}:")
    for group in copies(looks_of(looks), lambda rows: np.repeat(unit, len(rows), axis=0)):
        print("-", " = ".join(names[row] for row in group))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, default=STARTER_FOLDER)
    parser.add_argument("--limit", type=int, default=10_000, help="photos at most")
    parser.add_argument("--cifar", type=Path, metavar="TAR")
    arguments = parser.parse_args()
    random.seed(10)
    card = read_card(arguments.model)
    tower = ImageTower(card, default_candidate(card, "onnxruntime"))
    pictures = photos(arguments.folders, arguments.limit)
    print(f"{len(pictures)} photos, model {card.name}\n")
    ways = (ORIGINAL, *COPIES, *EDITS, *FRAMES)
    everything = seen(((picture, way) for picture in pictures for way in ways), tower)
    rows = np.arange(len(pictures)) * len(ways)
    by_way = {way.name: everything.rows(rows + place) for place, way in enumerate(ways)}
    table_of_copies(by_way.pop(ORIGINAL.name), by_way)
    print("\n| pairs of different | pairs | 64 bits | 256 bits | difference hash | highest cosine | "
          f"cosine >= {BURST_COSINE} | told as copies | by difference hash and cosine 0.97 |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    used = np.flatnonzero(np.tile([way.name not in ("mirrored",) for way in ways], len(pictures)))
    row_of_others("photos, in all ways but mirrored", everything.rows(used), used // len(ways))
    for name, draw in ALIKE.items():
        row_of_others(name, seen(((draw(), ORIGINAL) for _ in range(DOCUMENTS)), tower), np.arange(DOCUMENTS))
    if arguments.cifar:
        name_copies(arguments.cifar)


if __name__ == "__main__":
    main()
