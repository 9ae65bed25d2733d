"""Fetches the photos that the starter is trained on, each from where photos.tsv.xz says, and shrinks them.

    python experiments/starter/photos.py WORK [--repositories FOLDER]

Writes WORK/photos/NUMBER.jpg, shorter side 288 px, and leaves what is there. A repository is fetched with git at the
commit in the list, and of it only the photos; FOLDER may hold repositories that are here already (OWNER+NAME, bare or
not). Six photos lie in packages instead: four in Debian's (`apt-get`, `dpkg-deb`), two in PyPI's (`pip`). Each photo
that cannot be read is named.

Owns the list and the shrinking; knows nothing of training. crops.py cuts the crops.
"""

from __future__ import annotations

import argparse
import csv
import io
import lzma
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageOps

LIST = Path(__file__).with_name("photos.tsv.xz")
DEBIAN, PYPI = "debian:", "pypi:"  # a package instead of a repository, with its version instead of a commit

SIDE = 288
LONGEST = 2.2  # times the shorter side: the rest of a panorama is cut off

# Of the other sources, copies of at most 800 px were kept, and those were shrunk: the same is done here, so that the
# pixels are the same. Some copies were made without a look at Exif orientation and transparency.
UNREDUCED = frozenset(
    {"assorted", "clothing_cc0", "flickr_cars", "flower_photos", "grocery", "usgov_documerica_fsa"}
) | {"openimages_jitesh", "openimages_packt", "openimages_roboflow", "openimages_tranhung", "wallpapers_budgie"}
UNTURNED = frozenset({"fedora_backgrounds", "openstax", "openstax_older_editions", "openstax_panels"})
BICUBIC = frozenset({"fedora_backgrounds", "food_commons", "nz_travel_commons"})  # so their copies were made smaller


@dataclass(frozen=True)
class Photo:
    number: int
    source: str
    repository: str
    commit: str
    path: str
    box: tuple[int, ...]  # what is cut out of the copy of at most 800 px; empty: all of it
    rounds: tuple[int, ...]  # the crops that training used

    @property
    def name(self) -> str:
        return f"{self.number:05d}.jpg"


def read_list() -> list[Photo]:
    with lzma.open(LIST, "rt", encoding="utf-8", newline="") as lines:
        return [
            Photo(
                int(row["id"]),
                row["source"],
                row["repository"],
                row["commit"],
                row["path"],
                tuple(int(side) for side in row["box"].split(",") if side),
                tuple(number for number in (0, 1) if row[f"round{number}"] == "1"),
            )
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--repositories", type=Path, help="a folder of repositories that need not be fetched")
    arguments = parser.parse_args()
    folder = arguments.work / "photos"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = sorted((photo for photo in read_list() if not (folder / photo.name).exists()), key=origin)
    missing = 0
    for (repository, commit), group in groupby(wanted, key=origin):
        photos = list(group)
        try:
            blobs = originals(repository, commit, photos, arguments.work, arguments.repositories)
            for photo, data in zip(photos, blobs, strict=True):
                try:
                    if data is None:
                        raise OSError("not there")
                    write(shrunken(data, photo), folder / photo.name)
                except OSError as problem:
                    missing += 1
                    print(f"{photo.number} {repository} {photo.path}: {problem}", file=sys.stderr)
        except (subprocess.CalledProcessError, FileNotFoundError) as problem:
            missing += sum(not (folder / photo.name).exists() for photo in photos)
            print(f"{repository} {commit}, {len(photos)} photos: {problem}", file=sys.stderr)
    print(f"{len(wanted) - missing} photos written, {missing} missing")
    return 1 if missing else 0


def origin(photo: Photo) -> tuple[str, str]:
    return photo.repository, photo.commit


def originals(
    repository: str, commit: str, photos: list[Photo], work: Path, here: Path | None
) -> Iterator[bytes | None]:
    """The files in the photos' order; None for one that is not there."""
    if repository.startswith((DEBIAN, PYPI)):
        unpacked = unpack_package(repository, commit, work / "packages")
        return (file.read_bytes() if (file := unpacked / photo.path).is_file() else None for photo in photos)
    name = repository.replace("/", "+")
    git_folder = git_folder_in(here / name) if here else None
    if git_folder is None:
        git_folder = work / "repositories" / name
        fetch(repository, commit, [photo.path for photo in photos], git_folder)
    return read_blobs(git_folder, [f"{commit}:{photo.path}" for photo in photos])


def git_folder_in(folder: Path) -> Path | None:
    places = (folder, folder / ".git", folder / "repo", folder / "repo" / ".git")
    return next((place for place in places if (place / "objects").is_dir()), None)


def fetch(repository: str, commit: str, paths: list[str], git_folder: Path) -> None:
    """The commit's trees, then the wanted files alone, all in one request."""
    subprocess.run(["git", "init", "--quiet", "--bare", git_folder], check=True)
    git = ["git", "-C", str(git_folder)]
    address = f"https://github.com/{repository}"
    subprocess.run([*git, "config", "remote.origin.url", address], check=True)
    subprocess.run([*git, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", commit], check=True)
    tree = subprocess.run([*git, "ls-tree", "-r", "-z", commit], check=True, capture_output=True).stdout.decode()
    entries = (line.split("\t", 1) for line in tree.split("\0") if line)
    blobs_of = {path: entry.split()[2] for entry, path in entries}
    blobs = "\n".join(blobs_of[path] for path in paths if path in blobs_of)
    options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none", "--stdin"]
    subprocess.run([*git, "fetch", *options, "origin"], input=blobs.encode(), check=True)


def read_blobs(git_folder: Path, names: list[str]) -> Iterator[bytes | None]:
    command = ["git", "-C", str(git_folder), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name in names:
            process.stdin.write(name.encode() + b"\n")
            process.stdin.flush()
            head = process.stdout.readline().split()
            if head[1:2] != [b"blob"]:
                yield None
                continue
            yield process.stdout.read(int(head[2]))
            process.stdout.read(1)


def unpack_package(package: str, version: str, folder: Path) -> Path:
    name = package.split(":")[1]
    unpacked = folder / f"{name}_{version}"
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if package.startswith(DEBIAN):
            subprocess.run(["apt-get", "download", f"{name}={version}"], cwd=folder, check=True)
            (archive,) = folder.glob(f"{name}_*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
        else:
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            subprocess.run([*download, f"{name}=={version}"], cwd=folder, check=True)
            (archive,) = folder.glob(f"{name.replace('-', '_')}-*.whl")
            shutil.unpack_archive(archive, unpacked, "zip")
    return unpacked


def shrunken(data: bytes, photo: Photo) -> Image.Image:
    if photo.source not in UNREDUCED:
        data = reduced(data, photo)
    image: Image.Image = Image.open(io.BytesIO(data))
    image.draft("RGB", (420, 420))
    image = image.convert("RGB")
    scale = SIDE / min(image.size)
    if scale < 1:
        width, height = (max(SIDE, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    shorter = min(image.size)
    if max(image.size) > LONGEST * shorter:
        width, height = (min(side, int(LONGEST * shorter)) for side in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    return image


def reduced(data: bytes, photo: Photo) -> bytes:
    """The copy of at most 800 px, and the panel cut out of it."""
    image: Image.Image = Image.open(io.BytesIO(data))
    if photo.source not in UNTURNED:
        image = ImageOps.exif_transpose(image)
        if image.mode in ("RGBA", "LA", "P"):
            transparent = image.convert("RGBA")
            image = Image.new("RGBA", image.size, "white")
            image.alpha_composite(transparent)
    image = image.convert("RGB")
    resampling = Image.Resampling.BICUBIC if photo.source in BICUBIC else Image.Resampling.LANCZOS
    image.thumbnail((800, 800), resampling)
    copy = jpeg(image, 90)
    if photo.box:
        left, top, right, bottom = photo.box
        copy = jpeg(Image.open(io.BytesIO(copy)).crop((left, top, right, bottom)), 92)
    return copy


def jpeg(image: Image.Image, quality: int) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return data.getvalue()


def write(image: Image.Image, file: Path) -> None:
    part = file.with_suffix(".part")
    part.write_bytes(jpeg(image, 92))
    part.replace(file)


if __name__ == "__main__":
    sys.exit(main())
