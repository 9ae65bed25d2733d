"""Bundles: what is written comes back, and nothing else ever does."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsearch.bundles import table
from clipsearch.bundles.folder import (
    MANIFEST,
    MOST_ROWS,
    check_parts,
    create_folder,
    parts_in,
    read_manifest,
    read_part,
    seal,
    write_part,
)
from clipsearch.bundles.header import (
    FORMAT,
    Manifest,
    Part,
    header_of,
    header_text,
    manifest_of,
    manifest_text,
    part_name,
)
from clipsearch.bundles.rows import Copy, Header, Newer, NoBundle, Photo, Place, Row, Unread, Unreadable
from clipsearch.bundles.shard import Shard
from clipsearch.errors import SystemFault, UsageError
from clipsearch.types import Metadata, SpaceIdentity
from tests.bundles.made import DIM, HEADER, ROOT, bundle, names, photo, rows, texts, unit, vector

pytest.importorskip("pyarrow", reason='bundles need pip install "clipsearch[parquet]"')

headers = st.builds(
    Header,
    st.builds(SpaceIdentity, texts, texts, st.just(DIM)),
    st.integers(0, 2**31),
    texts,
    st.tuples(st.integers(1, 9), st.integers(9, 99)).map(lambda both: Shard(*both)),
    st.lists(st.tuples(names.map(lambda name: b"/" + name), st.lists(texts, max_size=2).map(tuple)), max_size=2).map(
        tuple
    ),
)


def read(folder: Path) -> list[Row]:
    manifest = read_manifest(folder)
    check_parts(folder, manifest)
    return [row for part in manifest.parts for batch in read_part(folder, part, manifest.header) for row in batch]


@settings(max_examples=25)
@given(header=headers, some=st.lists(rows, min_size=1, max_size=12))
def test_rows_come_back_as_they_were_written(header: Header, some: list[Row]) -> None:
    """A name in no encoding, a photo without a date: what a format cannot say would be lost on the way."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        part = write_part(folder, header, some)
        manifest = seal(folder, header, [part])
        assert read_manifest(folder) == manifest and parts_in(folder) == [(header, part)]
        assert (part.rows, part.photos) == (len(some), sum(isinstance(row, Photo) for row in some))
        assert read(folder) == some


def test_a_part_is_named_after_its_bytes_and_written_twice_it_is_one(tmp_path: Path) -> None:
    """Many machines write into one folder, and none of them knows of the others."""
    first = write_part(tmp_path, HEADER, [photo(b"a.jpg")])
    assert write_part(tmp_path, HEADER, [photo(b"a.jpg")]) == first
    assert os.listdir(tmp_path) == [first.name]
    other = write_part(tmp_path, HEADER, [photo(b"b.jpg")])
    assert {part for _, part in parts_in(tmp_path)} == {first, other}


def test_a_part_of_many_rows_is_read_batch_by_batch(tmp_path: Path) -> None:
    some = [photo(b"%d.jpg" % number) for number in range(table.GROUP_ROWS + 3)]
    part = write_part(tmp_path, HEADER, some)
    batches = list(read_part(tmp_path, part))
    assert [len(batch) for batch in batches] == [table.GROUP_ROWS, 3]
    assert [row for batch in batches for row in batch] == some


def test_an_empty_share_is_a_whole_bundle(tmp_path: Path) -> None:
    """With more machines than photos, one of them has nothing to do, and that is no fault."""
    assert read(bundle(tmp_path / "b")) == []


@pytest.mark.parametrize("place", [
    Place(b"relative", b"a.jpg"), Place(ROOT, b"../a.jpg"), Place(ROOT, b"a//b.jpg"), Place(ROOT, b"a/"),
    Place(ROOT, b"/etc/passwd"), Place(ROOT, b"a\0b"), Place(b"", b"a"), Place(b"s3://bucket", b""),
    Place(ROOT, b"./a"),
])  # fmt: skip
def test_a_place_that_no_library_could_have_is_neither_written_nor_read(tmp_path: Path, place: Place) -> None:
    """What leads out of a root would show files that nobody named."""
    row = Unread(place, "why", "d")
    with pytest.raises(ValueError, match=r"root|path|URI"):
        write_part(tmp_path, HEADER, [row])
    with pytest.raises(Unreadable):
        list(table.read_rows(table.table_bytes(HEADER, [photo(b"whole.jpg"), row]).to_pybytes()))
    with pytest.raises(Unreadable):
        list(table.read_rows(table.table_bytes(HEADER, [row]).to_pybytes()))


def test_names_in_a_bucket_may_be_anything(tmp_path: Path) -> None:
    some: list[Row] = [Unread(Place(b"s3://bucket", key), "why", "") for key in (b"a//b.jpg", b"../x", b"C:/y")]
    assert read(bundle(tmp_path / "b", some)) == some


def test_another_programs_file_is_not_replaced(tmp_path: Path) -> None:
    """Sealing would write over it; an empty share of ours may be gone on with."""
    (tmp_path / MANIFEST).write_text('{"name": "a bundler"}')
    with pytest.raises(UsageError, match="no file of clipsearch"):
        create_folder(tmp_path)
    seal(tmp_path, HEADER, [])
    create_folder(tmp_path)


# -- what is not whole ------------------------------------------------------------------------------


def test_without_its_manifest_a_bundle_is_unfinished(tmp_path: Path) -> None:
    """Half a share that looks like a whole one is photos that nobody will ever miss (B2)."""
    create_folder(tmp_path / "b")
    with pytest.raises(NoBundle, match="no bundle, or one"):  # killed before the first part
        read_manifest(tmp_path / "b")
    write_part(tmp_path / "b", HEADER, [photo(b"a.jpg")])
    with pytest.raises(Unreadable, match="not finished"):
        read_manifest(tmp_path / "b")
    with pytest.raises(Unreadable, match="no bundle"):
        read_manifest(tmp_path / "absent")
    with pytest.raises(NoBundle, match="a folder"):
        read_manifest(next((tmp_path / "b").iterdir()))


@pytest.mark.parametrize("damage", [
    lambda content: content[:-1],
    lambda content: content[: len(content) // 2],
    lambda content: b"",
    lambda content: content + b"\0",
    lambda content: content[:2000] + bytes([content[2000] ^ 1]) + content[2001:],
])  # fmt: skip
def test_a_part_that_is_not_what_was_written_is_refused_before_a_row_is_read(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    folder = bundle(tmp_path / "b", [photo(b"%d.jpg" % number) for number in range(100)])
    path = next(folder.glob("*.parquet"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Unreadable):
        read(folder)
    path.unlink()
    with pytest.raises(Unreadable, match="missing"):
        read(folder)


def test_a_part_of_another_bundle_or_with_other_counts_is_refused(tmp_path: Path) -> None:
    other = replace(HEADER, model=replace(HEADER.model, fingerprint="another"))
    part = write_part(tmp_path, other, [photo(b"a.jpg")])
    seal(tmp_path, HEADER, [part])
    with pytest.raises(Unreadable, match="another bundle"):
        read(tmp_path)
    seal(tmp_path, other, [replace(part, photos=2)])
    with pytest.raises(Unreadable, match=r"bundle\.json"):
        read(tmp_path)


def rechecked(text: str, **changed: object) -> str:
    """A header that somebody has changed, with a checksum that is right again."""
    fields = {name: value for name, value in json.loads(text).items() if name != "crc32"} | changed
    crc = zlib.crc32(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
    return json.dumps({**fields, "crc32": crc})


def test_a_newer_bundle_is_refused_by_name(tmp_path: Path) -> None:
    """It may hold what this program would drop in silence."""
    folder = bundle(tmp_path / "b", [photo(b"a.jpg")])
    newer = rechecked((folder / MANIFEST).read_text(), format=FORMAT + 1, program="9.9")
    (folder / MANIFEST).write_text(newer)
    with pytest.raises(Newer, match=r"newer clipsearch \(9\.9\)"):
        read_manifest(folder)


@pytest.mark.parametrize("changed", [
    {"dim": 0}, {"dim": "8"}, {"dim": 2**40}, {"shard": "5/4"}, {"shard": None}, {"parts": None}, {"parts": [{}]},
    {"parts": [{"name": "../../etc/passwd", "bytes": 1, "photos": 1, "copies": 0, "unread": 0}]},
    {"parts": [{"name": part_name("0" * 64), "bytes": -1, "photos": 1, "copies": 0, "unread": 0}]},
    {"folders": [{}]}, {"folders": [{"root": "home", "exclude": []}]},
    {"model": 3}, {"format": "x"}, {"description": True},
])  # fmt: skip
def test_a_manifest_that_makes_no_sense_is_refused(changed: dict[str, object]) -> None:
    text = manifest_text(Manifest(HEADER, (Part(part_name("0" * 64), 1, 1, 0, 0),)))
    assert manifest_of(rechecked(text)) == manifest_of(text)
    with pytest.raises(Unreadable):
        manifest_of(rechecked(text, **changed))


@given(cut=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_flipped_bit_of_a_manifest_goes_unnoticed(cut: int, bit: int) -> None:
    manifest = Manifest(HEADER, (Part(part_name("ab" * 32), 4321, 12, 3, 1),))
    content = bytearray(manifest_text(manifest).encode())
    content[cut % len(content)] ^= 1 << bit
    with contextlib.suppress(Unreadable):
        assert manifest_of(bytes(content)) == manifest  # a blank for a line's end says the same


def test_a_header_says_what_it_said() -> None:
    text = header_text(HEADER, photos=1, copies=2, unread=3)
    assert header_of(text) == (HEADER, 1, 2, 3)


# -- hostile Parquet --------------------------------------------------------------------------------

_WHOLE = [photo(b"a.jpg"), Copy(Place(ROOT, b"b.jpg"), b"a" * 32), Unread(Place(ROOT, b"c.jpg"), "cut short", "d")]


@settings(max_examples=120)
@given(data=st.data())
def test_bytes_that_make_no_sense_are_unreadable_or_rows_that_a_library_could_have(data: st.DataObject) -> None:
    """Whoever sends a bundle may have made its checksums himself: no crash, no exception that nobody expects."""
    content = bytearray(table.table_bytes(HEADER, _WHOLE).to_pybytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        for batch in table.read_rows(bytes(content)):
            for row in batch:
                assert isinstance(row, (Photo, Copy, Unread))
                assert row.place.root.startswith((b"/", b"s3:")) or b":" in row.place.root
    except (Unreadable, Newer):
        pass


def parquet(columns: dict[str, Any] | None = None, **changed: Any) -> bytes:
    """The rows of _WHOLE with some columns changed; or whatever `columns` are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = pq.read_table(pa.BufferReader(table.table_bytes(HEADER, _WHOLE)))
    made = pa.table(columns) if columns is not None else whole
    for name, values in changed.items():
        number = whole.schema.get_field_index(name)
        made = made.set_column(number, whole.schema.field(name), pa.array(values, whole.schema.field(name).type))
    sink = pa.BufferOutputStream()
    pq.write_table(made.replace_schema_metadata(whole.schema.metadata), sink)
    return bytes(sink.getvalue().to_pybytes())


def test_rows_in_a_group_that_no_reader_could_hold_are_refused_before_they_are_read() -> None:
    """A thousand million times the same word take a few bytes in Parquet, and all memory that there is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = Unread(Place(ROOT, b"a.jpg"), "why", "d")
    whole = pq.read_table(pa.BufferReader(table.table_bytes(HEADER, [row] * (MOST_ROWS + 1))))
    for group_rows, fits in ((MOST_ROWS, True), (MOST_ROWS + 1, False)):
        sink = pa.BufferOutputStream()
        pq.write_table(whole, sink, row_group_size=group_rows)
        content = sink.getvalue().to_pybytes()
        assert len(content) < 1 << 20
        if fits:
            assert sum(map(len, table.read_rows(content))) == MOST_ROWS + 1
        else:
            with pytest.raises(Unreadable, match="too large"):
                next(table.read_rows(content))


def test_rows_that_are_put_together_by_hand_are_read_where_they_are_right() -> None:
    """Or the test below would prove nothing."""
    assert [row for batch in table.read_rows(parquet()) for row in batch] == _WHOLE


@pytest.mark.parametrize("changed", [
    {"columns": {"x": [1, 2, 3]}},
    {"columns": {}},
    {"vector": [[0.0] * DIM, None, None]},
    {"vector": [[float("nan")] * DIM, None, None]},
    {"vector": [[9.0] * DIM, None, None]},
    {"vector": [None, None, [1.0] + [0.0] * (DIM - 1)]},
    {"digest": [None, b"a" * 32, None]},
    {"digest": [b"a" * 32, b"a" * 32, b"a" * 32]},
    {"reason": [None, None, None]},
    {"reason": ["x", None, "x"]},
    {"decoder": [None, None, None]},
    {"variant": [None, None, None]},
    {"width": [None, None, None]},
    {"format": [None, None, None]},
    {"colors": [None, None, None]},
    {"path": [None, "b", "c"]},
    {"path": ["../../etc/passwd", "b", "c"]},
    {"path_b64": ["!", None, None]},
    {"path_b64": ["Li4vYQ==", None, None]},
    {"root": ["home", "home", "home"]},
    {"root": [None, "/a", "/a"]},
    {"size": [None, 1, 1]},
])  # fmt: skip
def test_rows_that_nobody_would_have_written_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        list(table.read_rows(parquet(**changed)))


def test_a_vector_of_other_numbers_than_the_header_says_is_refused() -> None:
    wide = replace(HEADER, model=replace(HEADER.model, dim=4))
    row = replace(photo(b"a.jpg"), vector=unit([1, 0, 0, 0]))
    content = table.table_bytes(wide, [row]).to_pybytes()
    assert [list(batch) for batch in table.read_rows(content)] == [[row]]
    with pytest.raises(ValueError, match=r"."):
        table.table_bytes(HEADER, [replace(row, vector=vector(b"a")[:-2])])


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemFault, match="cannot be written"):
        create_folder(tmp_path / "file" / "b")
    with pytest.raises(SystemFault, match="cannot be written"):
        write_part(tmp_path / "absent", HEADER, [photo(b"a.jpg")])


def test_metadata_has_a_column_for_each_field() -> None:
    """A field that is added to Metadata and not to the table would be dropped on the way."""
    described = table._schema(DIM).names
    assert set(Metadata.__dataclass_fields__) <= set(described)
