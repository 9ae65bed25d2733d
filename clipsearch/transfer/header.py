"""What a file of photos says of itself: its version, its model, its columns, where its photos lay.

Versions: a file of a newer FORMAT, or from a library of a newer schema, is refused, for what it holds besides
would be dropped in silence.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from typing import Any

from clipsearch.errors import SystemFault
from clipsearch.index import schema
from clipsearch.index.portable import Column, PortableRow
from clipsearch.named_bytes import bytes_named, named_bytes
from clipsearch.types import SavedSearch, SpaceIdentity

FORMAT = 1
KEY = "clipsearch"  # in the schema metadata of Parquet


class Unreadable(Exception):
    """Says what is wrong with a file that should hold photos."""


@dataclass(frozen=True, slots=True)
class ExportedRoot:
    path: bytes
    is_file: bool
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Header:
    program: str  # version of clipsearch that wrote the file
    schema: int  # of the library it came from
    space: SpaceIdentity
    rows: int  # photos, and files that could not be read
    vectors: int
    columns: tuple[Column, ...]
    roots: tuple[ExportedRoot, ...]
    searches: tuple[SavedSearch, ...]


def header_text(header: Header) -> str:
    """JSON, with a check of itself."""
    content = json.dumps(
        {
            "format": FORMAT,
            "program": header.program,
            "schema": header.schema,
            "fingerprint": header.space.fingerprint,
            "model": header.space.model,
            "dim": header.space.dim,
            "rows": header.rows,
            "vectors": header.vectors,
            "columns": [[column.name, column.kind] for column in header.columns],
            "roots": [
                {**named_bytes("path", root.path), "is_file": root.is_file, "exclude": list(root.exclude)}
                for root in header.roots
            ],
            "saved_searches": [{"name": one.name, "query": one.query} for one in header.searches],
        }
    )
    return json.dumps({"crc32": zlib.crc32(content.encode()), "content": content})


def header_of(text: str | bytes) -> Header:
    """Raises Unreadable for what is no header, SystemFault for one of a newer clipsearch."""
    try:
        outer = json.loads(text)
        if zlib.crc32(outer["content"].encode()) != outer["crc32"]:
            raise Unreadable("its header is damaged")
        said: dict[str, Any] = json.loads(outer["content"])
        if said["format"] > FORMAT or said["schema"] > schema.VERSION:
            raise SystemFault(
                f"The file was written by a newer clipsearch ({said['program']}).", "Update clipsearch and try again."
            )
        return Header(
            program=said["program"],
            schema=said["schema"],
            space=SpaceIdentity(said["fingerprint"], said["model"], said["dim"]),
            rows=said["rows"],
            vectors=said["vectors"],
            columns=tuple(Column(name, kind) for name, kind in said["columns"]),
            roots=tuple(
                ExportedRoot(bytes_named("path", root), root["is_file"], tuple(root["exclude"]))
                for root in said["roots"]
            ),
            searches=tuple(SavedSearch(one["name"], one["query"]) for one in said["saved_searches"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("it has no header of clipsearch") from error


def first_path(row: PortableRow, header: Header) -> bytes:
    """Where the photo lay, for a reader of the file."""
    file = row.files[0]
    root = header.roots[file.root]
    base = os.path.dirname(root.path) if root.is_file else root.path
    return os.path.join(base, file.folder, file.name)
