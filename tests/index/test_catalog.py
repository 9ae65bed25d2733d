"""The catalog: what a commit keeps, what a folder holds, what a damaged or foreign file says."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.errors import LibraryError, SystemFault
from clipsearch.index import schema
from clipsearch.index.catalog import Catalog, Part, Root
from clipsearch.index.spaces import Space
from clipsearch.types import Metadata, Stamp
from tests.index.filled import DIM, add_photo, files_under, fill, identity, new_root, photos_under, stamp
from tests.support.encoder import hashed_vector

RELEASED = Path(__file__).parent


@pytest.fixture
def catalog_path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
def catalog(catalog_path: Path) -> Iterator[Catalog]:
    with Catalog.open_writer(catalog_path) as opened:
        yield opened


@pytest.fixture
def space(catalog: Catalog) -> Space:
    return catalog.space_for(identity())


@pytest.fixture
def root(catalog: Catalog) -> Root:
    return new_root(catalog, b"/photos")


# -- the schema -------------------------------------------------------------------------------------


def test_released_migrations_make_the_released_schema(catalog: Catalog, catalog_path: Path) -> None:
    """A frozen migration that is edited makes new libraries unlike those of the users."""
    connection = sqlite3.connect(catalog_path)
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' "
        "AND tbl_name <> '_sqlite_migrations' ORDER BY rowid"
    )
    made = ";\n\n".join(row[0] for row in rows) + ";\n"
    connection.close()
    assert made == (RELEASED / "schema_v3.sql").read_text("utf-8"), "add a migration instead, and schema_v4.sql"


def test_opening_again_migrates_nothing_and_keeps_all(catalog_path: Path) -> None:
    """Each index run opens the library for writing; none may start it anew."""
    for expected in (0, 1):
        with Catalog.open_writer(catalog_path) as catalog:
            assert len(catalog.roots()) == expected
            catalog.add_root(b"/photos", is_file=False)


@pytest.mark.parametrize("open_", [Catalog.open_writer, Catalog.open_reader])
def test_a_newer_library_is_refused_in_one_sentence(
    catalog: Catalog, catalog_path: Path, open_: Callable[[Path], Catalog]
) -> None:
    """An old program would misread what a new one wrote."""
    catalog.close()
    connection = sqlite3.connect(catalog_path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    with pytest.raises(LibraryError, match="newer clipsearch") as caught:
        open_(catalog_path)
    assert "Update" in caught.value.hint


def test_a_reader_does_not_migrate_an_older_library(catalog: Catalog, catalog_path: Path) -> None:
    """A search must not change a library, least of all without the writer's lock."""
    catalog.close()
    connection = sqlite3.connect(catalog_path)
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(LibraryError, match="older clipsearch") as caught:
        Catalog.open_reader(catalog_path)
    assert "clipsearch index" in caught.value.hint


def test_a_reader_of_nothing_says_how_to_begin(catalog_path: Path) -> None:
    """An empty database made by a mere search would hide a mistyped --library."""
    with pytest.raises(LibraryError, match="no library"):
        Catalog.open_reader(catalog_path)
    assert not catalog_path.exists()


# -- damage -----------------------------------------------------------------------------------------


def used(catalog: Catalog) -> None:
    """Touches every table as a search does."""
    space = catalog.active_space()
    catalog.roots()
    catalog.counts()
    catalog.hidden_photos()
    assert space is not None
    ids = [int(i) for ids, _ in catalog.vector_chunks(space) for i in ids]
    catalog.photo_rows(ids)
    files_under(catalog, b"/photos")


@pytest.mark.parametrize("open_", [Catalog.open_writer, Catalog.open_reader])
@pytest.mark.parametrize("damage", ["garbage", "half", "a hole", "not even a header"])
def test_a_damaged_library_is_a_library_error(
    catalog: Catalog, space: Space, root: Root, catalog_path: Path, open_: Callable[[Path], Catalog], damage: str
) -> None:
    """A failing disk must end in a sentence and a way out, not in a traceback or an empty answer."""
    fill(catalog, space, root, 400)
    catalog.close()
    whole = catalog_path.read_bytes()
    catalog_path.write_bytes(
        {
            "garbage": b"\x00garbage\xff" * 1000,
            "half": whole[: len(whole) // 2],
            "a hole": whole[:4096] + bytes(len(whole) - 4096),
            "not even a header": whole[:10],
        }[damage]
    )
    with pytest.raises(LibraryError) as caught, open_(catalog_path) as damaged:
        used(damaged)
    assert "is damaged" in caught.value.message
    assert "backup" in caught.value.hint


_AS_NOBODY = """
import os, sys
from pathlib import Path
from clipsearch.index.catalog import Catalog
os.setgid(65534); os.setuid(65534)
assert not os.access(Path(sys.argv[1]).parent, os.W_OK)
with Catalog.open_reader(Path(sys.argv[1])) as catalog:
    print(*catalog.counts())
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="becomes nobody, which only root can")
def test_a_library_in_a_read_only_folder_can_be_searched(open_to_all: Path) -> None:
    """A library on a read-only mount or of another user: WAL wants side files that cannot be made there."""
    path = open_to_all / "catalog.db"
    with Catalog.open_writer(path) as catalog:
        fill(catalog, catalog.space_for(identity()), new_root(catalog, b"/photos"), 3)
    assert sorted(file.name for file in open_to_all.iterdir()) == ["catalog.db"]
    child = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (child.stdout, child.stderr) == ("3 3 0\n", "")


def test_a_reader_cannot_write(catalog: Catalog, catalog_path: Path) -> None:
    """Readers hold no lock; one that writes would corrupt what the writer counts on."""
    with Catalog.open_reader(catalog_path) as reader, pytest.raises(SystemFault, match="readonly"):
        reader.add_root(b"/other", is_file=False)
    assert catalog.roots() == []


def test_a_full_disk_is_a_system_fault_and_commits_no_half(
    catalog: Catalog, space: Space, root: Root, catalog_path: Path
) -> None:
    """A photo without its vector would never be encoded again."""
    fill(catalog, space, root, 20)
    before = catalog.counts()
    (pages,) = catalog._connection.execute("PRAGMA page_count").fetchone()
    catalog._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SystemFault, match="full") as caught, catalog.transaction():
        for number in range(1000):
            photo_id = catalog.put_photo(b"%032d" % number, Metadata(1, 1, "JPEG"))
            catalog.put_vector(space, photo_id, hashed_vector(b"%d" % number, DIM), "fake")
            catalog.put_file(root.id, stamp(b"new %d.jpg" % number), photo_id)
    assert "Free some space" in caught.value.hint
    assert catalog.counts() == before
    catalog._connection.execute("PRAGMA max_page_count = 1000000")
    fill(catalog, space, root, 5, first=100)
    with Catalog.open_reader(catalog_path) as reader:
        assert reader.counts() == (25, 25, 0)
        assert reader.vector_count(space) == 25


_LIMITED = """
import resource, signal, sys
from pathlib import Path
from clipsearch.errors import SystemFault
from clipsearch.index.catalog import Catalog
from tests.index.filled import files_under, fill, identity, new_root, photos_under
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Catalog.open_writer(Path(sys.argv[1])) as catalog:
    space, root = catalog.space_for(identity()), new_root(catalog, b"/photos")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    done = 0
    try:
        while True:
            fill(catalog, space, root, 1, first=done)
            done += 1
    except SystemFault as fault:
        print(done, catalog.counts()[0], catalog.vector_count(space), "full or failing" in fault.message)
"""


@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE")
def test_a_write_that_the_system_refuses_keeps_what_was_committed(catalog_path: Path) -> None:
    """The same for the log of SQLite and the commit itself: files of a child may not grow past a limit."""
    child = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(catalog_path)], capture_output=True, text=True, timeout=60, check=False
    )
    done, photos, vectors, said = child.stdout.split()
    assert int(done) > 20 and said == "True"
    assert done == photos == vectors
    with Catalog.open_reader(catalog_path) as reader:
        assert reader.counts() == (int(done), int(done), 0)


# -- whole photos -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("photo_id", "reason"), [(None, None), (1, "broken")])
def test_a_file_row_has_a_photo_or_a_reason(
    catalog: Catalog, space: Space, root: Root, photo_id: int | None, reason: str | None
) -> None:
    """(I1) A file with neither is never tried again, one with both is counted twice."""
    fill(catalog, space, root, 1)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        catalog._connection.execute(
            "INSERT INTO file (root_id, folder, name, size, mtime_ns, inode, photo_id, reason) "
            "VALUES (?, x'', x'78', 1, 1, 1, ?, ?)",
            (root.id, photo_id, reason),
        )


def test_an_exception_in_a_transaction_leaves_nothing_of_it(catalog: Catalog, space: Space, root: Root) -> None:
    """(I1) A crash of ours between photo and vector must not leave a photo that is never encoded."""
    with pytest.raises(ZeroDivisionError), catalog.transaction():
        catalog.put_photo(b"x" * 32, Metadata(1, 1, "JPEG"))
        raise ZeroDivisionError
    assert catalog.counts() == (0, 0, 0)
    fill(catalog, space, root, 1)
    assert catalog.counts() == (1, 1, 0)


LINE = st.text(st.characters(exclude_categories=["C"]), max_size=9).map(str.strip)
OR_NONE = LINE.map(lambda line: line or None)


@given(
    title=OR_NONE, description=OR_NONE, keywords=st.lists(LINE.filter(bool), max_size=3).map(tuple),
    rating=st.sampled_from([None, -1, 1, 5]), taken_ms=st.sampled_from([None, 0, 999]),
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_photo_says_of_itself_is_read_back(
    catalog: Catalog, root: Root, title: str | None, description: str | None, keywords: tuple[str, ...],
    rating: int | None, taken_ms: int | None,
) -> None:  # fmt: skip
    """Title, description and keywords share a column: a missing one must not be taken for the next."""
    said = Metadata(
        4, 3, "JPEG", "2015-07-14T10:00:05", "+02:00", 52.5, 4.5, "A", "B", ("red",), -1, bytes(24),
        taken_ms, rating, title, description, keywords,
    )  # fmt: skip
    photo_id = catalog.put_photo(b"d" * 32, said)
    catalog.put_file(root.id, stamp(b"a.jpg"), photo_id)
    assert catalog.photo_rows([photo_id])[photo_id].metadata == said


def test_frames_of_one_second_come_newest_first(catalog: Catalog, root: Root) -> None:
    """A burst in the order of chance is no burst to leaf through."""
    ids = {}
    for n, ms in enumerate([100, None, 900, 500]):
        ids[ms] = catalog.put_photo(b"%032d" % n, Metadata(4, 3, "JPEG", "2015-07-14T10:00:05", taken_ms=ms))
        catalog.put_file(root.id, stamp(b"%d.jpg" % n, inode=n), ids[ms])
    assert catalog.photos_matching((), date(2020, 1, 1)).tolist() == [ids[ms] for ms in (900, 500, 100, None)]


@pytest.mark.parametrize(
    "vector",
    [np.full(DIM, np.nan), np.zeros(DIM), np.full(DIM, np.inf), np.full(DIM, 1.0), np.eye(DIM)[0] * 0.9,
     np.eye(DIM + 1)[0]],
    ids=["NaN", "zero", "infinite", "too long", "too short", "wrong dimension"],
)  # fmt: skip
def test_only_unit_vectors_are_stored(catalog: Catalog, space: Space, vector: np.ndarray) -> None:
    """A NaN ranks before everything, a long vector above everything, for ever."""
    photo_id = catalog.put_photo(b"x" * 32, Metadata(1, 1, "JPEG"))
    with pytest.raises(AssertionError):
        catalog.put_vector(space, photo_id, vector.astype(np.float32), "fake")
    assert catalog.vector_count(space) == 0


def test_a_replaced_vector_gets_a_new_and_larger_seq(catalog: Catalog, space: Space, root: Root) -> None:
    """(I6) With its old number it would stay hidden behind the generation that covers the former vector."""
    ids = fill(catalog, space, root, 3)
    covered = catalog.last_seq(space)
    catalog.put_vector(space, ids[0], hashed_vector(b"other", DIM), "fake")
    assert catalog.photos_between(space, covered).tolist() == [ids[0]]
    assert catalog.vector_count(space) == 3
    assert [i for part, _ in catalog.vector_chunks(space, up_to_seq=covered) for i in part] == ids[1:]


def test_photo_ids_and_seqs_are_never_reused(catalog: Catalog, space: Space, root: Root) -> None:
    """(I6) A generation would answer with the new photo for the vector of the old one."""
    old = fill(catalog, space, root, 3)
    covered = catalog.last_seq(space)
    for table in ("file", "embedding", "photo"):
        catalog._connection.execute(f"DELETE FROM {table}")
    assert min(fill(catalog, space, root, 1)) > max(old)
    assert catalog.last_seq(space) > covered


def test_a_vector_is_read_back_as_it_was_stored(catalog: Catalog, space: Space, root: Root) -> None:
    """A wrong byte order or shape would shuffle every answer."""
    ids = fill(catalog, space, root, 5000)  # more than one chunk
    chunks = list(catalog.vector_chunks(space))
    assert len(chunks) == 2
    assert np.concatenate([part for part, _ in chunks]).tolist() == ids
    expected = np.stack([hashed_vector(b"content %d" % n, DIM) for n in range(5000)])
    assert np.array_equal(np.concatenate([vectors for _, vectors in chunks]), expected.astype(np.float16))
    some = [ids[4999], ids[7], 10**12]
    found = {
        int(i): vector
        for part, vectors in catalog.vectors_of(space, some)
        for i, vector in zip(part, vectors, strict=True)
    }
    assert set(found) == set(some[:2])
    assert np.array_equal(found[ids[7]], expected[7].astype(np.float16))


# -- hidden photos ----------------------------------------------------------------------------------


def hidden(catalog: Catalog) -> set[int]:
    """As the triggers counted it; checked against the rows themselves."""
    connection = catalog._connection
    counted = dict(connection.execute("SELECT id, files FROM photo"))
    rows = "SELECT photo.id, count(file.id) FROM photo LEFT JOIN file ON photo_id = photo.id GROUP BY photo.id"
    true = dict(connection.execute(rows))
    assert counted == true
    return set(catalog.hidden_photos().tolist())


def test_a_photo_is_hidden_when_its_last_file_goes_and_back_with_the_next(
    catalog: Catalog, space: Space, root: Root
) -> None:
    """A deleted photo must not answer, and its return must cost no encoding."""
    one = add_photo(catalog, space, root, stamp(b"a.jpg"), b"one")
    catalog.put_file(root.id, stamp(b"copy.jpg"), one)
    files = [file.id for file in catalog.known_files(root.id, space.id)]
    catalog.forget_files(files[:1])
    assert hidden(catalog) == set()
    catalog.forget_files(files[1:])
    assert hidden(catalog) == {one}
    assert catalog.complete_photo(b"one".ljust(32, b"."), space.id) == one
    catalog.put_file(root.id, stamp(b"b.jpg"), one)
    assert hidden(catalog) == set()


def test_a_photo_is_hidden_when_its_file_shows_something_else(catalog: Catalog, space: Space, root: Root) -> None:
    """An edited or broken file must not go on answering with its former content."""
    one = add_photo(catalog, space, root, stamp(b"a.jpg"), b"one")
    two = add_photo(catalog, space, root, stamp(b"a.jpg"), b"two")
    assert hidden(catalog) == {one}
    catalog.put_failure(root.id, stamp(b"a.jpg"), "it is broken", "decoder")
    assert hidden(catalog) == {one, two}
    catalog.put_file(root.id, stamp(b"a.jpg"), one)
    assert hidden(catalog) == {two}


def test_a_photo_is_hidden_when_another_file_is_moved_over_its_own(catalog: Catalog, space: Space, root: Root) -> None:
    """`mv b.jpg a.jpg`: counted as shown without any file, the photo would break every search that finds it."""
    one = add_photo(catalog, space, root, stamp(b"a.jpg"), b"one")
    two = add_photo(catalog, space, root, stamp(b"b.jpg"), b"two")
    moved = next(file for file in catalog.known_files(root.id, space.id) if file.photo_id == two)
    catalog.move_file(moved.id, stamp(b"a.jpg"))
    assert hidden(catalog) == {one}
    assert [path for path, _ in files_under(catalog, b"/photos")] == [b"/photos/a.jpg"]


def test_attempts_of_a_failure_are_counted(catalog: Catalog, space: Space, root: Root) -> None:
    """`clipsearch errors` says how often a file was tried."""
    for _ in range(3):
        catalog.put_failure(root.id, stamp(b"a.jpg", b"sub"), "it is broken", "decoder")
    assert [(failed.path, failed.reason, failed.attempts) for failed in catalog.failures()] == [
        (b"/photos/sub/a.jpg", "it is broken", 3)
    ]
    assert catalog.counts() == (0, 1, 1)


# -- roots ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "child", "is_file", "place", "path"),
    [
        (b"/photos", b"/photos/2020", False, stamp(b"a.jpg"), b"/photos/2020/a.jpg"),
        (b"/photos", b"/photos/2020", False, stamp(b"a.jpg", b"sub"), b"/photos/2020/sub/a.jpg"),
        (b"/photos", b"/photos/x/y", False, stamp(b"a.jpg", b"z"), b"/photos/x/y/z/a.jpg"),
        (b"/photos", b"/photos/a.jpg", True, stamp(b"a.jpg"), b"/photos/a.jpg"),
        (b"/photos", b"/photos/x/a.jpg", True, stamp(b"a.jpg"), b"/photos/x/a.jpg"),
        (b"/photos", b"/photos/caf\xe9", False, stamp(b"\xff.jpg", b"\xfe"), b"/photos/caf\xe9/\xfe/\xff.jpg"),
        (b"/", b"/photos", False, stamp(b"a.jpg", b"sub"), b"/photos/sub/a.jpg"),
    ],
)
def test_files_of_an_absorbed_root_keep_their_paths(
    catalog: Catalog, space: Space, parent: bytes, child: bytes, is_file: bool, place: Stamp, path: bytes
) -> None:
    """Naming a parent folder later must neither lose a photo nor encode it again."""
    inner = new_root(catalog, child, is_file=is_file)
    photo_id = add_photo(catalog, space, inner, place, b"one")
    outer = new_root(catalog, parent)
    catalog.absorb_root(inner, outer)
    assert catalog.roots() == [outer]
    assert files_under(catalog, parent) == [(path, photo_id)]
    (file,) = catalog.known_files(outer.id, space.id)
    assert os.path.join(outer.path, file.stamp.folder, file.stamp.name) == path
    assert isinstance(file.stamp.folder, bytes)
    assert file.complete and hidden(catalog) == set()


def test_absorbing_a_root_that_was_listed_by_both_keeps_one_row_a_file(catalog: Catalog, space: Space) -> None:
    """A path with two rows would show every hit twice; one counted twice would never be hidden."""
    inner, outer = new_root(catalog, b"/photos/2020"), new_root(catalog, b"/photos")
    old = add_photo(catalog, space, outer, stamp(b"a.jpg", b"2020"), b"old")
    new = add_photo(catalog, space, inner, stamp(b"a.jpg"), b"new")
    catalog.absorb_root(inner, outer)
    assert files_under(catalog, b"/photos") == [(b"/photos/2020/a.jpg", new)]
    assert hidden(catalog) == {old}


PLACES = [
    b"/photos/100%/a.jpg", b"/photos/100x/a.jpg", b"/photos/1_0/a.jpg", b"/photos/110/a.jpg",
    b"/photos/it's \"here\"/a.jpg", b"/photos/caf\xe9/a.jpg", b"/photos/caf\xc3\xa9/a.jpg",
    b"/photos/A/a.jpg", b"/photos/a/a.jpg", b"/photos/a/b/a.jpg", b"/photos/ab/a.jpg", b"/photos/a.jpg",
    b"/photos/new\nline/a.jpg", b"/photos/a b/a.jpg", b"/photos/a'; DROP TABLE file; --/a.jpg",
]  # fmt: skip
FOLDERS = sorted({os.path.dirname(path) for path in PLACES} | {b"/", b"/pho", b"/photos/a/", b"/elsewhere", *PLACES})


def at(path: bytes, root: bytes) -> Stamp:
    folder, name = os.path.split(path)
    return stamp(name, os.path.relpath(folder, root) if folder != root else b"")


@pytest.mark.parametrize("top", [b"/photos", b"/"])
def test_a_folder_holds_what_lies_below_it_and_nothing_else(catalog: Catalog, space: Space, top: bytes) -> None:
    """Names with %, _, quotes or foreign bytes must not find the neighbours' photos, nor hide their own."""
    root = new_root(catalog, top)
    ids = {path: add_photo(catalog, space, root, at(path, top), b"content of " + path[-20:]) for path in PLACES}
    for folder in FOLDERS:
        below = folder.rstrip(b"/") + b"/"
        expected = {path: i for path, i in ids.items() if path.startswith(below) or path == folder}
        assert photos_under(catalog, folder) == set(expected.values()), folder
        assert files_under(catalog, folder) == sorted(expected.items()), folder
    for path, photo_id in ids.items():
        found = catalog.photo_at(path)
        assert found is not None and found[0] == photo_id
    assert catalog.photo_at(b"/photos/a") is None
    assert catalog.photo_at(b"/photos/b/a.jpg") is None


NAME = st.binary(min_size=1, max_size=3).filter(lambda name: not {b"/"[0], 0} & set(name) and name not in (b".", b".."))


@given(st.lists(st.lists(NAME, min_size=1, max_size=3).map(b"/".join), min_size=1, max_size=6, unique=True))
def test_any_bytes_may_be_a_name(paths: list[bytes]) -> None:
    """SQLite's text functions stop at a wrong byte; a path must come back as it went in."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    with Catalog(connection, Path("memory"), "BEGIN") as catalog:
        space, root = catalog.space_for(identity()), new_root(catalog, b"/p")
        ids = {}
        for number, path in enumerate(paths):
            ids[b"/p/" + path] = add_photo(catalog, space, root, at(b"/p/" + path, b"/p"), b"%d" % number)
        assert files_under(catalog, b"/p") == sorted(ids.items())
        for path, photo_id in ids.items():
            assert catalog.photo_rows([photo_id])[photo_id].paths == (path,)
            found = catalog.photo_at(path)
            assert found is not None and found[0] == photo_id
            folder = os.path.dirname(path)
            assert photos_under(catalog, folder) == {
                i for other, i in ids.items() if other.startswith(folder + b"/") or other == folder
            }


def test_a_hit_shows_files_that_are_online_first(catalog: Catalog, space: Space, root: Root) -> None:
    """A path on an unplugged disk is useless where a copy is at hand."""
    photo_id = add_photo(catalog, space, root, stamp(b"a.jpg"), b"one")
    other = new_root(catalog, b"/usb")
    catalog.put_file(other.id, stamp(b"b.jpg"), photo_id)
    row = catalog.photo_rows([photo_id])[photo_id]
    assert (row.paths, row.offline) == ((b"/photos/a.jpg", b"/usb/b.jpg"), False)
    catalog.mark_offline(root.id)
    row = catalog.photo_rows([photo_id])[photo_id]
    assert (row.paths, row.offline) == ((b"/usb/b.jpg", b"/photos/a.jpg"), False)
    catalog.mark_offline(other.id)
    assert catalog.photo_rows([photo_id])[photo_id].offline


def test_one_space_is_active_and_vectors_of_two_do_not_mix(catalog: Catalog, space: Space, root: Root) -> None:
    """(I4) A cosine between two models is a random number."""
    (photo_id,) = fill(catalog, space, root, 1)
    other = catalog.space_for(identity(seed=1))
    assert catalog.active_space() == space
    assert catalog.vector_count(other) == 0
    assert catalog.complete_photo(b"content 0".ljust(32, b"."), other.id) is None
    catalog.put_vector(other, photo_id, hashed_vector(b"content 0", DIM, 1), "fake")
    catalog.activate(other)
    assert catalog.active_space() == other
    assert catalog.vector_count(space) == catalog.vector_count(other) == 1


# -- speed that does not show in small tests ----------------------------------------------------------

HOT: dict[str, Callable[[Catalog, Space, Root], object]] = {
    "known files": lambda catalog, space, root: list(catalog.known_files(root.id, space.id)),
    "photo of a digest": lambda catalog, space, root: catalog.complete_photo(b"x" * 32, space.id),
    "rows of hits": lambda catalog, space, root: catalog.photo_rows([1, 2]),
    "vectors of photos": lambda catalog, space, root: list(catalog.vectors_of(space, [1, 2])),
    "all vectors": lambda catalog, space, root: list(catalog.vector_chunks(space)),
    "tail": lambda catalog, space, root: catalog.photos_between(space, 5),
    "count": lambda catalog, space, root: catalog.tail_count(space, 5),
    "photo at a path": lambda catalog, space, root: catalog.photo_at(b"/photos/sub/a.jpg"),
    "hidden": lambda catalog, space, root: catalog.hidden_photos(),
    "a file": lambda catalog, space, root: catalog.put_file(root.id, stamp(b"00000.jpg"), 1),
}


@pytest.mark.parametrize("name", HOT)
def test_hot_queries_use_an_index_and_sort_nothing(catalog: Catalog, space: Space, root: Root, name: str) -> None:
    """A scan or a sort of a million rows takes seconds, or gigabytes, where tests have ten rows."""
    fill(catalog, space, root, 10)
    statements: list[str] = []
    catalog._connection.set_trace_callback(statements.append)
    HOT[name](catalog, space, root)
    catalog._connection.set_trace_callback(None)
    for statement in statements:
        if statement.startswith("--"):  # what a trigger ran
            continue
        for row in catalog._connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
            # A sort within one photo's files is small.
            assert "TEMP B-TREE" not in row[3] or "RIGHT PART" in row[3], (statement, row[3])
            small = ("SCAN root", "SCAN photo USING INDEX photo_hidden")
            assert not row[3].startswith("SCAN") or row[3].startswith(small), (statement, row[3])


# -- the sample -------------------------------------------------------------------------------------


def test_a_sample_is_of_photos_that_answer(catalog: Catalog, space: Space, root: Root) -> None:
    """What is gone would say what is usual; and after a new model it has no vector, so a sample might be empty."""
    ids = fill(catalog, space, root, 40)
    other = catalog.space_for(identity(seed=1))
    files = {file.photo_id: file.id for file in catalog.known_files(root.id, space.id)}
    catalog.forget_files(files[photo_id] for photo_id in ids[:37])
    for photo_id in ids[37:]:
        catalog.put_vector(other, photo_id, hashed_vector(b"other %d" % photo_id, DIM), "fake")
    assert len(catalog.sample(space, 5)) == len(catalog.sample(other, 5)) == 3
    catalog.put_file(root.id, stamp(b"back.jpg"), ids[0])
    assert len(catalog.sample(space, 5)) == 4


def test_a_sample_is_spread_over_the_age_of_a_library(catalog: Catalog, space: Space, root: Root) -> None:
    """The first folder that was indexed would stand for all others."""
    fill(catalog, space, root, 100)
    everything = {hashed_vector(b"content %d" % n, DIM).astype(np.float16).tobytes(): n for n in range(100)}
    numbers = [everything[vector.tobytes()] for vector in catalog.sample(space, 8)]
    assert 5 <= len(numbers) <= 8 and numbers == sorted(numbers) and numbers[0] < 20 and numbers[-1] > 80


@settings(max_examples=40)  # each makes a library
@given(
    st.lists(st.lists(st.sampled_from([b"a", b"b", b"a.", b"a/", b"\xff", b"a0", b"%"]), max_size=3), max_size=12),
    st.lists(st.sampled_from([b"a", b"b", b"\xff", b"a0", b"%"]), max_size=2),
    st.booleans(),
)
def test_the_files_of_a_part_are_those_below_its_folder(
    folders: list[list[bytes]], wanted: list[bytes], deep: bool
) -> None:
    """A file that a part leaves out is never found gone; one too many is taken for gone (I5)."""
    with tempfile.TemporaryDirectory() as library, Catalog.open_writer(Path(library) / "catalog.db") as catalog:
        space = catalog.space_for(identity())
        root = new_root(catalog, b"/photos")
        places = {b"/".join(one.replace(b"/", b"") for one in names) for names in folders}
        for number, place in enumerate(places):
            add_photo(catalog, space, root, stamp(b"1.jpg", place), b"%d" % number)
        part = Part(b"/".join(wanted), deep)
        found = {file.stamp.folder for file in catalog.known_files(root.id, space.id, part)}
    below = [one for one in places if not part.folder or one == part.folder or one.startswith(part.folder + b"/")]
    assert found == set(below if deep else [one for one in places if one == part.folder])
