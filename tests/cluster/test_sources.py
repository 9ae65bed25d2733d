"""What the words of a command line name, on disks and in stores; and what is said where a store refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest

from clipsearch.cluster.parcels import Files, Rows, Tar
from clipsearch.cluster.reading import items
from clipsearch.cluster.sources import Source, sources_in
from clipsearch.cluster.stores import check_installed
from clipsearch.errors import SystemFault, UsageError
from clipsearch.index.catalog import Root
from clipsearch.index.crawl import Listing, walk
from clipsearch.types import Failure
from tests.cli.program import make_photos

pa = pytest.importorskip("pyarrow", reason="the extra [cluster] is not installed")
import pyarrow.parquet as pq  # noqa: E402


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # or it asks the network who it is


def found(*words: str) -> list[Source]:
    return [one for one in sources_in(words) if isinstance(one, Source)]


def test_a_folder_is_walked_as_index_walks_it(tmp_path: Path) -> None:
    """Trash, hidden files and what an ignore file names would come into the library by this door."""
    make_photos(tmp_path / "a", 3)
    make_photos(tmp_path / ".hidden", 1)
    make_photos(tmp_path / "drafts", 2)
    (tmp_path / ".clipsearchignore").write_text("drafts/\n")
    (source,) = found(str(tmp_path))
    (files,) = source.inputs
    listing = walk(Root(0, bytes(tmp_path), False, (), None))
    assert isinstance(files, Files) and isinstance(listing, Listing)
    assert [(place.path, place.size, place.mtime_ns) for place in files.places] == [
        (stamp.folder + b"/" + stamp.name, stamp.size, stamp.mtime_ns) for stamp in listing.stamps
    ]
    assert source.count == 3


def test_a_pattern_is_all_that_fit_and_a_table_is_cut_by_its_groups(tmp_path: Path) -> None:
    """Data sets come as thousands of files; nobody types them."""
    for name in ("00000.tar", "00001.tar.gz", "notes.txt"):
        (tmp_path / name).touch()
    pq.write_table(pa.table({"path": ["a"] * 10}), tmp_path / "00002.parquet", row_group_size=4)
    tars, tables = found(str(tmp_path / "*.tar*"), str(tmp_path / "*.parquet"))
    assert [type(one) for one in tars.inputs] == [Tar, Tar] and tars.count is None
    assert [one.group for one in tables.inputs if isinstance(one, Rows)] == [0, 1, 2] and tables.count == 10


def test_what_is_no_source_is_refused_by_its_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"title": ["a"]}), tmp_path / "titles.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    (tmp_path / "photo.jpg").touch()
    for name, kind, said in (
        ("titles.parquet", UsageError, "has no column that names or holds pictures; it has title"),
        ("bad.parquet", SystemFault, "is no Parquet table"),
        ("photo.jpg", UsageError, "is neither a folder nor a table nor a tar"),
        ("absent", SystemFault, "is not there"),
        ("*.tar", SystemFault, "Nothing is called"),
        ("*/x.tar", UsageError, "has a pattern in the name of a folder"),
    ):
        with pytest.raises(kind, match=said):
            found(str(tmp_path / name))


def test_without_the_extra_it_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every other extra does."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError) as refused:
        check_installed()
    assert refused.value.hint == 'pip install "clipsearch[cluster]"'


class Refusing(BaseHTTPRequestHandler):
    """A store that answers each request with 403, as one does without the right keys."""

    def do_GET(self) -> None:
        text = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=none"
        server.shutdown()
        thread.join()


def test_a_store_that_refuses_says_so_without_the_options(refusing: str) -> None:
    """What stands behind the name may be a key, and must not stand in a log."""
    with pytest.raises(SystemFault) as refused:
        found(f"s3://secret:key@bucket/photos?{refusing}")
    assert refused.value.message == "s3://bucket/photos cannot be read (access denied)."


def test_photos_of_a_store_are_listed_and_fetched() -> None:
    """Against another's server of S3: names with blanks, folders that are none, what is no photo."""
    server = pytest.importorskip("moto.server", reason="moto, a server of S3, is not installed")
    from pyarrow.fs import S3FileSystem

    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        where = {"endpoint_override": f"{host}:{port}", "scheme": "http", "region": "us-east-1"}
        store = S3FileSystem(**where, allow_bucket_creation=True)
        store.create_dir("archive")
        for name in ("2024/a b.jpg", "2024/deep/er/c.PNG", "2024/notes.txt", "2024/@eaDir/d.jpg", "2025/e.jpg"):
            with store.open_output_stream(f"archive/{name}") as file:
                file.write(name.encode())
        (source,) = found(f"s3://archive/2024/?{urlencode(where)}")
        assert (source.name, source.count) == (b"s3://archive/2024", 2)
        (files,) = source.inputs
        fetched = {item.place.path: item.data for item in items(files, lambda place: True)}
        assert fetched == {b"a b.jpg": b"2024/a b.jpg", b"deep/er/c.PNG": b"2024/deep/er/c.PNG"}
        store.delete_file("archive/2024/a b.jpg")
        gone = next(iter(items(files, lambda place: place.path == b"a b.jpg")))
        assert gone.failure == Failure("no such file or directory", lasting=False)
    finally:
        running.stop()
