"""Thumbnails: WebP, upright, from a cache on disk or from decode workers that stay warm.

A thumbnail is named after what it shows: the digest of an indexed photo, so that it survives a move, a disk that
is unplugged and a new library; elsewhere the path, size and time of a file. So none is ever shown for other pixels.

The folder is a cache and may be deleted at any time. Each file ends with the CRC-32 of what is before it (a viewer
reads no further than the WebP says), so nothing is synced: what a crash or a bad disk left is seen and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipsearch.decoding.shrink import Shrink
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.files import replace_unsynced
from clipsearch.index.catalog import Catalog
from clipsearch.types import Decoded, Failure

SIDE = 320  # px of the longer side
LIMIT_BYTES = 256 << 20  # some 20,000 photos
_WORKERS = 4  # a screen of thumbnails; more would take memory while nothing is asked
_CHECK_BYTES = 4
_SWEPT = 7 / 8  # of the limit is left by a sweep, or each thumbnail would cause the next one


@dataclass(frozen=True, slots=True)
class _Source:
    path: bytes
    key: str
    seen: os.stat_result | None  # None: the file is not there now


class Thumbnails:
    """Of one library folder. Workers start when the first picture must be decoded, and stay until `close`."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._cache = Cache(folder, limit_bytes)
        self._decoder: DecodeWorkers | None = None

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.__exit__()
            self._decoder = None

    def of(self, catalog: Catalog | None, paths: Sequence[bytes]) -> Iterator[tuple[bytes, bytes | Failure]]:
        """(path, WebP or the reason why not): first what is in the cache, then the others as they are decoded.

        `paths` are absolute; both parts come in their order.
        """
        # All of them now: the catalog may be closed and opened again before the last picture is asked for.
        return self._pictures([(path, _source(catalog, path)) for path in paths])

    def _pictures(self, sources: Sequence[tuple[bytes, _Source | Failure]]) -> Iterator[tuple[bytes, bytes | Failure]]:
        missing: list[_Source] = []
        for path, source in sources:
            if isinstance(source, Failure):
                yield path, source
            elif (kept := self._cache.get(source.key)) is not None:
                yield path, kept
            elif source.seen is None:
                yield path, Failure("it is not there now")
            else:
                missing.append(source)
        if missing:
            yield from self._decoded(missing)

    def _decoded(self, missing: Sequence[_Source]) -> Iterator[tuple[bytes, bytes | Failure]]:
        if self._decoder is None:
            self._decoder = _started()
        with contextlib.closing(self._decoder.decode_all(source.path for source in missing)) as outcomes:
            for source, outcome in zip(missing, outcomes, strict=True):
                if not isinstance(outcome, Decoded):
                    yield source.path, outcome
                    continue
                if _is_as_seen(source):  # or other pixels would be kept under this content's name
                    self._cache.put(source.key, outcome.pixels)
                yield source.path, outcome.pixels


class Cache:
    """Files named by key, at most `limit_bytes` of them; the least recently used leave first.

    Each process looks at the folder again after it has written a sixteenth of the limit, so two that write at once
    go over it by no more than that.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._room = 0  # bytes to write before the folder is looked at again

    def get(self, key: str) -> bytes | None:
        """None for what is not there, and for what is damaged."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        content, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
        if check != _check(content):
            return None
        now = time.time_ns()
        with contextlib.suppress(OSError):  # a read-only disk, or another process has just removed it
            os.utime(path, ns=(now, now))
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keeps `content` if the disk takes it: a full or read-only disk costs time at the next look, no picture."""
        if not self._folder.parent.is_dir():  # nothing is created before something is indexed
            return
        data = content + _check(content)
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            self._make_room(len(data))
            replace_unsynced(self._path(key), data)

    def _make_room(self, size: int) -> None:
        if size > self._room:
            total = self._swept(size)
            self._room = max(size, min(self._limit - total, self._limit // 16))
        self._room -= size

    def _swept(self, size: int) -> int:
        """Bytes in the folder after as many files have left as make room for `size` more."""
        entries = []
        with os.scandir(self._folder) as listing:
            for entry in listing:  # with what a killed process left half written
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    entries.append((status.st_mtime_ns, status.st_size, entry.path))
        total = sum(one[1] for one in entries)
        if total + size <= self._limit:
            return total
        for _, bytes_, path in sorted(entries):
            if total + size <= self._limit * _SWEPT:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            total -= bytes_
        return total

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.webp"


def _check(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECK_BYTES, "little")


def _started() -> DecodeWorkers:
    from clipsearch.engine.backends import usable_cores

    return DecodeWorkers(Shrink(SIDE), min(_WORKERS, usable_cores()))


def _source(catalog: Catalog | None, path: bytes) -> _Source | Failure:
    """What a thumbnail of `path` shows: the known content while the file is as it was, or is away."""
    known = catalog.photo_at(path) if catalog else None
    try:
        seen = os.stat(path)
    except OSError as error:
        if catalog is None or known is None:
            return Failure((error.strerror or str(error)).lower())
        return _Source(path, catalog.digest_of(known[0]).hex(), None)
    if not stat.S_ISREG(seen.st_mode):
        return Failure("it is not a file")
    if catalog and known and (known[1].size, known[1].mtime_ns) == (seen.st_size, seen.st_mtime_ns):
        return _Source(path, catalog.digest_of(known[0]).hex(), seen)
    facts = b"%b\0%d\0%d" % (path, seen.st_size, seen.st_mtime_ns)
    return _Source(path, f"file-{hashlib.sha256(facts).hexdigest()}", seen)


def _is_as_seen(source: _Source) -> bool:
    try:
        now = os.stat(source.path)
    except OSError:
        return False
    return source.seen is not None and (now.st_size, now.st_mtime_ns) == (source.seen.st_size, source.seen.st_mtime_ns)
