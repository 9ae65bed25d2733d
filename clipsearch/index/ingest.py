"""Fresh files on their way to committed rows: bytes -> digest -> pixels -> batch -> vector -> commit.

Knows nothing of folders and of what changed; update.py hands it the files whose bytes must be looked at. All
writing is catalog's, and every commit holds whole files (I1).
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from clipsearch.index.catalog import Catalog, Root
from clipsearch.index.spaces import Space
from clipsearch.types import Advanced, Decoded, Decoder, Encoder, Event, Failure, Stamp, Summary

_HASH_THREADS = 4  # reading is waiting; hashing releases the interpreter lock
_HASH_AHEAD = 16  # files
_LINKS = 200  # files linked to known contents in one commit
_CHANGED = "it changed while it was being read"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A file whose bytes must be looked at."""

    root: Root
    stamp: Stamp

    @property
    def path(self) -> bytes:
        return os.path.join(self.root.base, self.stamp.folder, self.stamp.name)


class Ingest:
    """Fresh files on their way to committed rows. Holds what is in flight between two commits."""

    def __init__(
        self, catalog: Catalog, space: Space, encoder: Encoder, decoder: Decoder, orphaned: set[int], summary: Summary
    ) -> None:
        self._catalog = catalog
        self._space = space
        self._encoder = encoder
        self._decoder = decoder
        self._orphaned = orphaned
        self.summary = summary
        # Contents being decoded, and every file that shows them: a content is decoded once however many copies come.
        self._in_flight: dict[bytes, list[Fresh]] = {}
        self._order: deque[bytes] = deque()  # digests in the order in which the decoder answers
        self._batch: list[tuple[bytes, Decoded]] = []
        self._links: list[tuple[Fresh, int]] = []
        self._done = 0

    def run(self, fresh: Sequence[Fresh], stop: Callable[[], bool]) -> Iterator[Event]:
        if not fresh:
            return
        total = len(fresh)
        yield Advanced(0, total, 0, fresh[0].path)
        for outcome in self._decoder.decode_all(self._to_decode(fresh, stop)):
            digest = self._order.popleft()
            if isinstance(outcome, Failure):
                self._commit_failure(digest, outcome.reason)
            elif not all(_is_unchanged(file) for file in self._in_flight[digest]):
                self._commit_failure(digest, _CHANGED, lasting=False)
            else:
                self._batch.append((digest, outcome))
                if len(self._batch) >= self._encoder.batch_size:
                    self._commit_batch()
            waiting = self._in_flight[self._order[0]][0].path if self._order else None
            yield Advanced(self._done, total, self.summary.failed, waiting)
        self._commit_batch()
        self._commit_links()
        yield Advanced(self._done, total, self.summary.failed, None)

    def _to_decode(self, fresh: Sequence[Fresh], stop: Callable[[], bool]) -> Iterator[bytes]:
        """Paths of contents not known yet; known ones are linked on the way and cost no decoding."""
        for file, digest in _hashed(fresh, stop):
            if isinstance(digest, Failure):
                with self._catalog.transaction():
                    self._catalog.put_failure(file.root.id, file.stamp, digest.reason, "")  # a disk's mood: tried again
                self._count(failed=1)
            elif digest in self._in_flight:
                self._in_flight[digest].append(file)
            elif (photo_id := self._catalog.complete_photo(digest, self._space.id)) is not None:
                self._links.append((file, photo_id))
                if len(self._links) >= _LINKS:
                    self._commit_links()
            else:
                self._in_flight[digest] = [file]
                self._order.append(digest)
                yield file.path

    def _commit_failure(self, digest: bytes, reason: str, *, lasting: bool = True) -> None:
        """All copies of a content fail together; `lasting=False` has the next run try them all again."""
        files = self._in_flight.pop(digest)
        decoder = self._decoder.identity if lasting else ""
        with self._catalog.transaction():
            for file in files:
                self._catalog.put_failure(file.root.id, file.stamp, reason, decoder)
        self._count(failed=len(files))

    def _commit_batch(self) -> None:
        """Encodes what is decoded and commits it: file, content and vector together (I1)."""
        if not self._batch:
            return
        side = self._encoder.prepare.size
        pixels = np.frombuffer(b"".join(decoded.pixels for _, decoded in self._batch), np.uint8)
        encoded = self._encoder.encode_pixels(pixels.reshape(len(self._batch), side, side, 3))
        with self._catalog.transaction():
            for (digest, decoded), vector in zip(self._batch, encoded, strict=True):
                photo_id = self._catalog.put_photo(digest, decoded.metadata)
                self._catalog.put_vector(self._space, photo_id, vector, self._encoder.variant)
                for file in self._in_flight[digest]:
                    self._catalog.put_file(file.root.id, file.stamp, photo_id)
        for digest, _ in self._batch:
            copies = len(self._in_flight.pop(digest)) - 1
            self._count(indexed=1, duplicates=copies)
        self._batch.clear()

    def _commit_links(self) -> None:
        """Files whose content is known: a copy, or one that was moved to another disk or rewritten elsewhere."""
        with self._catalog.transaction():
            for file, photo_id in self._links:
                self._catalog.put_file(file.root.id, file.stamp, photo_id)
        for _, photo_id in self._links:
            if photo_id in self._orphaned:
                self._orphaned.discard(photo_id)
                self._count(moved=1)
                self.summary = replace(self.summary, removed=self.summary.removed - 1)
            else:
                self._count(duplicates=1)
        self._links.clear()

    def _count(self, *, indexed: int = 0, duplicates: int = 0, failed: int = 0, moved: int = 0) -> None:
        self._done += indexed + duplicates + failed + moved
        self.summary = replace(
            self.summary,
            indexed=self.summary.indexed + indexed,
            duplicates=self.summary.duplicates + duplicates,
            failed=self.summary.failed + failed,
            moved=self.summary.moved + moved,
        )


def _hashed(files: Sequence[Fresh], stop: Callable[[], bool]) -> Iterator[tuple[Fresh, bytes | Failure]]:
    """Digests in the order of the files, read a little ahead."""
    with ThreadPoolExecutor(_HASH_THREADS, thread_name_prefix="hash") as threads:
        waiting: deque[tuple[Fresh, Future[bytes | Failure]]] = deque()
        for file in files:
            if stop():
                break
            waiting.append((file, threads.submit(_digest, file.path)))
            if len(waiting) >= _HASH_AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting and not stop():
            first, future = waiting.popleft()
            yield first, future.result()


def _digest(path: bytes) -> bytes | Failure:
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").digest()
    except OSError as error:
        return Failure((error.strerror or str(error)).lower())


def _is_unchanged(file: Fresh) -> bool:
    try:
        status = os.stat(file.path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.stamp.size, file.stamp.mtime_ns)
