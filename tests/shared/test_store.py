"""What lies in a shared store: whole versions for all readers, whoever is killed; what is refused, in one sentence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from clipsearch.config import Paths, SharedLibrary, resolved_paths
from clipsearch.errors import ClipsearchError, Exit, LibraryError, SystemFault, UsageError
from clipsearch.index import schema
from clipsearch.library import Library
from clipsearch.opened import catalog_path
from clipsearch.shared import catalog as catalogs
from clipsearch.shared import outline, store
from tests.shared.made import fill, own_paths, reader_paths, share

pytestmark = pytest.mark.skipif(find_spec("lance") is None, reason="the extra [lance] is not installed")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = own_paths(tmp_path)
    fill(made, 40)
    return made


@pytest.fixture
def library(paths: Paths, tmp_path: Path) -> SharedLibrary:
    return share(paths, tmp_path / "store")


@pytest.fixture
def reader(library: SharedLibrary, tmp_path: Path) -> Paths:
    return reader_paths(library, tmp_path / "elsewhere")


def photos_in(reader: Paths) -> int:
    with Library(reader) as shared:
        return len(shared.search("size:>0kb", k=0).hits)


def refusal(call: Callable[[], object]) -> ClipsearchError:
    with pytest.raises(ClipsearchError) as told:
        call()
    assert told.value.message.count("\n") == 0 and told.value.hint
    assert "Traceback" not in told.value.message and ".rs:" not in told.value.message
    return told.value


# -- versions -----------------------------------------------------------------------------------------


def test_an_open_reader_comes_to_the_new_version_and_never_within_a_question(
    paths: Paths, reader: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos of one version under scores of another are wrong answers; the old ones for ever are, too."""
    monkeypatch.setattr(catalogs, "LOOKS_S", 0.0)
    with Library(reader) as shared:
        before = shared.revision()
        first = shared.search("size:>0kb", k=0)
        assert shared.revision() == before
        with shared._opened.catalog.transaction():
            fill(paths, 60, seed=1)
            share(paths, tmp_path / "store")
            kept = shared._opened.catalog
            assert kept.photo_count() == len(first.hits)
            assert sum(len(ids) for ids, _ in kept.vector_chunks(shared._opened.space())) == kept.store.edition.vectors
        assert shared.revision() > before
        assert len(shared.search("size:>0kb", k=0).hits) > len(first.hits)


@pytest.mark.parametrize("index_rows", [30, 1000], ids=["index", "no index"])
def test_the_version_that_was_replaced_stays_for_those_who_read_it(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index_rows: int
) -> None:
    """A long answer would break in the middle; and exports of every hour, kept for a day, fill the store (S3)."""
    monkeypatch.setattr(store, "INDEX_ROWS", index_rows)
    reader = reader_paths(share(paths, tmp_path / "store"), tmp_path / "elsewhere")
    with Library(reader) as first, Library(reader) as second:
        first._opened.catalog.store.take(np.arange(1))
        share(paths, tmp_path / "store")
        old = first._opened.catalog.store
        assert sum(len(rows) for rows, _ in old.vectors()) == old.edition.vectors
        assert hashlib.sha256(b"".join(old.catalog())).hexdigest() == old.edition.catalog_sha256
        kept = files_of(tmp_path / "store")
        share(paths, tmp_path / "store")
        assert len(files_of(tmp_path / "store")) == len(kept) == 4
        told = refusal(lambda: list(old.vectors()))
        assert told.exit_code == Exit.LIBRARY and "replaced long ago" in told.message
        assert len(second.search("size:>0kb", k=0).hits) > 30


def files_of(folder: Path) -> list[Path]:
    return list(folder.glob("*.lance/data/*"))


def test_an_export_that_another_overtook_is_whole(
    paths: Paths, reader: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tidying up after two others must not take the catalog of one that still writes its photos."""
    real = store._former

    def overtaken(library: SharedLibrary) -> store.Store | None:
        monkeypatch.setattr(store, "_former", real)
        for _ in range(3):
            share(paths, tmp_path / "store")
        return real(library)

    monkeypatch.setattr(store, "_former", overtaken)
    share(paths, tmp_path / "store")
    assert photos_in(reader) > 30


_WRITER = """
import sys
from pathlib import Path
from tests.shared.made import own_paths, share
base = Path(sys.argv[1])
for number in range(100):
    share(own_paths(base / "ab"[number % 2]), base / "store")
    if number > 2 and len(list(base.glob("seen *"))) == int(sys.argv[2]):
        break
(base / "done").touch()
"""

# Of each answer the camera says which library it comes from, and so must the count, the paths and the vectors.
_READER = """
import json, sys
from pathlib import Path
import numpy as np
from clipsearch.config import SharedLibrary
from clipsearch.library import Library
from clipsearch.opened import catalog_path
from tests.shared.made import made_vectors, reader_paths
base, seen = Path(sys.argv[1]), {}
paths = reader_paths(SharedLibrary.named(str(base / "store")), base / sys.argv[2])
sizes = json.loads(sys.argv[3])
is_last = False
while not is_last:
    is_last = (base / "done").exists()
    with Library(paths) as library, library._opened.catalog.transaction():
        catalog, space = library._opened.catalog, library._opened.space()
        ids = [photo for photos, _ in catalog.vector_chunks(space) for photo in photos.tolist()]
        cameras = {row.metadata.camera for row in catalog.photo_rows(ids).values()}
        assert len(cameras) == 1, cameras
        camera = cameras.pop()
        made = made_vectors(*sizes[camera]).astype(np.float16)
        for photos, vectors in catalog.vectors_of(space, ids):
            assert np.array_equal(vectors, made[photos - 1]), camera
        seen[catalog.store.version] = camera
    if len(set(seen.values())) == 2:
        (base / f"seen {sys.argv[2]}").touch()
print(json.dumps(seen))
"""


def test_three_readers_and_a_writer_see_whole_versions(tmp_path: Path) -> None:
    """The newsroom: one exports again and again, others ask all the while, each in a process of its own."""
    sizes = {"A": (30, 1), "B": (50, 2)}
    for camera, (count, seed) in sizes.items():
        fill(own_paths(tmp_path / camera.lower()), count, seed=seed, camera=camera)
    share(own_paths(tmp_path / "b"), tmp_path / "store")
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", _READER, tmp_path, f"reader {number}", json.dumps(sizes)], stdout=subprocess.PIPE
        )
        for number in range(3)
    ]
    subprocess.run([sys.executable, "-c", _WRITER, tmp_path, "3"], check=True, timeout=100)
    for process in readers:
        said, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        seen = json.loads(said)
        assert set(seen.values()) == {"A", "B"} and len(seen) > 1


_KILLED = """
import os, signal, sys
from pathlib import Path
from clipsearch.shared import store
from tests.shared.made import own_paths, share
store.INDEX_ROWS = 30
name = sys.argv[2]
whole, calls = getattr(store, name), []
def killed(*given, **named):
    done = whole(*given, **named)
    calls.append(name)
    if len(calls) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return done
setattr(store, name, killed)
share(own_paths(Path(sys.argv[1])), Path(sys.argv[1]) / "store")
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("step", [("_written", 1), ("_written", 2), ("_partitions", 1)], ids=str)
def test_a_writer_that_is_killed_leaves_the_former_version(
    paths: Paths, library: SharedLibrary, reader: Paths, tmp_path: Path, step: tuple[str, int]
) -> None:
    """Half an export that looks like a whole one is a library with half of its photos (S1)."""
    before = photos_in(reader)
    fill(paths, 60, seed=1)
    done = subprocess.run([sys.executable, "-c", _KILLED, tmp_path, step[0], str(step[1])], timeout=100)
    assert done.returncode == -signal.SIGKILL
    assert photos_in(reader) == photos_in(replace(reader, library=tmp_path / "anew")) == before
    share(paths, tmp_path / "store")
    assert photos_in(reader) > before


# -- what is kept of it -------------------------------------------------------------------------------


def test_the_catalog_is_fetched_once_a_version(
    paths: Paths, reader: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question would wait for the catalog of a million photos; and old ones would fill the disk."""
    fetched: list[int] = []
    real = store.Store.catalog

    def watched(self: store.Store) -> Iterator[bytes]:
        fetched.append(self.version)
        return real(self)

    monkeypatch.setattr(store.Store, "catalog", watched)
    photos_in(reader), photos_in(reader)
    assert len(fetched) == 1
    share(paths, tmp_path / "store")
    photos_in(reader), photos_in(reader)
    assert len(set(fetched)) == len(fetched) == 2
    assert len(list(reader.library.glob("catalog-*"))) == 1


@pytest.mark.parametrize("bytes_left", [0, 100, 5000])
def test_what_is_kept_is_a_cache(reader: Paths, bytes_left: int) -> None:
    """A full disk or a cleaner has cut it: it is fetched again, for the truth is in the store."""
    before = photos_in(reader)
    (kept,) = reader.library.glob("catalog-*")
    os.truncate(kept, bytes_left)
    assert photos_in(reader) == before
    shutil.rmtree(reader.library)
    assert photos_in(reader) == before


def test_one_exported_by_an_older_clipsearch_is_brought_up_to_date(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers are updated before or after the writer, never at the same moment."""
    upgraded: list[Path] = []
    with monkeypatch.context() as older:
        older.setattr(schema, "VERSION", schema.VERSION - 1)
        library = store_of(paths, tmp_path, older)
    monkeypatch.setattr(outline.Catalog, "open_writer", classmethod(lambda cls, path: upgraded.append(path) or _None()))
    assert photos_in(reader_paths(library, tmp_path / "elsewhere")) > 30
    assert len(upgraded) == 1


class _None:
    def close(self) -> None:
        """As a connection."""


def store_of(paths: Paths, base: Path, patch: pytest.MonkeyPatch) -> SharedLibrary:
    """Exported with what is patched; reading a catalog looks at the version too, and is not what is asked here."""
    from clipsearch.index import database

    patch.setattr(database.Database, "_check_version", lambda self: schema.VERSION)
    return share(paths, base / "store")


# -- what is refused ----------------------------------------------------------------------------------


def test_nothing_there_is_said_so(tmp_path: Path) -> None:
    """An empty answer would say that no photo fits."""
    for place in (tmp_path / "nowhere", tmp_path, tmp_path / "our share"):
        told = refusal(lambda place=place: photos_in(reader_paths(SharedLibrary.named(str(place)), tmp_path / "c")))
        assert told.exit_code == Exit.LIBRARY and f"There is no shared library in {place}" in told.message


def test_tables_of_others_are_neither_read_nor_overwritten(paths: Paths, tmp_path: Path) -> None:
    """A mistyped URI must not cost somebody's table."""
    import lance
    import pyarrow as pa

    theirs = str(tmp_path / "store" / "photos.lance")
    lance.write_dataset(pa.table({"x": [1, 2, 3]}), theirs)
    told = refusal(lambda: share(paths, tmp_path / "store"))
    assert told.exit_code == Exit.LIBRARY and "not written by clipsearch export" in told.message
    assert lance.dataset(theirs).to_table().to_pydict() == {"x": [1, 2, 3]}
    library = SharedLibrary.named(str(tmp_path / "store"))
    for tag in ("theirs", "published"):
        lance.dataset(theirs).tags.create(tag, 1)
        told = refusal(lambda: photos_in(reader_paths(library, tmp_path / "c")))
        assert told.exit_code == Exit.LIBRARY and "not written by clipsearch export" in told.message


def test_a_catalog_of_others_is_not_overwritten(paths: Paths, tmp_path: Path) -> None:
    """A database of LanceDB is a folder of tables, and one of them may have this name."""
    import lance
    import pyarrow as pa

    theirs = str(tmp_path / "store" / "catalog.lance")
    lance.write_dataset(pa.table({"article": ["chair"]}), theirs)
    told = refusal(lambda: share(paths, tmp_path / "store"))
    assert told.exit_code == Exit.LIBRARY and "not written by clipsearch export" in told.message
    assert lance.dataset(theirs).version == 1 and not (tmp_path / "store" / "photos.lance").exists()


def test_a_first_export_that_was_killed_is_done_again(paths: Paths, reader: Paths, tmp_path: Path) -> None:
    """What it has left is no table of another program."""
    for left in ("photos.lance/_refs", "photos.lance"):
        shutil.rmtree(tmp_path / "store" / left)
        told = refusal(lambda: photos_in(reader))
        assert "There is no shared library in" in told.message
        share(paths, tmp_path / "store")
        assert photos_in(reader) > 30


@pytest.mark.parametrize("newer", ["FORMAT", "VERSION"])
def test_one_of_a_newer_clipsearch_is_refused(reader: Paths, newer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds besides would be left out in silence."""
    monkeypatch.setattr(store if newer == "FORMAT" else schema, newer, 0)
    told = refusal(lambda: photos_in(reader))
    assert told.exit_code == Exit.LIBRARY and "exported by a newer clipsearch" in told.message


def test_a_store_that_is_cut_short_is_told_of_or_does_not_matter(
    library: SharedLibrary, reader: Paths, tmp_path: Path
) -> None:
    """Each file in turn, half of it and none of it: an error of ours or the right answer, never other photos."""
    whole, uri = tmp_path / "whole", Path(library.uri)
    uri.rename(whole)

    def asked() -> list[tuple[bytes, float | None]]:
        with Library(replace(reader, library=tmp_path / "fresh")) as shared:
            space = shared._opened.space()
            vectors = {
                int(photo): bytes(row)
                for photos, rows in shared._opened.catalog.vector_chunks(space)
                for photo, row in zip(photos, rows, strict=True)
            }
            return sorted((hit.path, None) for hit in shared.search("size:>0kb", k=0).hits) + sorted(vectors.items())

    shutil.copytree(whole, uri)
    true = asked()
    refused = 0
    for file in sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file()):
        for size in (0, None):
            shutil.rmtree(uri)
            shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
            shutil.copytree(whole, uri)
            os.truncate(uri / file, (uri / file).stat().st_size // 2) if size is None else (uri / file).unlink()
            try:
                assert asked() == true
            except ClipsearchError as told:
                assert told.exit_code == Exit.LIBRARY and ".rs:" not in told.message, (file, told.message)
                refused += 1
    assert refused > 4


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(403, "Forbidden")

    do_HEAD = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of one that refuses everybody."""
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "REGION": "here", "ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_object_store_that_refuses_is_one_sentence(paths: Paths, object_store: str, tmp_path: Path) -> None:
    """A wrong key is told of as such, at once, to readers and to the writer."""
    library = SharedLibrary.named("s3://newsroom/archive")
    for told in (
        refusal(lambda: photos_in(reader_paths(library, tmp_path / "c"))),
        refusal(lambda: share(paths, library.uri)),
    ):
        assert isinstance(told, SystemFault)
        assert told.message == "The store of lance:s3://newsroom/archive refuses: it answers 403 Forbidden."


@pytest.mark.slow
def test_an_address_that_nobody_answers_is_one_sentence(
    object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default it would be tried for minutes."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    told = refusal(lambda: photos_in(reader_paths(SharedLibrary.named("s3://newsroom/archive"), tmp_path / "c")))
    assert isinstance(told, SystemFault) and "nobody answers at http://127.0.0.1:9" in told.message


def test_a_kind_of_store_that_nobody_knows_is_a_mistake_of_writing(tmp_path: Path) -> None:
    """Lance lists fifteen schemes, each time in another order."""
    told = refusal(lambda: photos_in(reader_paths(SharedLibrary.named("ftp://a/b"), tmp_path / "c")))
    assert isinstance(told, UsageError) and told.hint == "Use a path, or s3://, gs:// or az://."


def test_a_disk_that_refuses_is_told_of_in_its_words(paths: Paths, tmp_path: Path) -> None:
    """Not in those of Lance's own source."""
    (tmp_path / "file").write_text("no folder")
    told = refusal(lambda: share(paths, tmp_path / "file"))
    assert isinstance(told, SystemFault)
    assert told.message == f"The store of lance:{tmp_path}/file refuses: not a directory."


def test_without_the_extra_its_name_is_told(paths: Paths, library: SharedLibrary, tmp_path: Path) -> None:
    """A person who has no Lance is told what to type, not what failed to be imported."""
    hidden = "import sys; sys.modules['lance'] = None; sys.path_importer_cache.clear(); "
    code = hidden + "from clipsearch.cli import run; sys.exit(run(sys.argv[1:]))"
    environment = {**os.environ, "CLIPSEARCH_LIBRARY": str(paths.library), "CLIPSEARCH_CACHE": str(tmp_path / "c"),
                   "CLIPSEARCH_MODELS": str(paths.models)}  # fmt: skip
    for call in (["search", "--library", str(library), "lake"], ["export", "--to", "lance", str(tmp_path / "other")]):
        done = subprocess.run([sys.executable, "-c", code, *call], capture_output=True, text=True, env=environment)
        assert done.returncode == Exit.USAGE, done.stderr
        assert 'hint: pip install "clipsearch[lance]"' in done.stderr and "Traceback" not in done.stderr


def test_what_would_change_a_shared_library_is_refused_and_changes_nothing(
    library: SharedLibrary, reader: Paths, tmp_path: Path
) -> None:
    """Labels that seem to be kept and are gone with the next version; a library made by accident in a cache."""
    photo, archive = tmp_path / "a.jpg", tmp_path / "x.npz"
    calls: dict[str, Callable[[Library], object]] = {
        "index": lambda shared: list(shared.index([tmp_path])),
        "watch": lambda shared: list(shared.watch([tmp_path])),
        "forget": lambda shared: shared.forget(tmp_path),
        "root": lambda shared: shared.root(tmp_path),
        "set_labels": lambda shared: shared.set_labels([(photo, "cat", 0.5)]),
        "save_search": lambda shared: shared.save_search("x", "lake"),
        "forget_search": lambda shared: shared.forget_search("x"),
        "relocate": lambda shared: shared.relocate(tmp_path, tmp_path / "b"),
        "backup": lambda shared: shared.backup(tmp_path / "backup"),
        "gc": lambda shared: shared.gc(),
        "export": lambda shared: shared.export(archive),
        "share": lambda shared: shared.share(tmp_path / "second"),
        "import_": lambda shared: shared.import_(tmp_path / "made.npz"),
        "check": lambda shared: list(shared.check()),
        "repair": lambda shared: shared.repair(),
    }
    with Library(own_paths(tmp_path)) as own:
        own.export(tmp_path / "made.npz")
    photos_in(reader)

    def files() -> dict[Path, int]:
        return {
            path: path.stat().st_mtime_ns
            for folder in (Path(library.uri), reader.cache)
            for path in folder.rglob("*")
            if path.is_file()
        }

    before = files()
    for name, call in calls.items():
        with Library(reader) as shared:
            told = refusal(lambda call=call, shared=shared: call(shared))
        assert isinstance(told, LibraryError), name
        assert told.message == f"{library} is a shared library: it is searched from here, and not changed or copied."
    assert files() == before and not archive.exists()


def test_a_library_is_named_by_a_folder_a_path_or_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person types in one folder and a service in another is one library."""
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "CLIPSEARCH_CACHE": str(tmp_path / "c"), "CLIPSEARCH_MODELS": str(tmp_path)}

    def named(text: str) -> Paths:
        return resolved_paths(text, environment)

    assert named("lance:store") == named(f"lance:{tmp_path}/store/") != named("lance:other")
    assert named("lance:s3://a/b").named == "lance:s3://a/b" and named("lance:s3://a/b/") == named("lance:s3://a/b")
    assert named("folder").shared is None and named("folder").named == str(tmp_path / "folder")
    for wrong in ("lance:", "s3://a/b"):
        with pytest.raises(UsageError, match="--library is"):
            named(wrong)


def test_an_export_to_no_place_writes_nowhere(
    paths: Paths, library: SharedLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an empty variable of the shell it would be the folder where one is; and the prefix is no folder."""
    monkeypatch.chdir(tmp_path)
    for nowhere in ("", "lance:"):
        assert isinstance(refusal(lambda nowhere=nowhere: share(paths, nowhere)), UsageError)
    assert share(paths, str(library)) == library
    assert not (tmp_path / "photos.lance").exists() and not (tmp_path / "lance:").exists()


def test_a_store_that_is_named_as_a_folder_says_what_it_is(library: SharedLibrary, reader: Paths) -> None:
    """There is a library, and "index a folder first" would make another one in it."""
    told = refusal(lambda: photos_in(replace(reader, library=Path(library.uri), shared=None)))
    assert told.exit_code == Exit.LIBRARY and told.hint == f"Name it so: --library {library}"


def test_a_reader_with_another_model_is_told_where_to_take_it(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`clipsearch index` would be refused, too."""
    with sqlite3.connect(catalog_path(paths)) as connection:
        connection.execute("UPDATE space SET fingerprint = 'of another'")
    reader = reader_paths(share(paths, tmp_path / "store"), tmp_path / "elsewhere")
    with Library(replace(reader, models=paths.models)) as shared:
        told = refusal(lambda: shared.search("lake"))
    assert told.exit_code == Exit.MODEL and told.hint.endswith("clipsearch model pull starter")
