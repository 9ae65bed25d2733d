"""Tars, tables and files as items: every input comes once, and what is broken comes with its reason."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.bundles.rows import Place, wrong_place
from clipsearch.cluster.parcels import Files, Item, Parcel, Rows, Tar, mark_of
from clipsearch.cluster.reading import CHUNK_BYTES, chunks, items
from clipsearch.cluster.stores import store_of
from clipsearch.decoding.names import is_listed, is_skipped

pa = pytest.importorskip("pyarrow", reason="the extra [cluster] is not installed")
import pyarrow.parquet as pq  # noqa: E402

NAMES = st.from_regex(r"([a-z0-9 .;é]{1,8}/){0,2}\.?[a-z0-9 é]{1,8}\.(jpg|PNG|json|cls|txt|webp)", fullmatch=True)
MEMBERS = st.lists(st.tuples(NAMES, st.binary(max_size=2000)), max_size=12)


def tar_of(members: Sequence[tuple[str, bytes]], kind: str = "") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{kind}") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def read_tar(path: Path, content: bytes) -> list[Item]:
    path.write_bytes(content)
    store, inside = store_of(str(path))
    return list(items(Tar(b"tar:" + bytes(path) + b"!", store, inside), lambda place: True))


def is_picture(name: str) -> bool:
    names = [one for one in name.encode().split(b"/") if one not in (b".", b"..")]
    return is_listed(names[-1]) and not any(map(is_skipped, names))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tars")


@settings(max_examples=40)
@given(MEMBERS, st.sampled_from(["", "gz", "bz2", "xz"]))
def test_every_picture_of_a_tar_comes_once_with_its_bytes(
    folder: Path, members: list[tuple[str, bytes]], kind: str
) -> None:
    """Labels and captions lie beside the pictures of a WebDataset and are none; names may even come twice."""
    found = read_tar(folder / "a.tar", tar_of(members, kind))
    assert [item.data for item in found] == [data for name, data in members if is_picture(name)]
    places = [item.place for item in found]
    assert len(set(places)) == len(places)
    assert all(wrong_place(place) is None and place.mtime_ns == 1_700_000_000 * 10**9 for place in places)


@settings(max_examples=40)
@given(MEMBERS, st.data())
def test_a_tar_that_is_cut_short_gives_what_comes_before_the_cut_and_says_so(
    folder: Path, members: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    """A download that broke off must not pass for a smaller data set."""
    whole = tar_of(members)
    end = len(whole.rstrip(b"\0"))
    cut = data.draw(st.integers(0, max(0, end - 1)))
    found = read_tar(folder / "b.tar", whole[:cut])
    *pictures, last = found
    assert last.failure is not None and not last.failure.lasting and wrong_place(last.place) is None
    expected = [one for name, one in members if is_picture(name)]
    assert [item.data for item in pictures] == expected[: len(pictures)]


@settings(max_examples=40)
@given(st.binary(max_size=3000), st.sampled_from([b"", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0"]))
def test_what_is_no_tar_is_one_failure(folder: Path, content: bytes, magic: bytes) -> None:
    """Whatever lies in a bucket under such a name, a reader must go on to the next one."""
    found = read_tar(folder / "c.tar", magic + content)
    assert all(item.failure is not None for item in found)


URIS = ["a.jpg", "sub/b.png", "/abs/c.jpg", "../d.jpg", "http://h/e.jpg", "s3://", "", "nosuch://x/y.jpg"]
ROWS = st.lists(st.tuples(st.none() | st.sampled_from(URIS), st.none() | st.binary(max_size=50)), min_size=1)


@settings(max_examples=40)
@given(ROWS, st.integers(1, 7))
def test_every_row_of_a_table_comes_once(folder: Path, rows: list[tuple[str | None, bytes | None]], group: int) -> None:
    """By its bytes, by the file it names, or with the reason why there is nothing."""
    path = folder / "rows.parquet"
    uris, pictures = zip(*rows, strict=True)
    table = pa.table({"url": pa.array(uris, pa.string()), "image": pa.array(pictures, pa.binary())})
    pq.write_table(table, path, row_group_size=group)
    store, inside = store_of(str(path))
    groups = range(-(-len(rows) // group))
    root = b"parquet:" + bytes(path) + b"!"
    found = [one for number in groups for one in items(Rows(root, store, inside, number), lambda place: True)]
    assert len(found) == len(rows)
    assert sorted(item.data for item in found if item.data is not None) == sorted(
        data for _, data in rows if data is not None
    )
    for item in found:
        assert wrong_place(item.place) is None
        assert sum(one is not None for one in (item.path, item.data, item.failure)) == 1


def test_a_table_of_structs_is_read_as_hugging_face_writes_it(folder: Path) -> None:
    """{bytes, path} in one column is what most published image sets are."""
    path = folder / "hub.parquet"
    pq.write_table(pa.table({"image": [{"bytes": b"x", "path": "cat.jpg"}], "label": [3]}), path)
    store, inside = store_of(str(path))
    (item,) = items(Rows(b"parquet:x!", store, inside, 0), lambda place: True)
    assert (item.data, item.place.path) == (b"x", b"000000000-cat.jpg")


def test_paths_of_a_table_are_files_beside_it(folder: Path) -> None:
    """A list of a folder's files, with the table in the folder: the library then finds them on the disk."""
    (folder / "here.jpg").write_bytes(b"bytes")
    pq.write_table(pa.table({"path": ["here.jpg", "gone.jpg", str(folder / "here.jpg")]}), folder / "list.parquet")
    store, inside = store_of(str(folder / "list.parquet"))
    here, gone, same = items(Rows(b"parquet:x!", store, inside, 0), lambda place: True)
    assert (here.path, here.place.root, here.place.size) == (bytes(folder / "here.jpg"), bytes(folder), 5)
    assert gone.failure is not None and gone.failure.reason == "no such file or directory"
    assert same.place == here.place


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 9), st.data())
def test_chunks_hold_each_item_once_and_the_last_one_counts_them(
    sizes: list[int], most: int, data: st.DataObject
) -> None:
    """By that count the driver sees what a dead actor has lost."""
    places = [Place(b"/root", b"%d.jpg" % (number % 30)) for number, _ in enumerate(sizes)]
    done = data.draw(st.sets(st.sampled_from(places)) if places else st.just(set()))
    given_chunks = list(chunks(Parcel(3, Files(tuple(places)), frozenset(map(mark_of, done)), most)))
    handed_out = [item.place for chunk in given_chunks for item in chunk.items]
    assert handed_out == [place for place in dict.fromkeys(places) if place not in done]
    assert all(len(chunk.items) <= most and chunk.parcel == 3 for chunk in given_chunks)
    assert [chunk.end for chunk in given_chunks[:-1]] == [None] * (len(given_chunks) - 1)
    end = given_chunks[-1].end
    assert end is not None and (end.items, end.done) == (len(handed_out), sum(place in done for place in places))
    assert end.items + end.done + end.repeated == len(places)


def test_chunks_of_large_pictures_are_small(folder: Path) -> None:
    """What travels is held in memory on both sides."""
    data = bytes(CHUNK_BYTES // 2 - 1)
    read = folder / "large.tar"
    read.write_bytes(tar_of([(f"{n}.jpg", data) for n in range(5)]))
    store, inside = store_of(str(read))
    found = list(chunks(Parcel(0, Tar(b"tar:/x!", store, inside))))
    assert [len(chunk.items) for chunk in found] == [2, 2, 1]
