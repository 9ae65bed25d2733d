"""Whatever happens to a tree, shortly after it the library is what a fresh index of it would be."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.events import Summary
from tests.index.filled import photo
from tests.support.encoder import HashEncoder
from tests.watching.watched import watching

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and renames of open folders")


def tree(folder: Path) -> Path:
    for number, name in enumerate(["1.jpg", "2.jpg", "a/3.jpg", "a/b/4.jpg", "a/b/5.jpg", "c/6.jpg"]):
        photo(folder / name, number)
    return folder


def created(folder: Path) -> None:
    photo(folder / "new.jpg", 100)
    photo(folder / "a" / "new.jpg", 101)


def modified(folder: Path) -> None:
    photo(folder / "a" / "3.jpg", 102)


def replaced(folder: Path) -> None:
    photo(folder / "a" / ".3.jpg.part", 103).rename(folder / "a" / "3.jpg")


def renamed(folder: Path) -> None:
    (folder / "1.jpg").rename(folder / "c" / "renamed.jpg")


def over_another(folder: Path) -> None:
    (folder / "1.jpg").rename(folder / "2.jpg")


def folder_moved(folder: Path) -> None:
    (folder / "a").rename(folder / "c" / "moved")
    photo(folder / "c" / "moved" / "b" / "afterwards.jpg", 104)


def folder_swapped(folder: Path) -> None:
    (folder / "a").rename(folder / "x")
    (folder / "c").rename(folder / "a")
    (folder / "x").rename(folder / "c")
    photo(folder / "c" / "b" / "afterwards.jpg", 105)


def deleted(folder: Path) -> None:
    (folder / "1.jpg").unlink()
    shutil.rmtree(folder / "a")


def made_anew(folder: Path) -> None:
    shutil.rmtree(folder / "a")
    photo(folder / "a" / "b" / "again.jpg", 106)


def moved_out_and_in(folder: Path) -> None:
    (folder / "a").rename(folder.parent / "outside")
    photo(folder.parent / "other" / "deep" / "9.jpg", 107)
    (folder.parent / "other").rename(folder / "from outside")


def broken(folder: Path) -> None:
    (folder / "a" / "broken.jpg").write_bytes(b"no picture")


def hidden(folder: Path) -> None:
    (folder / "a").rename(folder / ".a")
    photo(folder / ".b" / "1.jpg", 108)


def ignored(folder: Path) -> None:
    (folder / "a" / ".clipsearchignore").write_text("b/\n")


def linked(folder: Path) -> None:
    (folder / "0 link").symlink_to(folder / "a")
    os.link(folder / "1.jpg", folder / "hard.jpg")
    (folder / "soft.jpg").symlink_to(folder / "2.jpg")


def odd_names(folder: Path) -> None:
    photo(folder / "plain.jpg", 109)
    os.makedirs(os.fsencode(folder) + b"/caf\xe9\n")
    os.rename(folder / "plain.jpg", os.fsencode(folder) + b"/caf\xe9\n/\xff.jpg")


CHANGES = [
    created, modified, replaced, renamed, over_another, folder_moved, folder_swapped, deleted, made_anew,
    moved_out_and_in, broken, hidden, ignored, linked, odd_names,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_after_a_change_the_library_is_that_of_a_fresh_index(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """A watcher that misses one kind of change shows photos that are gone, or not those that came."""
    folder = tree(tmp_path / "photos")
    with watching(paths, folder) as watch:
        change(folder)
        watch.agrees()


def test_undone_changes_of_what_is_left_out_are_followed_too(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path
) -> None:
    """What a .clipsearchignore or a link had covered comes back when it is taken away."""
    folder = tree(tmp_path / "photos")
    ignored(folder)
    linked(folder)
    with watching(paths, folder) as watch:
        (folder / "a" / ".clipsearchignore").unlink()
        (folder / "0 link").unlink()
        watch.agrees()


def test_moves_cost_no_encoding(fast: list[HashEncoder], paths: Paths, tmp_path: Path) -> None:
    """Tidying up while the watcher runs must not cost a night."""
    folder = tree(tmp_path / "photos")
    with watching(paths, folder) as watch:
        before = len(watch.events)
        renamed(folder)
        (folder / "a").rename(folder / "c" / "moved")
        (folder / "c").rename(folder / "z")
        watch.agrees()

        def done() -> list[Summary]:
            return [event for event in watch.events[before:] if isinstance(event, Summary)]

        watch.until(lambda: sum(summary.moved for summary in done()) >= 5)
        assert sum(summary.indexed for summary in done()) == 0


class Disorder:
    """A person, three programs and a child with a keyboard, in the order of a seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.outside = folder.parent / f"outside-{seed}"
        self.outside.mkdir()
        self.random = random.Random(seed)
        self.made = seed * 1000 + 1000

    def folders(self, top: Path) -> list[Path]:
        return [Path(path) for path, *_ in os.walk(top)]

    def files(self, top: Path) -> list[Path]:
        return [Path(path) / name for path, _, names in os.walk(top) for name in names]

    def new_name(self) -> str:
        self.made += 1
        return self.random.choice([f"{self.made}.jpg", f"{self.made}.png", f".{self.made}.jpg", f"{self.made}.txt"])

    def step(self) -> None:
        pick = self.random.choice
        folder = pick(self.folders(self.folder))
        files = self.files(self.folder)
        other = pick(self.folders(self.folder))
        match self.random.randrange(11):
            case 0 | 1:
                photo(folder / self.new_name().replace(".txt", ".jpg").replace(".png", ".jpg"), self.made)
            case 2:
                (folder / f"d{self.made}").mkdir(exist_ok=True)
            case 3 if files:
                pick(files).unlink()
            case 4 if files:
                pick(files).rename(folder / self.new_name())
            case 5 if folder != self.folder and not other.is_relative_to(folder):
                target = other / pick([folder.name, f"m{self.made}", f".h{self.made}"])
                if not target.exists():
                    folder.rename(target)
            case 6 if folder != self.folder:
                shutil.rmtree(folder)
            case 7 if files:
                target = pick(files)
                photo(target.parent / ".part.jpg", self.made).rename(target)
                self.made += 1
            case 8 if folder != self.folder:
                folder.rename(self.outside / f"o{self.made}")
                self.made += 1
            case 9 if away := [one for one in self.outside.iterdir() if one.is_dir()]:
                pick(away).rename(folder / f"i{self.made}")
                self.made += 1
            case 10:
                (folder / ".clipsearchignore").write_text(pick(["", "*.png\n", "d*/\n", "!*\n"]))
            case _:
                pass


@pytest.mark.parametrize("seed", range(2))
def test_after_any_changes_in_any_order_the_library_is_that_of_a_fresh_index(
    fast: list[HashEncoder], paths: Paths, tmp_path: Path, seed: int
) -> None:
    """Changes that overtake each other are where watchers lose photos."""
    folder = tree(tmp_path / "photos")
    disorder = Disorder(folder, seed)
    with watching(paths, folder) as watch:
        for _ in range(4):
            for _ in range(25):
                disorder.step()
            watch.agrees()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_the_same_of_many_more(fast: list[HashEncoder], paths: Paths, tmp_path: Path, seed: int) -> None:
    """Forty orders more."""
    folder = tree(tmp_path / "photos")
    disorder = Disorder(folder, seed)
    with watching(paths, folder) as watch:
        for _ in range(6):
            for _ in range(disorder.random.randrange(1, 60)):
                disorder.step()
            watch.agrees()


@pytest.mark.parametrize("poll_s", [0.2])
def test_polling_follows_the_same_changes(fast: list[HashEncoder], paths: Paths, tmp_path: Path, poll_s: float) -> None:
    """Shares bring no events; what is there must be found all the same."""
    folder = tree(tmp_path / "photos")
    disorder = Disorder(folder, 77)
    with watching(paths, folder, poll_s=poll_s) as watch:
        for _ in range(2):
            for _ in range(25):
                disorder.step()
            watch.agrees()
