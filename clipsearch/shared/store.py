"""The tables of a shared library in Lance: written by one, opened at a published version by many.

The only place that knows Lance; its errors are translated here, once. Rows are numbers from 0 on, in the order in which
they were written. Knows nothing of photos.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipsearch.config import SHARED_TABLE, SharedLibrary
from clipsearch.errors import ClipsearchError, LibraryError, SystemFault, UsageError

if TYPE_CHECKING:
    import lance
    import pyarrow as pa

FORMAT = 1
KEY = b"clipsearch.shared"  # in the schema metadata of the photos
INDEX_ROWS = 20_000  # vectors from which on there is an index; below, all are read: 20 MB at 512 dimensions

_PUBLISHED, _FORMER = "published", "former"  # tags
_PARTITION_ROWS = 4096  # of the index
_KEPT = timedelta(days=1)  # a version without a tag: of an export that goes on, or was killed
_FRAGMENT_BYTES = 64 << 20  # held at once
_TOLD = 240  # characters of an error of Lance
_SCANNED = 8192  # rows read at once: 8 MiB at 512 dimensions
# Ours unless the environment says otherwise: a store that nobody answers for is told of in seconds, not minutes.
_PATIENCE = {"client_max_retries": "2", "client_retry_timeout": "10", "connect_timeout": "5 seconds"}

Rows = NDArray[np.int64]
Vectors = NDArray[np.float16]


class NothingThere(LibraryError):
    """No shared library was published there."""


@dataclass(frozen=True, slots=True)
class Edition:
    """What a published version says of itself."""

    program: str  # version of clipsearch that wrote it
    schema: int  # of its catalog
    catalog: int  # version of the table with the catalog
    catalog_sha256: str
    catalog_bytes: int
    vectors: int
    format: int = FORMAT


class Store:
    """One published version, open for reading; it stays what it is whatever is published later."""

    def __init__(self, library: SharedLibrary, photos: lance.LanceDataset, edition: Edition) -> None:
        self._library = library
        self._photos = photos
        self._starts = _starts(photos)
        self._count: int = photos.count_rows()
        self.edition = edition
        self.version: int = photos.version
        self.is_indexed = photos.has_index

    def is_newest(self) -> bool:
        """Whether this is the version that is published now; asks the store."""
        with _translated(self._library):
            return bool(self._photos.tags.get_version(_PUBLISHED) == self.version)

    def published_at(self) -> datetime | None:
        """When the newest version was published; asks the store, and older ones do not know."""
        with _translated(self._library):
            return self._photos.tags.list()[_PUBLISHED]["updated_at"]

    def catalog(self) -> Iterator[bytes]:
        """The file of the catalog, in pieces."""
        with _translated(self._library):
            table = _opened(_catalog_uri(self._library), self.edition.catalog)
            for batch in table.to_batches(columns=["piece"], batch_size=16):
                yield from batch.column("piece").to_pylist()

    def take(self, rows: Rows) -> Vectors:
        """Their vectors (n, dim); each must have one."""
        with _translated(self._library):
            return _matrix(self._photos.take(rows.tolist(), columns=["vector"]).column("vector"))

    def vectors(self) -> Iterator[tuple[Rows, Vectors]]:
        """(rows, vectors) of all that have one, in the order of rows."""
        start = 0
        with _translated(self._library):
            for batch in self._photos.to_batches(columns=["vector"], batch_size=_SCANNED):
                vectors = batch.column("vector")
                there = np.flatnonzero(vectors.is_valid().to_numpy(zero_copy_only=False))
                yield start + there, _matrix(vectors.drop_null())
                start += len(batch)

    def nearest(
        self, vector: NDArray[np.float32], k: int, *, exact: bool, among: Rows | None = None
    ) -> tuple[Rows, Vectors]:
        """(rows, vectors) of k that are near to a unit vector, of those `among` if said: by the index unless `exact`.

        The index looks into all of its partitions. Its codes rank roughly, so ask for more than are wanted.
        """
        question: dict[str, Any] = {"column": "vector", "q": vector.astype(np.float16), "k": k, "metric": "dot"}
        if exact or not self.is_indexed:
            question["use_index"] = False
        else:
            question["nprobes"] = _partitions(self.edition.vectors)
        with _translated(self._library):
            found = self._photos.scanner(
                columns=["vector"], nearest=question, with_row_id=True, disable_scoring_autoprojection=True,
                **self._masks(among),
            ).to_table()  # fmt: skip
            addresses = found.column("_rowid").to_numpy().astype(np.int64)
            return self._rows(addresses), _matrix(found.column("vector"))

    def _masks(self, among: Rows | None) -> dict[str, Any]:
        """What Lance is told of the rows that may answer: those, or the others where they are fewer."""
        if among is None:
            return {}
        if 2 * len(among) <= self._count:
            return {"row_addr_allowlist": self._addresses(among)}
        others = np.ones(self._count, np.bool_)
        others[among] = False
        return {"row_addr_blocklist": self._addresses(np.flatnonzero(others))}

    def _addresses(self, rows: Rows) -> bytes:
        """As Lance names rows: the fragment in the upper half, the place in it in the lower."""
        from lance.dataset import serialize_row_addrs

        fragments, starts = self._starts
        at = np.searchsorted(starts, rows, side="right") - 1
        return bytes(serialize_row_addrs(((fragments[at] << 32) + rows - starts[at]).tolist()))

    def _rows(self, addresses: Rows) -> Rows:
        fragments, starts = self._starts
        at = np.searchsorted(fragments, addresses >> 32)
        return np.asarray(starts[at] + (addresses & 0xFFFF_FFFF), np.int64)


def opened(library: SharedLibrary) -> Store:
    """The version that is published.

    Raises UsageError where Lance is not installed, LibraryError where there is no shared library, or a damaged one or a
    newer one, SystemFault where the store refuses.
    """
    check_installed()
    try:
        with _translated(library):
            photos = _opened(_photos_uri(library), _PUBLISHED)
            return Store(library, photos, _edition(library, photos))
    except NothingThere:
        check_free(library)  # tables of others have no such tag
        raise


def publish(
    library: SharedLibrary, catalog: Iterable[bytes], rows: pa.RecordBatchReader, edition: Edition
) -> tuple[int, bool]:
    """Writes a new version; the former one answers until it is whole. (its number, whether it has an index).

    The last of `rows` may be made long after the first. Raises what `opened` does.
    """
    with _translated(library):
        pieces = _catalog_columns()
        table = _written(_catalog_uri(library), pieces, (_piece(part, pieces) for part in catalog))
        said = json.dumps({**asdict(edition), "catalog": table.version})
        schema = rows.schema.with_metadata({**(rows.schema.metadata or {}), KEY: said})
        photos = _written(
            _photos_uri(library), schema, (batch.replace_schema_metadata(schema.metadata) for batch in rows)
        )
        done_with = [_tagged(one, _FORMER) for one in (photos, table)]
        if edition.vectors >= INDEX_ROWS:
            done_with[0].append(photos.version)  # the same without an index
            photos = photos.create_index(
                "vector", "IVF_RQ", metric="dot", num_partitions=_partitions(edition.vectors), replace=True
            )
        former = _former(library)
        if former is not None:
            _tag(photos, _FORMER, former.version)
            _tag(table, _FORMER, former.edition.catalog)
        _tag(table, _PUBLISHED, table.version)
        _tag(photos, _PUBLISHED, photos.version)  # (S1)
        for one, versions in zip((photos, table), done_with, strict=True):  # what has a tag stays
            if versions:  # at once (S3): a cron of every hour would fill the store within a day
                one.cleanup_old_versions(versions=versions, error_if_tagged_old_versions=False)
            one.cleanup_old_versions(older_than=_KEPT, error_if_tagged_old_versions=False)
        return photos.version, photos.has_index


def check_installed() -> None:
    """Raises UsageError."""
    if importlib.util.find_spec("lance") is None:
        raise UsageError("A shared library needs Lance, which is not installed.", 'pip install "clipsearch[lance]"')


def check_free(library: SharedLibrary) -> None:
    """Raises LibraryError where something else than a shared library lies, and what `opened` does but for nothing."""
    check_installed()
    with contextlib.suppress(NothingThere), _translated(library):
        _edition(library, _opened(_photos_uri(library), None))
    with contextlib.suppress(NothingThere), _translated(library):
        if _opened(_catalog_uri(library), None).schema != _catalog_columns():  # others have catalogs, too
            raise _not_ours(library)


def _former(library: SharedLibrary) -> Store | None:
    with contextlib.suppress(LibraryError):  # nothing there, or nothing that can be read
        return opened(library)
    return None


def _tag(table: lance.LanceDataset, tag: str, version: int) -> None:
    (table.tags.update if tag in table.tags.list() else table.tags.create)(tag, version)


def _tagged(table: lance.LanceDataset, tag: str) -> list[int]:
    tags = table.tags.list()
    return [tags[tag]["version"]] if tag in tags else []


def _photos_uri(library: SharedLibrary) -> str:
    return f"{library.uri}/{SHARED_TABLE}"


def _catalog_uri(library: SharedLibrary) -> str:
    return f"{library.uri}/catalog.lance"


def _opened(uri: str, version: int | str | None) -> lance.LanceDataset:
    dataset: lance.LanceDataset = _lance().dataset(uri, version=version, storage_options=_options(uri))
    return dataset


def _written(uri: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> lance.LanceDataset:
    """A new version with these rows alone.

    Fragment by fragment: given all at once, Lance would pull them in a thread of its own, and SQLite's stay in theirs.
    """
    import pyarrow as pa

    library, options = _lance(), _options(uri)
    fragments: list[Any] = []
    for some in _grouped(batches):
        rows = pa.Table.from_batches(some, schema)
        fragments += library.fragment.write_fragments(rows, uri, mode="overwrite", storage_options=options)
    overwrite = library.LanceOperation.Overwrite(schema, fragments)
    dataset: lance.LanceDataset = library.LanceDataset.commit(uri, overwrite, storage_options=options)
    return dataset


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Enough for a fragment."""
    some: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        some.append(batch)
        size += batch.nbytes
        if size >= _FRAGMENT_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _lance() -> Any:
    os.environ.setdefault("LANCE_LOG", "error")  # or it writes of every new table to stderr
    import lance

    return lance


def _options(uri: str) -> dict[str, str] | None:
    """Of an object store, besides what its own variables in the environment say."""
    return _PATIENCE if "://" in uri else None


def _catalog_columns() -> pa.Schema:
    """Of the table with the catalog."""
    import pyarrow as pa

    return pa.schema([("piece", pa.large_binary())])


def _piece(part: bytes, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.array([part], schema.field("piece").type)], schema=schema)


def _edition(library: SharedLibrary, photos: lance.LanceDataset) -> Edition:
    text = (photos.schema.metadata or {}).get(KEY)
    try:
        said = json.loads(text or b"{}")
        if said.get("format", 0) > FORMAT:
            raise LibraryError(
                f"{library} was exported by a newer clipsearch ({said['program']}).", "Update clipsearch and try again."
            )
        return Edition(**said)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _not_ours(library) from error


def _not_ours(library: SharedLibrary) -> LibraryError:
    return LibraryError(
        f"The tables in {library.uri} were not written by clipsearch export.",
        f"Name another place: clipsearch export {library}-photos",
    )


def _partitions(vectors: int) -> int:
    return max(1, vectors // _PARTITION_ROWS)


def _starts(photos: lance.LanceDataset) -> tuple[Rows, Rows]:
    """(number, first row) of each fragment, in their order."""
    fragments = photos.get_fragments()
    counts = np.array([fragment.count_rows() for fragment in fragments], np.int64)
    numbers = np.array([fragment.fragment_id for fragment in fragments], np.int64)
    return numbers, np.cumsum(counts) - counts


def _matrix(column: Any) -> Vectors:
    """f16 (n, dim) of a column of lists without nulls."""
    lists = column.combine_chunks() if hasattr(column, "num_chunks") else column
    return np.asarray(lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size), np.float16)


@contextlib.contextmanager
def _translated(library: SharedLibrary) -> Iterator[None]:
    """Lance's errors in our words. They come as ValueError, OSError or Arrow's own, and only their text tells more."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:  # Arrow's are ValueErrors
        raise _told(library, " ".join(str(error).split())) from error


def _told(library: SharedLibrary, text: str) -> ClipsearchError:
    plain = re.sub(r"(, /\S+:\d+:\d+)+$", "", text)  # the line of Lance's own source
    plain = re.sub(r"^(External error: |LanceError\(\w+\): )+", "", plain)
    if re.match(r"Dataset at path .+\.lance was not found|Ref not found", plain):
        return NothingThere(
            f"There is no shared library in {library.uri}.",
            f"Write one: clipsearch export {library}, with the library that has the photos",
        )
    if "No object store provider" in plain:
        return UsageError(
            f"{library} is on a kind of store that Lance does not know.", "Use a path, or s3://, gs:// or az://."
        )
    if _REFUSED.search(plain):
        return SystemFault(
            f"The store of {library} refuses: {_short(plain)}.",
            "Check its address and your rights; docs/shared-library.md names the variables of object stores.",
        )
    return LibraryError(
        f"{library} is damaged, or was replaced long ago while it was read: {_short(plain)}.",
        "Ask again; if that does not help, remove it and export the library again.",
    )


# A disk that says no has a number; an object store is named by the kind of store it is.
_REFUSED = re.compile(r"os error \d+|Generic (?!LocalFileSystem|memory)\w+ error|Invalid user")


def _short(text: str) -> str:
    """What a person needs of it: how the store answers, or that nobody does."""
    if answer := re.search(r"status code: (\d{3}(?: [A-Z][a-z]+)*)", text):
        return f"it answers {answer[1]}"
    if "error sending request" in text and (place := re.search(r"\w+://[^/\s]+", text)):
        return f"nobody answers at {place[0]}"
    if fault := re.search(r"([A-Z][a-z ]+) \(os error \d+\)", text):
        return fault[1].lower()
    return (text if len(text) <= _TOLD else text[:_TOLD] + "…").rstrip(".")
