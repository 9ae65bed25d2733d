"""Photos as a Parquet table: one row a photo, its vector as a list of numbers.

    path, path_b64     the photo's first path; the latter where it is not UTF-8
    digest             SHA-256 of the file's bytes
    …                  the columns of the library's table `photo`
    vector, variant    unit vector (dim), null where there is none yet; precision and runtime that made it
    labels             list of {name, score}
    files              list of {root, folder, name, size, mtime_ns, inode}; folder is relative to the root
    reason, attempts, decoder   of a file that could not be read; its other columns are null

The header is JSON under the key `clipsearch` of the schema metadata. Every page carries its checksum.

Numbers of vectors are f32 in a file, for Spark refuses a table with f16 in it. They are f16 all the same: split into
streams of bytes, those that are always the same take no room, and the file is smaller than one of f16. Files of before
have f16 and are read, too; so has what goes to Lance.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsearch.errors import UsageError
from clipsearch.index.portable import PortableFile, PortableRow
from clipsearch.named_bytes import named_bytes
from clipsearch.transfer.header import KEY, Header, Unreadable, first_path, header_of, header_text

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"PAR1"


def check_installed() -> None:
    """Raises UsageError."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed.",
            'pip install "clipsearch[parquet]", or use a file that ends in .npz, which needs nothing.',
        )


def write(target: Path, header: Header, batches: Callable[[], Iterator[Sequence[PortableRow]]]) -> None:
    """One row group a batch, so that memory holds one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _described_schema(header, pa.float32())
    plain = [name for name in schema.names if name not in ("vector", "digest")]
    with pq.ParquetWriter(
        target, schema, compression="zstd", use_dictionary=plain, write_statistics=plain, write_page_checksum=True,
        use_byte_stream_split=["vector.list.element"],
    ) as writer:  # fmt: skip
        for rows in batches():
            writer.write_table(pa.Table.from_batches([_record_batch(rows, header, schema)]))


def stream(header: Header, batches: Iterator[Sequence[PortableRow]]) -> pa.RecordBatchReader:
    """The same rows for another writer of Arrow."""
    import pyarrow as pa

    schema = _described_schema(header, pa.float16())
    return pa.RecordBatchReader.from_batches(schema, (_record_batch(rows, header, schema) for rows in batches))


def read_header(source: Path) -> Header:
    import pyarrow.parquet as pq

    with _translated(), pq.ParquetFile(source) as file:
        return _header_in(file)


def read(source: Path) -> Iterator[list[PortableRow]]:
    """The rows, batch by batch. Raises Unreadable where it meets what was not written so."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _translated(), pq.ParquetFile(source, page_checksum_verification=True) as file:
        header = _header_in(file)
        known = [_schema(header, number) for number in (pa.float32(), pa.float16())]
        if not any(map(file.schema_arrow.equals, known)) or file.metadata.num_rows != header.rows:
            raise Unreadable("its columns are not those that its header names")
        for number in range(file.num_row_groups):  # `iter_batches` keeps what it has read: 1 MB for each MB of the file
            for batch in file.read_row_group(number, use_threads=False).to_batches():
                yield _rows(batch, header)


def _header_in(file: Any) -> Header:
    return header_of((file.schema_arrow.metadata or {}).get(KEY.encode(), b""))


@contextmanager
def _translated() -> Iterator[None]:
    """Arrow's errors as Unreadable, and what comes out of it for bytes that make no sense."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's own
        raise Unreadable("it is cut short or damaged") from error


_KINDS = {"INTEGER": "int64", "REAL": "float64", "TEXT": "string", "BLOB": "binary"}


def _schema(header: Header, number: pa.DataType) -> pa.Schema:
    import pyarrow as pa

    file = pa.struct(
        [
            ("root", pa.int32()), ("folder", pa.binary()), ("name", pa.binary()), ("size", pa.int64()),
            ("mtime_ns", pa.int64()), ("inode", pa.int64()),
        ]
    )  # fmt: skip
    described = [(column.name, pa.type_for_alias(_KINDS[column.kind])) for column in header.columns]
    return pa.schema(
        [
            ("path", pa.string()), ("path_b64", pa.string()), ("digest", pa.binary()), *described,
            ("vector", pa.list_(number, header.space.dim)), ("variant", pa.string()),
            ("labels", pa.list_(pa.struct([("name", pa.string()), ("score", pa.float64())]))),
            ("files", pa.list_(file)),
            ("reason", pa.string()), ("attempts", pa.int64()), ("decoder", pa.string()),
        ]
    )  # fmt: skip


def _described_schema(header: Header, number: pa.DataType) -> pa.Schema:
    return _schema(header, number).with_metadata({KEY: header_text(header)})


def _record_batch(rows: Sequence[PortableRow], header: Header, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    paths = [named_bytes("path", first_path(row, header)) for row in rows]
    columns: dict[str, Any] = {
        "path": [path["path"] for path in paths],
        "path_b64": [path.get("path_b64") for path in paths],
        "digest": [row.digest for row in rows],
        "variant": [row.variant for row in rows],
        "labels": [[{"name": name, "score": score} for name, score in row.labels] for row in rows],
        "files": [[_file_fields(file) for file in row.files] for row in rows],
        "reason": [row.reason for row in rows],
        "attempts": [row.attempts if row.reason is not None else None for row in rows],
        "decoder": [row.decoder for row in rows],
    }
    for number, column in enumerate(header.columns):
        columns[column.name] = [row.described[number] if row.described else None for row in rows]
    empty = bytes(2 * header.space.dim)
    flat = np.frombuffer(b"".join(row.vector or empty for row in rows), "<f2")
    missing = pa.array([row.vector is None for row in rows])
    kind = schema.field("vector").type
    numbers = flat.astype(kind.value_type.to_pandas_dtype())
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(numbers), type=kind, mask=missing)
    arrays = [vectors if field.name == "vector" else pa.array(columns[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _file_fields(file: PortableFile) -> dict[str, int | bytes]:
    return {
        "root": file.root, "folder": file.folder, "name": file.name, "size": file.size, "mtime_ns": file.mtime_ns,
        "inode": file.inode,
    }  # fmt: skip


def _rows(batch: pa.RecordBatch, header: Header) -> list[PortableRow]:
    read = {name: batch.column(name).to_pylist() for name in batch.schema.names if name != "vector"}
    vectors = batch.column("vector")
    present = vectors.is_valid().to_pylist()
    # Not `flatten`, which leaves out the rows without a vector.
    flat = vectors.values.to_numpy(zero_copy_only=False)[vectors.offset * header.space.dim :].astype("<f2")
    matrix = flat[: len(batch) * header.space.dim].reshape(len(batch), header.space.dim)
    return [
        PortableRow(
            files=tuple(PortableFile(**file) for file in read["files"][number]),
            digest=read["digest"][number],
            described=tuple(read[column.name][number] for column in header.columns),
            vector=matrix[number].tobytes() if present[number] else None,
            variant=read["variant"][number],
            labels=tuple((label["name"], label["score"]) for label in read["labels"][number]),
            reason=read["reason"][number],
            attempts=read["attempts"][number] or 0,
            decoder=read["decoder"][number],
        )
        for number in range(len(batch))
    ]
