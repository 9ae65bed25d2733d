"""Rows of a bundle as a Parquet table, one row a file. The only place of bundles that knows pyarrow.

    root, path          where it lay: the folder that was named, and the way from it to the file, with / between names
    root_b64, path_b64  the same in base64 where the name is not UTF-8, else null
    size, mtime_ns, inode   of the file; 0 where nobody can tell
    digest              SHA-256 of the bytes; null where they could not be read
    width … keywords    what the photo says of itself (types.Metadata); null in a copy
    vector, variant     unit vector (f16, dim), and what made it; null in a copy, whose digest another row has with one
    reason, decoder     why the file could not be read; null where it could

The header is JSON under the key `clipsearch.bundle` of the schema metadata. Every page carries its checksum.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsearch.bundles.header import KEY, header_of, header_text
from clipsearch.bundles.rows import (
    DIGEST_BYTES,
    Copy,
    Header,
    Photo,
    Place,
    Row,
    Unread,
    Unreadable,
    are_plain,
    wrong_place,
)
from clipsearch.errors import UsageError
from clipsearch.named_bytes import named_bytes
from clipsearch.types import Metadata

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

GROUP_ROWS = 4096  # rows that a reader holds at once
MOST_GROUP_ROWS = 65_536  # of other writers; a few bytes can say a thousand million rows of nothing
_MOST_GROUP_BYTES = 1 << 30  # unpacked

_METADATA = tuple(Metadata.__dataclass_fields__)
_REPEATED = ("root", "format", "taken_offset", "camera", "lens", "variant", "reason", "decoder")  # mostly a few values


def check_installed() -> None:
    """Raises UsageError."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Bundles need pyarrow, which is not installed.", 'pip install "clipsearch[parquet]"')


def table_bytes(header: Header, rows: Sequence[Row]) -> pa.Buffer:
    """A whole Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    counts = {kind: sum(isinstance(row, kind) for row in rows) for kind in (Photo, Copy, Unread)}
    text = header_text(header, photos=counts[Photo], copies=counts[Copy], unread=counts[Unread])
    schema = _schema(header.model.dim).with_metadata({KEY: text})
    vector = "vector.list.element"
    plain = [name for name in schema.names if name not in ("vector", "digest", "phash_fine")]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, schema, use_dictionary=list(_REPEATED), write_statistics=plain, write_page_checksum=True,
        # Bits of vectors and digests are as good as random: to compress them takes time and gives nothing.
        compression={name: "none" if name in ("digest", "phash_fine") else "zstd" for name in schema.names}
        | {vector: "none"},
    ) as writer:  # fmt: skip
        for start in range(0, len(rows), GROUP_ROWS):
            batch = _record_batch(rows[start : start + GROUP_ROWS], header, schema)
            writer.write_table(pa.Table.from_batches([batch]))
    return sink.getvalue()


def read_header(source: Path | bytes) -> tuple[Header, int, int, int]:
    """(header, photos, copies, unread) of a Parquet file or its content. Raises Unreadable."""
    with _opened(source) as file:
        return header_of((file.schema_arrow.metadata or {}).get(KEY.encode(), b""))


def read_rows(source: Path | bytes) -> Iterator[list[Row]]:
    """The rows, batch by batch. Raises Unreadable where it meets what was not written so."""
    with _opened(source) as file:
        header, *counts = header_of((file.schema_arrow.metadata or {}).get(KEY.encode(), b""))
        if not file.schema_arrow.equals(_schema(header.model.dim)) or file.metadata.num_rows != sum(counts):
            raise Unreadable("its columns are not those that its header names")
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            if group.num_rows > MOST_GROUP_ROWS or group.total_byte_size > _MOST_GROUP_BYTES:
                raise Unreadable("its rows come in groups too large to read")
            for batch in file.read_row_group(number, use_threads=False).to_batches():
                yield _rows(batch, header.model.dim)


@contextmanager
def _opened(source: Path | bytes) -> Iterator[pq.ParquetFile]:
    """Arrow's errors come as Unreadable, and so does what comes out of it for bytes that make no sense."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        read = pa.BufferReader(source) if isinstance(source, bytes) else source
        with pq.ParquetFile(read) as file:  # pages have their own checksums for others: ours is of all bytes
            yield file
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's own
        raise Unreadable("it is cut short or damaged") from error


def _schema(dim: int) -> pa.Schema:
    import pyarrow as pa

    few = pa.dictionary(pa.int32(), pa.string())
    words = pa.list_(pa.string())
    types: dict[str, Any] = {
        "root": few, "path": pa.string(), "root_b64": pa.string(), "path_b64": pa.string(),
        "size": pa.int64(), "mtime_ns": pa.int64(), "inode": pa.int64(),
        "digest": pa.binary(DIGEST_BYTES),
        "width": pa.int64(), "height": pa.int64(), "format": few,
        "taken_at": pa.string(), "taken_offset": few, "latitude": pa.float64(), "longitude": pa.float64(),
        "camera": few, "lens": few, "colors": words, "phash": pa.int64(), "phash_fine": pa.binary(),
        "taken_ms": pa.int64(), "rating": pa.int64(), "title": pa.string(), "description": pa.string(),
        "keywords": words,
        "vector": pa.list_(pa.float16(), dim), "variant": few, "reason": few, "decoder": few,
    }  # fmt: skip
    return pa.schema(list(types.items()))


def _record_batch(rows: Sequence[Row], header: Header, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    photos = [row if isinstance(row, Photo) else None for row in rows]
    failed = [row if isinstance(row, Unread) else None for row in rows]
    roots = [named_bytes("root", row.place.root) for row in rows]
    paths = [named_bytes("path", row.place.path) for row in rows]
    columns: dict[str, Any] = {
        "root": [root["root"] for root in roots],
        "path": [path["path"] for path in paths],
        "root_b64": [root.get("root_b64") for root in roots],
        "path_b64": [path.get("path_b64") for path in paths],
        "size": [row.place.size for row in rows],
        "mtime_ns": [row.place.mtime_ns for row in rows],
        "inode": [row.place.inode for row in rows],
        "digest": [None if isinstance(row, Unread) else row.digest for row in rows],
        "variant": [photo and photo.variant for photo in photos],
        "reason": [one and one.reason for one in failed],
        "decoder": [one and one.decoder for one in failed],
    }
    for name in _METADATA:
        columns[name] = [photo and getattr(photo.metadata, name) for photo in photos]
    empty = bytes(2 * header.model.dim)
    flat = np.frombuffer(b"".join(photo.vector if photo else empty for photo in photos), "<f2")
    missing = pa.array([photo is None for photo in photos])
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), type=schema.field("vector").type, mask=missing)
    arrays = [vectors if field.name == "vector" else pa.array(columns[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _rows(batch: pa.RecordBatch, dim: int) -> list[Row]:
    columns = {name: _values(batch.column(name)) for name in batch.schema.names if name != "vector"}
    roots = _bytes_of(columns["root"], columns["root_b64"])
    paths = _bytes_of(columns["path"], columns["path_b64"])
    vectors = _vectors(batch.column("vector"), dim)
    if any(None in columns[name] for name in ("size", "mtime_ns", "inode")):
        raise Unreadable("a file has no size or time")
    places = list(map(Place, roots, paths, columns["size"], columns["mtime_ns"], columns["inode"]))
    if len(set(roots)) != 1 or not are_plain(roots[0], paths):
        for place in places:
            if wrong := wrong_place(place):
                raise Unreadable(wrong)
    described = zip(*(columns[name] for name in _METADATA), strict=True)
    rows: list[Row] = []
    for place, digest, fields, vector, variant, reason, decoder in zip(
        places, columns["digest"], described, vectors, columns["variant"], columns["reason"], columns["decoder"],
        strict=True,
    ):  # fmt: skip
        if digest is None and reason and decoder is not None and vector is None:
            rows.append(Unread(place, reason, decoder))
        elif digest is not None and reason is None and vector is None:
            rows.append(Copy(place, digest))
        elif digest is not None and reason is None and variant is not None and vector is not None:
            rows.append(Photo(place, digest, _metadata(fields), vector, variant))
        else:
            raise Unreadable("a row is neither a photo nor a file that could not be read")
    return rows


def _metadata(fields: tuple[Any, ...]) -> Metadata:
    described = Metadata(*fields)
    if described.width is None or described.height is None or described.format is None:
        raise Unreadable("a photo has no size")
    if described.colors is None or described.keywords is None:
        raise Unreadable("a photo has no colours")
    return described


def _values(column: Any) -> list[Any]:
    """What `to_pylist` gives, lists as tuples, in a third of its time."""
    import pyarrow as pa

    if column.null_count == len(column):
        return [None] * len(column)
    if pa.types.is_dictionary(column.type):
        words = column.dictionary.to_pylist()
        return [None if index is None else words[index] for index in _values(column.indices)]
    if pa.types.is_list(column.type):
        flat, ends = column.values.to_pylist(), column.offsets.to_pylist()
        lists = [tuple(flat[start:end]) for start, end in pairwise(ends)]
        return [one if there else None for one, there in zip(lists, column.is_valid().to_pylist(), strict=True)]
    if column.null_count == 0 and pa.types.is_integer(column.type):
        values: list[Any] = column.to_numpy().tolist()
        return values
    return list(column.to_pylist())


def _bytes_of(texts: list[str | None], coded: list[str | None]) -> list[bytes]:
    if None in texts:
        raise Unreadable("a file has no name")
    if not any(coded):
        return [text.encode() for text in texts if text is not None]
    try:
        return [
            text.encode() if code is None else base64.b64decode(code, validate=True)
            for text, code in zip(texts, coded, strict=True)
            if text is not None
        ]
    except binascii.Error as error:
        raise Unreadable("a name is garbled") from error


def _vectors(column: Any, dim: int) -> list[bytes | None]:
    present = column.is_valid().to_numpy(zero_copy_only=False)
    # Not `flatten`, which leaves out the rows without a vector.
    flat = column.values.to_numpy(zero_copy_only=False)[column.offset * dim :].astype("<f2", copy=False)
    matrix = flat[: len(column) * dim].reshape(len(column), dim)
    lengths = np.linalg.norm(matrix[present].astype(np.float32), axis=1)
    if not np.all(np.abs(lengths - 1) < 1e-2):  # NaN is not, either
        raise Unreadable("a vector is not of length 1")
    return [row.tobytes() if there else None for row, there in zip(matrix, present.tolist(), strict=True)]
