"""Thumbnails: the right pixels under every path, from a cache that keeps its limit, whatever happens to it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipsearch.config import Paths
from clipsearch.files import replace_unsynced
from clipsearch.library import Library
from clipsearch.thumbnails import SIDE, Cache
from clipsearch.types import Failure

RED, BLUE = (200, 20, 20), (20, 20, 200)


@pytest.fixture
def library(paths: Paths) -> Iterator[Library]:
    """Over an existing folder, with nothing indexed."""
    paths.library.mkdir()
    with Library(paths) as opened:
        yield opened


def plain(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def opened(picture: bytes | Failure) -> Image.Image:
    assert isinstance(picture, bytes), picture
    image = Image.open(io.BytesIO(picture))
    assert image.format == "WEBP"
    return image.convert("RGB")


def colour(picture: bytes | Failure, place: tuple[int, int] = (5, 5)) -> str:
    red, _, blue = opened(picture).getpixel(place)  # type: ignore[misc]  # three bands
    return "red" if red > blue else "blue"


def kept(paths: Paths) -> list[Path]:
    return sorted((paths.library / "thumbs").iterdir())


# -- what is shown ---------------------------------------------------------------------------------


def test_a_turned_photo_gives_an_upright_thumbnail(library: Library, tmp_path: Path) -> None:
    """Half the photos of a phone would lie on their side in the grid."""
    image = Image.new("RGB", (400, 800), RED)
    image.paste(BLUE, (0, 400, 400, 800))  # as a person saw it: red above blue
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned a quarter to the left
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif)
    thumbnail = library.thumbnail(tmp_path / "turned.jpg")
    assert opened(thumbnail).size == (160, SIDE)
    assert colour(thumbnail, (80, 20)) == "red" and colour(thumbnail, (80, 300)) == "blue"


@pytest.mark.parametrize(
    ("size", "expected"),
    [((3000, 2000), (320, 213)), ((20, 10), (20, 10)), ((5000, 1), (320, 1)), ((2, 4000), (1, 320))],
)
def test_the_longer_side_is_at_most_320_and_the_ratio_is_kept(
    library: Library, tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """A squashed picture is another picture, and a strip rounded to no pixels is none."""
    assert opened(library.thumbnail(plain(tmp_path / "a.png", RED, size))).size == expected


def test_what_cannot_be_shown_is_a_reason_and_not_an_exception(library: Library, tmp_path: Path) -> None:
    """One broken file in a screen of results must cost its own place only."""
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "fifo.jpg")
    good = plain(tmp_path / "good.png", RED)
    found = dict(library.thumbnails([tmp_path / name for name in ("text.jpg", "empty.jpg", "fifo.jpg", "absent.jpg")]))
    assert {os.path.basename(path): one.reason for path, one in found.items() if isinstance(one, Failure)} == {
        b"text.jpg": "it is not a picture in a known format",
        b"empty.jpg": "the file is empty: a copy that broke off, or a stand-in of a cloud service",
        b"fifo.jpg": "it is not a file",
        b"absent.jpg": "no such file or directory",
    }
    assert colour(library.thumbnail(good)) == "red"


def test_hostile_files_are_reasons_and_the_next_photo_is_shown(library: Library, tmp_path: Path, shared: Path) -> None:
    """A picture made to crash or flood its decoder must not take the program along."""
    names = ("bomb-png-claims-60000x60000.png", "bomb-gif-65535x65535.gif", "fuzz-jpeg-0.jpg", "exif-garbage.jpg")
    files = [shared / "data/hostile" / name for name in (*names, "billion-laughs.svg", "avif-box-length-1.avif")]
    good = plain(tmp_path / "good.png", RED)
    found = dict(library.thumbnails([*files, good]))
    assert len(found) == len(files) + 1
    assert all(isinstance(one, (bytes, Failure)) for one in found.values())
    assert colour(found[os.fsencode(good)]) == "red"


def test_names_of_any_bytes_have_thumbnails(library: Library, tmp_path: Path) -> None:
    """A name that is not UTF-8 is a name."""
    path = os.path.join(os.fsencode(tmp_path), b"\xff\xfe red\n.png")
    plain(tmp_path / "a.png", RED).rename(os.fsdecode(path))
    assert next(library.thumbnails([path]))[0] == path
    assert colour(library.thumbnail(path)) == "red"


def test_a_file_that_changed_is_shown_as_it_is_now(library: Library, paths: Paths, tmp_path: Path) -> None:
    """The old picture under the path of a new one sends people to the wrong photo."""
    path = plain(tmp_path / "a.png", RED)
    assert colour(library.thumbnail(path)) == "red"
    plain(path, BLUE, (61, 40))
    assert colour(library.thumbnail(path)) == "blue"


# -- photos of a library ---------------------------------------------------------------------------


def indexed(library: Library, folder: Path) -> None:
    assert list(library.index([folder]))


def test_a_thumbnail_survives_a_move_a_new_library_and_an_unplugged_disk(paths: Paths, tmp_path: Path) -> None:
    """A thumbnail is most wanted while its disk is in a drawer; and a move must not decode 100,000 photos again."""
    folder = tmp_path / "disk"
    photo = plain(folder / "a.png", RED)
    with Library(paths) as library:
        indexed(library, folder)
        assert colour(library.thumbnail(photo)) == "red"
    (first,) = kept(paths)
    moved = photo.rename(folder / "b.png")
    for file in paths.library.glob("catalog.db*"):
        file.unlink()
    with Library(paths) as library:
        indexed(library, folder)
        assert colour(library.thumbnail(moved)) == "red"
        assert kept(paths) == [first]
        folder.rename(tmp_path / "in a drawer")
        assert colour(library.thumbnail(moved)) == "red"
        assert isinstance(library.thumbnail(photo), Failure)


def test_a_photo_that_changed_since_it_was_indexed_poisons_no_other(paths: Paths, tmp_path: Path) -> None:
    """Kept under the old content's name, the new pixels would be shown for every copy of the old photo."""
    folder = tmp_path / "in"
    photo, copy = plain(folder / "a.png", RED), plain(folder / "copy.png", RED)
    with Library(paths) as library:
        indexed(library, folder)
        plain(photo, BLUE, (61, 40))
        assert colour(library.thumbnail(photo)) == "blue"
        assert colour(library.thumbnail(copy)) == "red"
        assert len(kept(paths)) == 2


def test_a_photo_that_changes_while_it_is_decoded_poisons_no_other(paths: Paths, tmp_path: Path) -> None:
    """As above, between the look at the file and its decoding."""
    folder = tmp_path / "in"
    photo, copy = plain(folder / "a.png", RED), plain(folder / "copy.png", RED)
    ready = plain(folder / "ready.png", BLUE)
    with Library(paths) as library:
        indexed(library, folder)
        library.thumbnail(ready)
        found = library.thumbnails([photo, ready])
        assert next(found)[0] == os.fsencode(ready)  # the photo was looked at before it
        plain(photo, BLUE, (61, 40))
        assert colour(next(found)[1]) == "blue"
        assert colour(library.thumbnail(copy)) == "red"


def test_what_is_kept_comes_first_and_both_parts_in_the_order_asked(library: Library, tmp_path: Path) -> None:
    """On a screen, waiting for the first photo must not hold back twenty that are there."""
    photos = [plain(tmp_path / f"{n}.png", (n * 20, 0, 0)) for n in range(6)]
    for photo in (photos[3], photos[5]):
        library.thumbnail(photo)
    order = [os.path.basename(path) for path, _ in library.thumbnails(photos)]
    assert order == [b"3.png", b"5.png", b"0.png", b"1.png", b"2.png", b"4.png"]


def test_pictures_come_while_the_library_is_written_and_asked(paths: Paths, tmp_path: Path) -> None:
    """An interface asks and shows pictures at once; after an index run elsewhere the rest would be called damaged."""
    photos = [plain(tmp_path / "in" / f"{n}.png", (n * 20, 0, 0)) for n in range(3)]
    with Library(paths) as library, Library(paths) as other:
        indexed(other, tmp_path / "in")
        assert len([*library.thumbnails(photos)]) == 3
        pictures = library.thumbnails(photos)
        next(pictures)
        other.save_search("written", "red")
        assert library.saved_searches()  # reopens the catalog
        assert all(isinstance(picture, bytes) for _, picture in pictures)


def test_nothing_is_created_where_nothing_was_indexed(paths: Paths, tmp_path: Path) -> None:
    """Looking at a picture must not leave a library behind."""
    with Library(paths) as library:
        assert colour(library.thumbnail(plain(tmp_path / "a.png", RED))) == "red"
    assert not paths.library.exists()


# -- the cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["emptied", "cut short", "one bit", "zeros", "deleted", "folder deleted"])
def test_a_damaged_thumbnail_is_made_again(library: Library, paths: Paths, tmp_path: Path, damage: str) -> None:
    """After a power loss files are empty or full of zeros; a broken picture would stay for ever."""
    photo = plain(tmp_path / "a.png", RED)
    whole = library.thumbnail(photo)
    (file,) = kept(paths)
    data = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    elif damage == "folder deleted":
        file.unlink()
        file.parent.rmdir()
    else:
        spoilt = {
            "emptied": b"",
            "cut short": data[: len(data) // 2],
            "one bit": data[:30] + bytes([data[30] ^ 1]) + data[31:],
            "zeros": bytes(len(data)),
        }
        file.write_bytes(spoilt[damage])
    assert library.thumbnail(photo) == whole
    assert kept(paths) == [file] and file.read_bytes() == data


def test_a_disk_that_takes_nothing_costs_time_and_no_picture(library: Library, paths: Paths, tmp_path: Path) -> None:
    """A library on a full or read-only disk must still show its photos."""
    (paths.library / "thumbs").write_text("a file where the folder should be")
    photo = plain(tmp_path / "a.png", RED)
    assert colour(library.thumbnail(photo)) == colour(library.thumbnail(photo)) == "red"


def cached_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.exists() else 0


@given(sizes=st.lists(st.integers(0, 4000), max_size=60))
def test_the_folder_never_holds_more_than_its_limit(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    """A cache without a limit fills the disk of everybody who scrolls."""
    folder = tmp_path_factory.mktemp("cache") / "thumbs"
    cache = Cache(folder, 10_000)
    for number, size in enumerate(sizes):
        cache.put(f"{number}", bytes(size))
        assert cached_bytes(folder) <= 10_000
        assert cache.get(f"{number}") == bytes(size)


def test_the_least_recently_used_leave_first(tmp_path: Path) -> None:
    """Else the screen in front of a person is what is thrown away."""
    cache = Cache(tmp_path / "thumbs", 100_000)
    for key in "abcd":
        cache.put(key, key.encode() * 20_000)
    assert cache.get("a")
    cache.put("e", b"e" * 20_000)
    assert [key for key in "abcde" if cache.get(key)] == ["a", "c", "d", "e"]


_KILLED = """
import os, signal, sys
from pathlib import Path
import clipsearch.files
from clipsearch.thumbnails import Cache
cache = Cache(Path(sys.argv[1]), 100_000)
cache.put("kept", b"old" * 1000)
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "before the rename":
    os.replace = die
else:
    original = os.fdopen
    def half(*arguments):
        handle = original(*arguments)
        write = handle.write
        handle.raw.write(b"new")
        die()
    os.fdopen = half
cache.put(sys.argv[3], b"new" * 1000)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("key", ["kept", "fresh"])
@pytest.mark.parametrize("moment", ["in the middle of writing", "before the rename"])
def test_a_kill_while_writing_leaves_the_old_thumbnail_or_none(tmp_path: Path, moment: str, key: str) -> None:
    """A half-written file under its final name is a broken picture on somebody's screen."""
    folder = tmp_path / "thumbs"
    done = subprocess.run([sys.executable, "-c", _KILLED, folder, moment, key], timeout=60)
    assert done.returncode == -signal.SIGKILL
    cache = Cache(folder, 100_000)
    assert cache.get("kept") == b"old" * 1000
    assert cache.get("fresh") is None
    assert len(list(folder.iterdir())) == 2  # what was half written lies aside …
    for number in range(50):
        cache.put(f"{number}", bytes(4000))
    assert not list(folder.glob(".new-*"))  # … and leaves like everything that is not used


_WRITER = """
import sys
from pathlib import Path
from clipsearch.thumbnails import Cache
cache = Cache(Path(sys.argv[1]), 200_000)
for number in range(400):
    key = f"{number * 7 % 97}"
    content = key.encode() * 2000
    found = cache.get(key)
    assert found in (None, content), key
    cache.put(key, content)
"""


def test_two_processes_at_once_keep_every_thumbnail_whole_and_the_limit(tmp_path: Path) -> None:
    """A terminal interface and a search are open at the same time on every second desk."""
    folder = tmp_path / "thumbs"
    command = [sys.executable, "-c", _WRITER, str(folder)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said.decode()
    assert 0 < cached_bytes(folder) <= 200_000 * (1 + 2 / 16)
    assert not list(folder.glob(".new-*"))


def test_a_failed_replacement_leaves_nothing_aside(tmp_path: Path) -> None:
    """A folder that cannot be written to would fill with attempts."""
    (tmp_path / "final").mkdir()
    with pytest.raises(OSError):
        replace_unsynced(tmp_path / "final", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
