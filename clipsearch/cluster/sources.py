"""The words of a command line -> what there is to read: folders, Parquet tables and tars, here or in an object store.

Looks at names and tables of contents only. Local folders are walked as `clipsearch index` walks them.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clipsearch.bundles.rows import SEPARATOR, Place
from clipsearch.cluster.parcels import Files, Input, Rows, Store, Tar
from clipsearch.cluster.reading import BYTES_COLUMNS, URI_COLUMNS, picture_columns
from clipsearch.cluster.stores import plain, refused, said, store_of
from clipsearch.decoding.names import is_listed, is_skipped
from clipsearch.errors import SystemFault, UsageError
from clipsearch.events import Scanning, Unlisted
from clipsearch.index.catalog import Root
from clipsearch.index.crawl import Listing, walking

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
TABLES = (".parquet",)
_GLOB = "*?["


@dataclass(frozen=True, slots=True)
class Source:
    """What one word names."""

    name: bytes  # for a person
    inputs: tuple[Input, ...]  # Files are one, to be cut into parcels
    count: int | None  # pictures; None where only reading it will tell
    unlisted: tuple[Unlisted, ...] = ()


def sources_in(words: Sequence[str]) -> Iterator[Scanning | Source]:
    """In their order. Raises UsageError and SystemFault for what cannot be read at all; for what is not there at once,
    and not when what stands before it has been walked."""
    named = [(word, *store_of(word)) for word in dict.fromkeys(words)]
    return _sources([(word, store, path, _named(store, path, word)) for word, store, path in named])


def _named(store: Store, path: str, word: str) -> list[str] | None:
    """What a pattern stands for; None where it is none."""
    from pyarrow.fs import FileType

    if any(sign in path for sign in _GLOB):
        return _matching(store, path, word)
    if _kind(store, path, word) is FileType.NotFound:
        raise SystemFault(f"{plain(word)} is not there.", "Check the name.")
    return None


def _sources(named: Sequence[tuple[str, Store, str, list[str] | None]]) -> Iterator[Scanning | Source]:
    for word, store, path, matching in named:
        if matching is None:
            yield from _source(store, path, word)
            continue
        found = [
            one for each in matching for one in _source(store, each, store.prefix + each) if isinstance(one, Source)
        ]
        counts = [one.count for one in found]
        yield Source(
            os.fsencode(store.prefix + path),
            tuple(given for one in found for given in one.inputs),
            None if None in counts else sum(count or 0 for count in counts),
            tuple(unlisted for one in found for unlisted in one.unlisted),
        )


def _matching(store: Store, path: str, word: str) -> list[str]:
    """Names of one folder that fit a pattern; a file that is really called so is itself."""
    from pyarrow.fs import FileSelector, FileType

    if _kind(store, path, word) is not FileType.NotFound:
        return [path]
    folder, _, pattern = path.rpartition("/")
    if any(sign in folder for sign in _GLOB):
        raise UsageError(f"{plain(word)} has a pattern in the name of a folder.", "Use * in the last name only.")
    try:
        found = [info.path for info in store.system.get_file_info(FileSelector(folder))]
    except OSError as error:
        raise refused(word, error) from error
    fitting = sorted(one for one in found if fnmatch.fnmatchcase(one.rpartition("/")[2], pattern))
    if not fitting:
        raise SystemFault(f"Nothing is called {plain(word)}.", "Check the name.")
    return fitting


def _source(store: Store, path: str, word: str) -> Iterator[Scanning | Source]:
    from pyarrow.fs import FileType

    kind = _kind(store, path, word)
    name = os.fsencode(store.prefix + path)
    lowered = path.lower()
    if kind is FileType.NotFound:
        raise SystemFault(f"{plain(word)} is not there.", "Check the name.")
    if kind is FileType.Directory:
        yield from _files_here(name) if not store.prefix else _files_there(store, path, word)
    elif lowered.endswith(TARS):
        yield Source(name, (Tar(b"tar:" + name + b"!", store, path),), None)
    elif lowered.endswith(TABLES):
        yield _table(store, path, name)
    else:
        raise UsageError(
            f"{plain(word)} is neither a folder nor a table nor a tar.",
            f"Name a folder, or a file that ends in {', '.join((*TABLES, *TARS))}.",
        )


def _kind(store: Store, path: str, word: str) -> Any:
    try:
        return store.system.get_file_info(path).type
    except OSError as error:
        raise refused(word, error) from error


def _files_here(path: bytes) -> Iterator[Scanning | Source]:
    steps = walking(Root(0, path, False, (), None))
    yield Scanning(path)
    while True:
        try:
            yield Scanning(path, next(steps))
        except StopIteration as done:
            listing: Listing | Unlisted = done.value
            break
    if isinstance(listing, Unlisted):
        raise SystemFault(f"{os.fsdecode(path)} cannot be listed ({listing.reason.lower()}).", "Check its permissions.")
    places = tuple(
        Place(path, _joined(stamp.folder, stamp.name), stamp.size, stamp.mtime_ns, stamp.inode)
        for stamp in listing.stamps
    )
    unlisted = tuple(Unlisted(os.path.join(path, one.path), one.reason) for one in listing.unlisted)
    yield Source(path, (Files(places),), len(places), unlisted)


def _joined(folder: bytes, name: bytes) -> bytes:
    return (os.path.join(folder, name) if folder else name).replace(os.fsencode(os.sep), SEPARATOR)


def _files_there(store: Store, path: str, word: str) -> Iterator[Scanning | Source]:
    """A store has no folders: everything below comes in one list, and ignore files are not looked for."""
    from pyarrow.fs import FileSelector, FileType

    root = os.fsencode(store.prefix + path)
    yield Scanning(root)
    try:
        found = store.system.get_file_info(FileSelector(path, recursive=True))
    except OSError as error:
        raise refused(word, error) from error
    places = []
    for info in found:
        below = os.fsencode(info.path.removeprefix(path).lstrip("/"))
        names = below.split(SEPARATOR)
        if info.type is FileType.File and is_listed(names[-1]) and not any(map(is_skipped, names)) and all(names):
            places.append(Place(root, below, info.size or 0, info.mtime_ns or 0))
    places.sort()
    yield Source(root, (Files(tuple(places), store),), len(places))


def _table(store: Store, path: str, name: bytes) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    word = store.prefix + path
    try:
        with store.system.open_input_file(path) as opened, pq.ParquetFile(opened) as file:
            groups, count, schema = file.num_row_groups, file.metadata.num_rows, file.schema_arrow
    except pa.ArrowInvalid as error:
        raise SystemFault(f"{word} is no Parquet table ({said(error)}).", "Fetch or write it again.") from error
    except OSError as error:
        raise refused(word, error) from error
    if not any(picture_columns(schema)):
        raise UsageError(
            f"{word} has no column that names or holds pictures; it has {', '.join(schema.names)}.",
            f"Name paths one of {', '.join(URI_COLUMNS)}, or bytes one of {', '.join(BYTES_COLUMNS)}.",
        )
    root = b"parquet:" + name + b"!"
    return Source(name, tuple(Rows(root, store, path, group) for group in range(groups)), count)
