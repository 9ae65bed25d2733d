"""A parcel -> its items, in chunks: files of folders and stores, pictures in tars, rows of Parquet tables.

Runs on whatever machine Ray chooses, and may be run again from the start: it gives the same items in the same order.
Chunks are small, for a chunk is what a dead actor costs. Knows nothing of models and of Ray.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from clipsearch.bundles.rows import SEPARATOR, Place, wrong_place
from clipsearch.cluster.parcels import Chunk, End, Input, Item, Parcel, Rows, Store, Tar, mark_of
from clipsearch.cluster.stores import is_uri, said, store_beside
from clipsearch.decoding.names import is_listed, is_skipped
from clipsearch.errors import ClipsearchError
from clipsearch.types import Failure

CHUNK_BYTES = 32 << 20  # of pictures that travel; one larger picture travels alone
MOST_BYTES = 1 << 30  # of one picture that travels: twice that is held on each side
_WEB = Failure("pictures are not fetched from web servers; download them first, with img2dataset")
_FETCHES = 16  # files of a store under way at once, in one reader
_EMPTY = Failure("the row has neither bytes nor a path")
URI_COLUMNS = ("uri", "url", "path", "file", "filename", "file_name", "image_path", "key")
BYTES_COLUMNS = ("bytes", "image", "jpg", "jpeg", "png", "webp", "data")

Wanted = Callable[[Place], bool]  # asked once for each item, before its bytes are fetched


def chunks(parcel: Parcel, elsewhere: frozenset[bytes] = frozenset()) -> Iterator[Chunk]:
    """All items of the parcel that are not done, each once. The last chunk, which may be empty, counts all of them.

    `elsewhere` are done ones of all parcels together, for a table may name a file anywhere.
    """
    given: set[bytes] = set()
    done = repeated = 0

    def is_wanted(place: Place) -> bool:
        nonlocal done, repeated
        mark = mark_of(place)
        if mark in parcel.done or mark in elsewhere:
            done += 1
            return False
        if mark in given:
            repeated += 1
            return False
        given.add(mark)
        return True

    batch: list[Item] = []
    held = 0
    for item in items(parcel.input, is_wanted):
        size = len(item.data or b"")
        if batch and (len(batch) >= parcel.most or held + size > CHUNK_BYTES):
            yield Chunk(parcel.number, tuple(batch))
            batch, held = [], 0
        batch.append(item)
        held += size
    yield Chunk(parcel.number, tuple(batch), End(len(given), done, repeated))


def items(given: Input, is_wanted: Wanted) -> Iterator[Item]:
    """What cannot be read is an item with its reason; nothing raises. Nothing is fetched that is not wanted."""
    if isinstance(given, Tar):
        return _in_tar(given, is_wanted)
    if isinstance(given, Rows):
        return _in_table(given, is_wanted)
    wanted = filter(is_wanted, given.places)
    if given.store is None:
        return (Item(place, os.path.join(place.root, place.path)) for place in wanted)
    store = given.store
    return _fetched((place, store, _path_in(store, place)) for place in wanted)


# -- stores ---------------------------------------------------------------------------------------


def _path_in(store: Store, place: Place) -> str:
    return os.fsdecode(place.root + (SEPARATOR + place.path if place.path else b"")).removeprefix(store.prefix)


def _fetched(wanted: Iterable[tuple[Place, Store, str]]) -> Iterator[Item]:
    """In their order; a few are under way at once."""
    under_way: deque[Future[Item]] = deque()
    with ThreadPoolExecutor(_FETCHES, thread_name_prefix="fetch") as pool:
        for place, store, path in wanted:
            under_way.append(pool.submit(_fetch, place, store, path))
            if len(under_way) >= _FETCHES:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _fetch(place: Place, store: Store, path: str) -> Item:
    try:
        with store.system.open_input_stream(path) as stream:
            return _whole(place, stream.read(MOST_BYTES + 1))
    except Exception as error:  # pyarrow's stores raise what they like; none of it may end the others
        return Item(place, failure=Failure(said(error), lasting=False))


def _whole(place: Place, data: bytes) -> Item:
    if len(data) > MOST_BYTES:
        return Item(place, failure=_too_large(len(data)))
    return Item(place, data=data)


def _too_large(size: int) -> Failure:
    return Failure(f"it has {size / 1e9:.1f} GB or more; {MOST_BYTES / 1e9:.1f} are the limit where bytes travel")


# -- tars -----------------------------------------------------------------------------------------


def _in_tar(tar: Tar, is_wanted: Wanted) -> Iterator[Item]:
    """The pictures before the place where it breaks off, and then the tar itself, with the reason."""
    seen: Counter[bytes] = Counter()
    reason = None
    try:
        with (
            tar.store.system.open_input_stream(tar.path, compression=None, buffer_size=1 << 20) as stream,
            tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as archive,
        ):
            for member in archive:
                if (name := _picture_name(member)) is None:
                    continue
                seen[name] += 1
                place = Place(tar.root, _nth(name, seen[name]), member.size, int(member.mtime * 1e9))
                if is_wanted(place):
                    yield _member(place, archive, member)
    except tarfile.ReadError:
        reason = "it is no tar, or cut short; fetch it again"
    except OSError as error:
        reason = said(error)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, TypeError, LookupError):
        reason = "the tar is damaged; fetch it again"  # TypeError: of tarfile itself, for a gzip of three bytes
    folder, _, file = tar.root.removesuffix(b"!").rpartition(SEPARATOR)
    whole = Place(folder, file)
    if reason is not None and is_wanted(whole):
        yield Item(whole, failure=Failure(reason, lasting=False))


class _Header(tarfile.TarInfo):
    """tarfile takes whatever is no header for the end; only a block of zeros is."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Any:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the block of zeros
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _member(place: Place, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Item:
    if member.size > MOST_BYTES:
        return Item(place, failure=_too_large(member.size))
    file = archive.extractfile(member)
    assert file is not None  # a regular file
    data = file.read()
    if len(data) < member.size:
        raise tarfile.ReadError("unexpected end of data")
    return Item(place, data=data)


def _picture_name(member: tarfile.TarInfo) -> bytes | None:
    """The names below the tar's root that lead to a picture, as a walk through a folder would take them."""
    if not member.isreg():
        return None
    names = [name for name in os.fsencode(member.name).split(SEPARATOR) if name not in (b"", b".", b"..")]
    if not names or any(map(is_skipped, names)) or not is_listed(names[-1]):
        return None
    return SEPARATOR.join(names).replace(b"\0", b"_")


def _nth(name: bytes, count: int) -> bytes:
    """Two members may have one name; both are pictures."""
    return name if count == 1 else name + b";%d" % count


# -- tables ---------------------------------------------------------------------------------------


def _in_table(rows: Rows, is_wanted: Wanted) -> Iterator[Item]:
    """Rows with bytes; else those that name a file of this disk or of a store."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with rows.store.system.open_input_file(rows.path) as opened, pq.ParquetFile(opened) as file:
            first = sum(file.metadata.row_group(number).num_rows for number in range(rows.group))
            uri, data = picture_columns(file.schema_arrow)
            columns = [name for name in (uri, data) if name]
            for batch in file.iter_batches(batch_size=_FETCHES, row_groups=[rows.group], columns=columns):
                records = [
                    _Record(first + number, one.get(uri), one.get(data)) for number, one in enumerate(batch.to_pylist())
                ]
                yield from _of_records(rows, records, is_wanted)
                first += len(batch)
    except (pa.ArrowException, OSError) as error:
        group = Place(rows.root, b"group-%d" % rows.group)
        if is_wanted(group):
            yield Item(group, failure=Failure(said(error), lasting=False))


def picture_columns(schema: Any) -> tuple[str | None, str | None]:
    """(what names a file, what holds its bytes); datasets call them as they like, so the usual names are looked for."""
    import pyarrow.types as kinds

    def is_text(kind: Any) -> bool:
        return bool(kinds.is_string(kind) or kinds.is_large_string(kind))

    def is_picture(kind: Any) -> bool:
        return bool(
            kinds.is_binary(kind)
            or kinds.is_large_binary(kind)
            or (kinds.is_struct(kind) and kind.get_field_index("bytes") >= 0)  # {bytes, path}: Hugging Face datasets
        )

    fields = {field.name.lower(): field for field in schema}
    uri = next((fields[name].name for name in URI_COLUMNS if name in fields and is_text(fields[name].type)), None)
    data = next((fields[name].name for name in BYTES_COLUMNS if name in fields and is_picture(fields[name].type)), None)
    return uri, data


@dataclass(frozen=True, slots=True)
class _Record:
    """A row of a table; `data` may be {bytes, path}."""

    number: int
    uri: str | None
    data: Any


def _of_records(rows: Rows, records: list[_Record], is_wanted: Wanted) -> Iterator[Item]:
    wanted: list[tuple[Place, Store, str]] = []
    for one in records:
        data: Any = one.data
        uri = one.uri
        if isinstance(data, dict):
            uri, data = uri or data.get("path"), data.get("bytes")
        if data is not None:
            place = Place(rows.root, _row_name(one.number, uri), len(data))
            found: Item | tuple[Place, Store, str] = _whole(place, data)
        else:
            found = (
                _named(rows, one.number, uri)
                if uri
                else Item(Place(rows.root, _row_name(one.number, None)), failure=_EMPTY)
            )
        if isinstance(found, Item):
            if is_wanted(found.place):
                yield found
        elif is_wanted(found[0]):
            wanted.append(found)
    yield from _fetched(wanted)


def _row_name(number: int, uri: str | None) -> bytes:
    """Unlike any other of its table, whatever it is called."""
    name = os.fsencode(os.path.basename(uri)) if uri else b""
    return b"%09d" % number + (b"-" + name if name and name not in (b".", b"..") and b"\0" not in name else b"")


def _named(rows: Rows, number: int, uri: str) -> Item | tuple[Place, Store, str]:
    """A local file by its path, which is found beside the table where it is relative; or what to fetch from where."""
    if not is_uri(uri) and rows.store.prefix and not os.path.isabs(uri):
        uri = f"{rows.store.prefix}{os.path.dirname(rows.path)}/{uri}"
    if uri.lower().startswith("file://"):
        uri = uri[len("file://") :]
    if not is_uri(uri):
        return _local(rows, os.fsencode(uri))
    head, _, below = uri.partition("://")
    host, _, path = below.partition("/")
    place = Place(os.fsencode(f"{head.lower()}://{host}"), os.fsencode(path))
    if wrong_place(place):
        return Item(Place(rows.root, _row_name(number, None)), failure=Failure(f"{uri} names no file"))
    if head.lower() in ("http", "https"):
        return Item(place, failure=_WEB)
    try:
        return place, store_beside(rows.store, f"{head}://{host}"), f"{host}/{path}"
    except ClipsearchError as error:
        return Item(place, failure=Failure(error.message, lasting=False))


def _local(rows: Rows, name: bytes) -> Item:
    """Relative to the table's folder; a file elsewhere is known by its URI, for no folder was named."""
    folder = os.path.dirname(os.fsencode(rows.path))
    path = os.path.normpath(os.path.join(folder, name))
    if path.startswith(os.path.join(folder, b"")):
        place = Place(folder, os.path.relpath(path, folder).replace(os.fsencode(os.sep), SEPARATOR))
    else:
        place = Place(b"file://", path.lstrip(b"/"))
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        return Item(place, failure=Failure(said(error), lasting=False))
    return Item(place._replace(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino), path)
