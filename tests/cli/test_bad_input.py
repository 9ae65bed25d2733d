"""Whatever goes wrong: one sentence, one hint, the right exit code, no traceback, and nothing lost."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsearch.config import Paths
from clipsearch.errors import Exit, LibraryError
from clipsearch.library import Library
from tests.cli.program import Program, copied, make_photos, said_once

NOBODY = 65534


@pytest.fixture
def small(program: Program, photos: Path) -> Program:
    """A library of two photos in `in`, which a test may spoil."""
    copied(photos, program.folder / "in", "animals/jellyfish.jpg", "food/coffee-cup.jpg")
    assert program("index", program.folder / "in").code == 0
    return program


def check_still_good(program: Program) -> None:
    assert len(program("search", "--all", "a jellyfish").paths) == 2
    assert program("index").code == 0


# -- what is named ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["index", "missing"],
        ["search", "--all", "--image", "missing.jpg"],
        ["similar", "missing.jpg"],
        ["zsl", "missing", "--labels", "a,b"],
    ],
)
def test_a_path_that_is_not_there_is_named(small: Program, tmp_path: Path, arguments: list[str]) -> None:
    """A typo would index nothing and say that all went well."""
    assert "missing" in said_once(small(*arguments, cwd=tmp_path), Exit.SYSTEM)
    check_still_good(small)


def test_an_empty_folder_is_told(small: Program, tmp_path: Path) -> None:
    """Who names the wrong folder would wait for results that cannot come."""
    empty = tmp_path / "empty"
    empty.mkdir()
    outcome = small("index", empty)
    lines = outcome.stderr.splitlines()
    assert outcome.code == Exit.DONE
    assert lines[0].startswith(f"clipsearch: {empty} holds no photos") and lines[1].startswith("hint: ")
    assert "no photos" in said_once(small("zsl", empty, "--labels", "a,b"), Exit.SYSTEM)
    assert str(empty) in said_once(small("similar", empty), Exit.SYSTEM)
    check_still_good(small)


@pytest.mark.parametrize("name", ["notes.txt", "really-text.jpg"])
def test_a_file_that_is_no_picture_is_told(small: Program, tmp_path: Path, name: str) -> None:
    """A text file would be searched for as if it were a grey picture."""
    text = tmp_path / name
    text.write_text("milk, bread\n")
    for arguments in (["search", "--all", "--image"], ["similar"], ["zsl", "--labels", "a,b"]):
        assert name in said_once(small(*arguments, text), Exit.SYSTEM)
    if name == "notes.txt":
        assert "is not a picture" in said_once(small("index", text), Exit.SYSTEM)
    else:  # by its name it is a photo, and so a row with its reason
        assert "1 not readable" in small("index", text).stderr
    assert len(small("search", "--all", "a jellyfish").paths) == 2


def test_an_unknown_model_or_backend_ends_with_the_code_of_models(small: Program) -> None:
    """A backend asked for and silently replaced makes every measurement a lie."""
    said = said_once(small("index", "--model", "startre"), Exit.MODEL)
    assert "startre" in said and '"starter"' in said
    for arguments in (["index"], ["search", "--all", "dog"], ["zsl", small.folder / "in", "--labels", "a,b"]):
        assert "nope" in said_once(small(*arguments, "--backend", "nope"), Exit.MODEL)
    check_still_good(small)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["serch", "dog"], "search"),
        (["search", "--all", "--jsn", "dog"], "--json"),
        (["indexx"], "index"),
        (["search", "--all", "-k", "-1", "dog"], "-k"),
        (["search", "--all", "-k", "many", "dog"], "-k"),
        (["similar"], "PHOTO"),
        (["index", "--progress", "loud"], "--progress"),
    ],
)
def test_an_unknown_command_or_option_comes_with_the_nearest_one(
    program: Program, arguments: list[str], wanted: str
) -> None:
    """A usage screen in place of the one word that is wrong."""
    assert wanted in said_once(program(*arguments), Exit.USAGE)


def test_no_command_at_all_shows_the_help(program: Program) -> None:
    """The very first thing that many people type must not look like a failure."""
    for arguments in ([], ["model"]):
        outcome = program(*arguments)
        assert outcome.code == Exit.USAGE and outcome.stderr.startswith("Usage: clipsearch")
        assert "hint:" not in outcome.stderr


# -- what is asked ---------------------------------------------------------------------------------


def test_ten_thousand_words_are_too_many_and_said_so(small: Program) -> None:
    """A whole file pasted as a query would take minutes and match its first sentence."""
    words = ["word"] * 10_000
    for arguments in (words, [" ".join(words)]):
        assert "49,999 characters" in said_once(small("search", "--all", *arguments), Exit.USAGE)
    check_still_good(small)


def test_a_long_query_says_that_only_its_beginning_was_read(small: Program) -> None:
    """The end of a long description would be ignored in silence."""
    outcome = small("search", "--all", *["word"] * 300)
    assert len(outcome.paths) == 2
    assert "only the beginning" in said_once(outcome, Exit.DONE)


@pytest.mark.parametrize(
    ("query", "caret"),
    [
        ('beach "old house', "      ^^^^^^^^^^"),
        ("beach + + sunset", "      ^^"),
        ("beach 0:sunset", "      ^^"),
        ("beach +", "      ^"),
    ],
)
def test_a_caret_points_at_what_cannot_be_read(small: Program, query: str, caret: str) -> None:
    """Who has to guess which of ten operators is wrong gives up."""
    outcome = small("search", "--all", query)
    said_once(outcome, Exit.USAGE)
    lines = outcome.stderr.splitlines()
    assert lines[1] == "  " + query and lines[2].rstrip() == "  " + caret


def test_a_query_of_nothing_is_refused(small: Program) -> None:
    """An empty variable in a script would return the whole library."""
    for arguments in ([], [""], ["  "], ['""'], ["--literal", " "]):
        said_once(small("search", "--all", *arguments), Exit.USAGE)


def test_a_query_that_cancels_itself_out_is_refused(small: Program) -> None:
    """Nothing minus nothing would rank photos by noise."""
    said_once(small("search", "--all", "dog - dog"), Exit.USAGE)


def test_a_query_that_is_not_utf8_is_told(small: Program) -> None:
    """A terminal with another encoding would end in a traceback."""
    assert "UTF-8" in said_once(small("search", "--all", b"caf\xe9"), Exit.USAGE)


def test_paths_that_are_not_utf8_or_hold_newlines_are_told_in_one_line(small: Program, tmp_path: Path) -> None:
    """A name could forge a second message, or end in a traceback while the first is written."""
    for name in (b"caf\xe9.jpg", b"two\nlines.jpg", b"red\x1b[31m.jpg"):
        path = os.path.join(os.fsencode(tmp_path), name)
        said_once(small("index", path), Exit.SYSTEM)
        said_once(small("similar", path), Exit.SYSTEM)
        with open(path, "wb") as file:
            file.write(b"no picture")
        said_once(small("similar", path), Exit.SYSTEM)
        outcome = small("zsl", path, "--labels", "a,b")
        said_once(outcome, Exit.SYSTEM)
        assert "\x1b" not in outcome.stderr


# -- the library -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["search", "--all", "dog"], ["status"], ["errors"], ["similar", "{photo}"]])
def test_a_library_that_is_not_there_says_how_to_make_one(program: Program, photos: Path, arguments: list[str]) -> None:
    """The first command that people try is a search."""
    filled = [argument.format(photo=photos / "food/coffee-cup.jpg") for argument in arguments]
    assert str(program.library) in said_once(program(*filled), Exit.LIBRARY)
    assert not program.library.exists()


def test_a_library_of_a_newer_version_is_left_alone(small: Program) -> None:
    """An older program would misread it, or write what the newer one cannot read."""
    catalog = small.library / "catalog.db"
    connection = sqlite3.connect(catalog)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    for arguments in (["index", small.folder / "in"], ["search", "--all", "dog"], ["status"], ["errors"]):
        assert "newer clipsearch" in said_once(small(*arguments), Exit.LIBRARY)
    connection = sqlite3.connect(catalog)
    assert connection.execute("PRAGMA user_version").fetchone() == (999,)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    check_still_good(small)


@pytest.mark.parametrize("damage", ["garbage", "middle"])
def test_a_damaged_catalog_is_named_and_not_made_worse(small: Program, damage: str) -> None:
    """A traceback, or a fresh empty library in the place of one that could have been restored."""
    catalog = small.library / "catalog.db"
    good = catalog.read_bytes()
    spoilt = os.urandom(len(good)) if damage == "garbage" else good[:4096] + b"\x5a" * (len(good) - 4096)
    catalog.write_bytes(spoilt)
    photo = small.folder / "in" / "jellyfish.jpg"
    for arguments in (["search", "--all", "dog"], ["index"], ["status"], ["errors"], ["similar", photo]):
        assert str(catalog) in said_once(small(*arguments), Exit.LIBRARY)
    assert catalog.read_bytes() == spoilt
    catalog.write_bytes(good)
    check_still_good(small)


def test_a_library_locked_by_another_program_is_told(small: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup program or a SQLite shell that holds it would end in a traceback."""
    connect = sqlite3.connect
    # In this process, where the ten seconds that a writer waits for the lock can be left out.
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **{**options, "timeout": 0}))
    holder = connect(small.library / "catalog.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    make_photos(small.folder / "in", 1)
    with (
        Library(Paths(small.library, small.cache, small.folder / "models")) as library,
        pytest.raises(LibraryError, match="locked by another program"),
    ):
        list(library.index())
    holder.close()
    (small.folder / "in" / "photo-0000.png").unlink()
    check_still_good(small)


_AS_NOBODY = """
import os, sys, mmap, email.parser, importlib.readers  # lazily, of the standard library
import clipsearch.cli.index, clipsearch.cli.search, clipsearch.cli.status, clipsearch.library
import clipsearch.engine.towers, clipsearch.engine.backends.onnx, clipsearch.index.update, clipsearch.decoding.workers
import numpy, sqlite3, PIL.Image, tokenizers, encodings.idna, encodings.unicode_escape
import importlib.readers, numpy.lib.format
from clipsearch.cli import run
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="clipsearch-test-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_library_that_may_only_be_read_is_searched_and_not_written(open_folder: Path, photos: Path) -> None:
    """A library on a read-only share could not be searched, or indexing it would end in a traceback."""
    program = Program(open_folder)
    copied(photos, open_folder / "in", "animals/jellyfish.jpg", "food/coffee-cup.jpg")
    assert program("index", open_folder / "in").code == 0
    program.cache.mkdir(exist_ok=True)
    program.cache.chmod(0o777)
    program.library.chmod(0o555)

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        # root may write anywhere, and its Python may lie where nobody else may look: so it changes over late.
        command = [sys.executable, "-c", _AS_NOBODY] if os.getuid() == 0 else [sys.executable, "-m", "clipsearch"]
        return subprocess.run(
            [*command, *arguments], env=program.environment, capture_output=True, text=True, timeout=60
        )

    index = call("index", open_folder / "in")
    assert index.returncode == Exit.SYSTEM and str(program.library) in index.stderr, index.stderr
    assert index.stderr.count("\n") == 2 and "\nhint: " in index.stderr
    search = call("search", "--all", "a jellyfish")
    assert search.returncode == 0, search.stderr
    assert len(search.stdout.splitlines()) == 2
    status = call("status")
    assert status.returncode == 0 and "2 photos" in status.stdout, status.stderr
    program.library.chmod(0o755)
    check_still_good(program)


def test_a_library_inside_a_file_is_told(program: Program, photos: Path) -> None:
    """`--library notes.txt` would end in a traceback."""
    program.library.write_text("not a folder")
    assert str(program.library) in said_once(program("index", photos / "food"), Exit.SYSTEM)
    assert program.library.read_text() == "not a folder"
    said_once(program("search", "--all", "dog"), Exit.LIBRARY)


def test_a_library_on_a_network_file_system_is_refused(
    paths: Paths, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's locks cannot be trusted there: two machines would corrupt the library."""
    monkeypatch.setattr("clipsearch.indexing.network_filesystem", lambda path: "nfs4")
    with Library(paths) as library, pytest.raises(LibraryError, match="network file system") as raised:
        next(iter(library.index([photos / "food"])))
    assert raised.value.hint and raised.value.exit_code == Exit.LIBRARY
    assert not paths.library.exists()


# -- the disk --------------------------------------------------------------------------------------


def _no_file_beyond(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_keeps_what_was_committed(small: Program, tmp_path: Path) -> None:
    """Half a photo in the library, or a library that no longer opens, for want of a megabyte."""
    folder = tmp_path / "many"
    make_photos(folder, 60)
    size = (small.library / "catalog.db").stat().st_size
    outcome = small("index", folder, before=lambda: _no_file_beyond(size + 30_000))
    assert "full or failing" in said_once(outcome, Exit.SYSTEM)
    assert len(small("search", "--all", "a jellyfish", "-k", "1").paths) == 1
    assert small("index", folder).code == 0
    assert small("status", "--json").json["photos"] == 62


def test_a_full_disk_under_the_cache_is_told(small: Program) -> None:
    """A search that ends in a traceback, or a cache that is broken from then on."""
    small("search", "--all", "something")
    many = " + ".join(f"thing {number}" for number in range(40))  # 80 kB of vectors
    outcome = small("search", "--all", many, before=lambda: _no_file_beyond(40_000))
    assert str(small.cache) in said_once(outcome, Exit.SYSTEM)
    assert len(small("search", "--all", many).paths) == 2


def test_a_really_full_disk_keeps_what_was_committed(small: Program, tmp_path: Path) -> None:
    """As above, with a file system that is full: SQLite is told otherwise than by a limit."""
    mounted = ["unshare", "--mount", "sh", "-c"]
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=600k none '{disk}'"
    try:
        permitted = subprocess.run([*mounted, mount], capture_output=True, timeout=20).returncode == 0
    except FileNotFoundError:
        permitted = False
    if not permitted:
        pytest.skip("this machine lets a test mount no file system")
    make_photos(tmp_path / "few", 20)
    make_photos(tmp_path / "many", 1000)
    program = f"'{sys.executable}' -m clipsearch --library '{disk}/library'"
    script = f"""
        {mount} || exit 99
        {program} index --progress none '{tmp_path}/few' || exit 98
        {program} index --progress none '{tmp_path}/many'; echo "full: $?" >&2
        {program} search --all colour -k 2000 | wc -l
        {program} search --all colour -k 1 > '{tmp_path}/answer'; echo "searched: $?" >&2
    """
    done = subprocess.run(
        [*mounted, script], env=small.environment, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL
    )
    assert "full: 5" in done.stderr and "searched: 0" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert "clipsearch: The disk of the library" in done.stderr and "hint: Free some space" in done.stderr
    assert int(done.stdout) >= 20


# -- the cache -------------------------------------------------------------------------------------


def test_a_cache_of_garbage_is_thrown_away(small: Program) -> None:
    """Something that may be deleted at any time would stop every search."""
    before = small("search", "--all", "a jellyfish", "--json").json
    (small.cache / "cache.db").write_bytes(os.urandom(9000))
    assert small("search", "--all", "a jellyfish", "--json").json == before
    assert small("status", "--json").json["text_cache"]["entries"] == 1


def test_a_cache_damaged_in_its_middle_is_thrown_away(small: Program) -> None:
    """As above; damage is rarely in the first page."""
    before = small("search", "--all", "a jellyfish", "--json").json
    cache = small.cache / "cache.db"
    good = cache.read_bytes()
    cache.write_bytes(good[:4096] + b"\x5a" * (len(good) - 4096))
    assert small("search", "--all", "a jellyfish", "--json").json == before


def test_a_cache_folder_that_cannot_be_made_is_told(small: Program) -> None:
    """The message would speak of SQLite, and not of the folder."""
    place = small.folder / "file"
    place.write_text("not a folder")
    outcome = small("search", "--all", "a jellyfish", env={"CLIPSEARCH_CACHE": str(place)})
    assert str(place) in said_once(outcome, Exit.SYSTEM) and "CLIPSEARCH_CACHE" in outcome.stderr
    check_still_good(small)


_INTERRUPTED_LOADING = """
import sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from clipsearch.__main__ import main
main()
"""


def test_an_interrupt_while_the_program_is_loaded_is_quiet() -> None:
    """Who presses Ctrl-C at once would read twenty lines of Python's."""
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED_LOADING], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (Exit.INTERRUPTED, "", "")
