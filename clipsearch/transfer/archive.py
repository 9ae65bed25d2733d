"""Photos as an .npz with JSON lines: `numpy.load` reads its vectors, any zip program the rest; it needs no extra.

    header.json     see header.py
    vectors.npy     f16 (n, dim), unit vectors
    photos.jsonl    one object a line: digest (hex), path, the columns of `photo`, labels, files; `vector` is its row
                    in vectors.npy, null where there is none. A file that could not be read has `reason` instead.

Bytes that are not UTF-8 stand in base64 beside the text, under the name with _b64. zip keeps a CRC-32 of each part.
"""

from __future__ import annotations

import base64
import errno
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from clipsearch.index import portable
from clipsearch.index.portable import Column, PortableFile, PortableRow, Value
from clipsearch.named_bytes import bytes_named, named_bytes
from clipsearch.transfer.header import (
    Header,
    Unreadable,
    first_path,
    header_of,
    header_text,
)

MAGIC = b"PK\x03\x04"

_DAMAGED = "it is cut short or damaged"


def write(target: Path, header: Header, batches: Callable[[], Iterator[Sequence[PortableRow]]]) -> None:
    """Goes through the batches twice, for a zip is written one part after the other; memory holds one."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("header.json", header_text(header))
        stored = zipfile.ZipInfo("vectors.npy")  # which does not shrink
        with archive.open(stored, "w", force_zip64=True) as part:
            shape = (header.vectors, header.space.dim)
            np.lib.format.write_array_header_1_0(part, {"descr": "<f2", "fortran_order": False, "shape": shape})
            for rows in batches():
                part.write(b"".join(row.vector for row in rows if row.vector is not None))
        with archive.open("photos.jsonl", "w", force_zip64=True) as part:
            number = 0
            for rows in batches():
                for row in rows:
                    line = _fields(row, header, number)
                    number += row.vector is not None
                    part.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def read_header(source: Path) -> Header:
    with _translated(), zipfile.ZipFile(source) as archive:
        return header_of(archive.read("header.json"))


def read(source: Path) -> Iterator[list[PortableRow]]:
    """The rows, batch by batch. Raises Unreadable where it meets what was not written so."""
    with _translated(), zipfile.ZipFile(source) as archive:
        header = header_of(archive.read("header.json"))
        with archive.open("vectors.npy") as vectors, archive.open("photos.jsonl") as lines:
            np.lib.format.read_magic(vectors)
            shape, _, kind = np.lib.format.read_array_header_1_0(vectors)
            if shape != (header.vectors, header.space.dim) or kind != np.dtype("<f2"):
                raise Unreadable("its vectors are not those that its header names")
            rows: list[PortableRow] = []
            count = taken = 0
            for line in lines:
                row = _row(json.loads(line), header, vectors, taken)
                taken += row.vector is not None
                rows.append(row)
                count += 1
                if len(rows) == portable.BATCH_ROWS:
                    yield rows
                    rows = []
            # Both to their ends, where zip compares the checksums.
            if count != header.rows or taken != header.vectors or vectors.read(1):
                raise Unreadable("it has not as many rows as its header names")
            yield rows


@contextmanager
def _translated() -> Iterator[None]:
    """What comes out of zipfile and json for bytes that make no sense, as Unreadable."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning of the file; anything else is the disk's own
            raise
        raise Unreadable(_DAMAGED) from error
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, ValueError, TypeError, AttributeError,
        NotImplementedError, RuntimeError, OverflowError, MemoryError,
    ) as error:  # fmt: skip
        raise Unreadable(_DAMAGED) from error


def _fields(row: PortableRow, header: Header, number: int) -> dict[str, Any]:
    fields: dict[str, Any] = named_bytes("path", first_path(row, header))
    if row.digest is not None:
        fields["digest"] = row.digest.hex()
        for column, value in zip(header.columns, row.described, strict=True):
            if isinstance(value, bytes):
                fields[f"{column.name}_b64"] = base64.b64encode(value).decode()
            else:
                fields[column.name] = value
        fields["vector"] = None if row.vector is None else number
        fields["variant"] = row.variant
        fields["labels"] = [{"name": name, "score": score} for name, score in row.labels]
    else:
        fields |= {"reason": row.reason, "attempts": row.attempts, "decoder": row.decoder}
    fields["files"] = [
        {
            "root": file.root, **named_bytes("folder", file.folder), **named_bytes("name", file.name),
            "size": file.size, "mtime_ns": file.mtime_ns, "inode": file.inode,
        }
        for file in row.files
    ]  # fmt: skip
    return fields


def _row(fields: dict[str, Any], header: Header, vectors: IO[bytes], taken: int) -> PortableRow:
    files = tuple(
        PortableFile(
            file["root"], bytes_named("folder", file), bytes_named("name", file), file["size"], file["mtime_ns"],
            file["inode"],
        )
        for file in fields["files"]
    )  # fmt: skip
    if "digest" not in fields:
        return PortableRow(files, reason=fields["reason"], attempts=fields["attempts"], decoder=fields["decoder"])
    vector = None
    if fields["vector"] is not None:
        if fields["vector"] != taken:
            raise Unreadable("its rows and vectors are not in one order")
        vector = vectors.read(2 * header.space.dim)
    return PortableRow(
        files,
        digest=bytes.fromhex(fields["digest"]),
        described=tuple(_value(fields, column) for column in header.columns),
        vector=vector,
        variant=fields["variant"],
        labels=tuple((label["name"], label["score"]) for label in fields["labels"]),
    )


def _value(fields: dict[str, Any], column: Column) -> Value:
    coded = fields.get(f"{column.name}_b64")
    value: Value = fields.get(column.name) if coded is None else base64.b64decode(coded)
    return value
