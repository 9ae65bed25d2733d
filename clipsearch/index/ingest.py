"""Fresh files on their way to committed rows: bytes -> digest -> pixels -> batch -> vector -> commit.

Knows nothing of folders and of what changed; update.py hands it the files whose bytes must be looked at. All
writing is its store's: the catalog, or a bundle of photos for another machine's. Every commit holds whole files (I1).

Reading, decoding and encoding go on at the same time: threads hash, processes decode, this thread encodes. It waits
for whatever is done first, so a file that hangs holds up no other. What killed its worker is set aside and read once
more at the end, alone, and so is what was being read when an earlier run died: by then all others are committed.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clipsearch.events import Advanced, Event, Summary, Timings, Unlisted
from clipsearch.index.catalog import Root
from clipsearch.index.crawl import identity_of
from clipsearch.index.digests import Digests, Hashing
from clipsearch.index.spaces import Space
from clipsearch.types import Decoded, Decoder, Encoder, Failure, Metadata, Stamp

_HASH_AHEAD = 16  # files
_TICK_S = 1.0
_SILENT = 4  # files for which a disk does not answer; each costs a minute, and a thread
_LINKS = 200  # files linked to known contents in one commit
_CHANGED = Failure("it changed while it was being read", lasting=False)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A file whose bytes must be looked at."""

    root: Root  # with the device on which it was listed
    stamp: Stamp

    @property
    def path(self) -> bytes:
        return os.path.join(self.root.base, self.stamp.folder, self.stamp.name)


class Store(Protocol):
    """Where outcomes are committed. Ids and spaces are the store's own; methods are documented in Catalog."""

    def transaction(self) -> AbstractContextManager[None]: ...
    def complete_photo(self, digest: bytes, space_id: int, /) -> int | None: ...
    def has_vector(self, digest: bytes, space_id: int, /) -> bool: ...
    def put_photo(self, digest: bytes, metadata: Metadata, /) -> int: ...
    def put_vector(self, space: Space, photo_id: int, vector: NDArray[np.float32], variant: str, /) -> None: ...
    def put_file(self, root_id: int, stamp: Stamp, photo_id: int, /) -> None: ...
    def put_failure(self, root_id: int, stamp: Stamp, reason: str, decoder: str, /) -> None: ...
    def mark_offline(self, root_id: int, /) -> None: ...


class Ingest:
    """Fresh files on their way to committed rows. Holds what is in flight between two commits."""

    def __init__(
        self, store: Store, space: Space, encoder: Encoder, decoder: Decoder, orphaned: set[int], summary: Summary
    ) -> None:
        self._store = store
        self._space = space
        self._encoder = encoder
        self._decoder = decoder
        self._orphaned = orphaned
        self.summary = summary
        self._digests = Digests()
        # Contents on their way, and every file that shows them: a content is decoded once however many copies come.
        self._in_flight: dict[bytes, list[Fresh]] = {}
        self._decoding: dict[Future[Decoded | Failure], bytes] = {}  # digests, the oldest first
        self._ready: SimpleQueue[Future[Any]] = SimpleQueue()  # a digest or a picture is there
        self._aside: dict[bytes, Failure | None] = {}  # digests to read alone, and what happened to them in this run
        self._batch: list[tuple[bytes, Decoded]] = []
        self._links: list[tuple[Fresh, int]] = []
        self._away: set[int] = set()  # roots whose disk went while they were read
        self._silent: Counter[int] = Counter()  # by root, files for which the disk did not answer
        self._told: list[Unlisted] = []  # of these, what has still to be said
        self._total = self._done = 0  # files
        self._encode_s = self._store_s = 0.0
        self._spent_before = decoder.spent  # in runs before this one

    @property
    def timings(self) -> Timings:
        decode_s, prepare_s = (
            now - before for now, before in zip(self._decoder.spent, self._spent_before, strict=True)
        )
        return Timings(
            read=self._digests.waited_s, hash=self._digests.hashed_s, decode=decode_s, prepare=prepare_s,
            encode=self._encode_s, store=self._store_s,
        )  # fmt: skip

    def run(self, fresh: Sequence[Fresh], stop: Callable[[], bool]) -> Iterator[Event]:
        """Commits what can be read and the reasons of what cannot. Once `stop()`, what is in hand is finished."""
        if not fresh:
            return
        self._total = len(fresh)
        yield Advanced(0, self._total, 0, fresh[0].path)
        with self._digests:
            yield from self._read_together(fresh, stop)
        self._commit_batch()
        self._commit_links()
        for digest, first in self._aside.items():
            yield self._advanced(self._in_flight[digest][0].path)
            self._read_alone(digest, first, stop)
            self._commit_batch()  # at once: the next one may end the run
        yield from self._told
        yield self._advanced(None)

    def _read_together(self, fresh: Sequence[Fresh], stop: Callable[[], bool]) -> Iterator[Event]:
        """All but what must be read alone. Digests are taken in the order of the files, pictures as they come."""
        suspects = self._decoder.suspects
        # Suspects come first, so that a copy of one waits with it instead of being read among others; of these, those
        # with the fewest strikes, for they are read in this order.
        waiting = deque(sorted(fresh, key=lambda file: suspects.get(file.path, math.inf)) if suspects else fresh)
        hashing: deque[tuple[Fresh, Hashing]] = deque()
        while True:
            if stop():
                waiting.clear()
                hashing.clear()
            while waiting and len(hashing) < _HASH_AHEAD and len(hashing) + len(self._decoding) < self._decoder.ahead:
                file = waiting.popleft()
                if file.root.id in self._away:
                    self._leave([file])
                    continue
                hashing.append((file, self._digests.submit(file.path)))
                hashing[-1][1].outcome.add_done_callback(self._ready.put)
            if not hashing and not self._decoding:
                return
            done, digest = self._done, None
            if (ready := self._next_ready()) and (digest := self._decoding.pop(ready, None)):
                self._land(digest, ready.result())
            while hashing and self._is_answered(*hashing[0]):
                file, hashed = hashing.popleft()
                outcome = self._digests.take(hashed)
                if file.root.id in self._away:
                    self._leave([file])
                else:
                    self._begin(file, outcome)
            yield from self._told
            self._told.clear()
            if digest or self._done > done:
                oldest = next(iter(self._decoding.values()), None)
                yield self._advanced(self._in_flight[oldest][0].path if oldest else None)

    def _is_answered(self, file: Fresh, hashed: Hashing) -> bool:
        return hashed.outcome.done() or hashed.is_silent or file.root.id in self._away

    def _next_ready(self) -> Future[Any] | None:
        """None where nothing has come for a moment: it is time to look at `stop` and at disks that are silent."""
        try:
            return self._ready.get(timeout=_TICK_S)
        except Empty:
            return None

    def _begin(self, file: Fresh, digest: bytes | Failure) -> None:
        """A new content is decoded, or waits to be read alone; a file whose content is known is linked to it."""
        if isinstance(digest, Failure):
            self._fail([file], digest)
        elif digest in self._in_flight:
            self._in_flight[digest].append(file)
        elif (photo_id := self._store.complete_photo(digest, self._space.id)) is not None:
            self._links.append((file, photo_id))
            if len(self._links) >= _LINKS:
                self._commit_links()
        else:
            self._in_flight[digest] = [file]
            if file.path in self._decoder.suspects:
                self._aside[digest] = None
                return
            decoding = self._decoder.submit(file.path)
            self._decoding[decoding] = digest
            decoding.add_done_callback(self._ready.put)

    def _land(self, digest: bytes, outcome: Decoded | Failure) -> None:
        """A picture joins the batch, a reason is committed, and what killed its reader gets a second chance."""
        if isinstance(outcome, Failure):
            if outcome.fatal:
                self._aside[digest] = outcome
            else:
                self._fail(self._in_flight.pop(digest), outcome)
        elif not _is_unchanged(self._in_flight[digest][0]):  # the one that was decoded: these may be others' pixels
            self._fail(self._in_flight.pop(digest), _CHANGED)
        else:
            changed = [file for file in self._in_flight[digest] if not _is_unchanged(file)]
            if changed:
                self._in_flight[digest] = [file for file in self._in_flight[digest] if file not in changed]
                self._fail(changed, _CHANGED)
            self._batch.append((digest, outcome))
            if len(self._batch) >= self._encoder.batch_size:
                self._commit_batch()

    def _read_alone(self, digest: bytes, first: Failure | None, stop: Callable[[], bool]) -> None:
        """The second chance; who fails again is not tried any more until the file changes or is named."""
        if not stop():
            outcome = self._decoder.decode_alone(self._in_flight[digest][0].path)
            if isinstance(outcome, Failure) and outcome.fatal:
                verdict = ", twice; it is quarantined" if outcome.lasting else ""
                self._fail(self._in_flight.pop(digest), replace(outcome, reason=outcome.reason + verdict))
            else:
                self._land(digest, outcome)
        elif first:  # the next run begins with it anew
            self._fail(self._in_flight.pop(digest), replace(first, lasting=False))

    def _fail(self, files: Sequence[Fresh], failure: Failure) -> None:
        """Commits why they are not in the results. What does not last is tried again by the next run.

        Of a root whose disk has gone nothing is said: its photos stay as they are known, and it is offline (I5).
        """
        if failure.lasting:
            failed, decoder = list(files), self._decoder.identity
        else:
            # A disk that does not answer (fatal) would not say either whether it is there.
            failed, decoder = [file for file in files if failure.fatal or not self._is_away(file.root)], ""
            self._leave([file for file in files if file not in failed])
            self.summary = replace(self.summary, unsettled=self.summary.unsettled + len(failed))
        with self._storing():
            for file in failed:
                self._store.put_failure(file.root.id, file.stamp, failure.reason, decoder)
        self._count(failed=len(failed))
        if failure.fatal and not failure.lasting:
            root = files[0].root
            self._silent[root.id] += 1
            if self._silent[root.id] >= _SILENT and root.id not in self._away:
                self._part_with(root, "its disk does not answer")

    def _is_away(self, root: Root) -> bool:
        if root.id not in self._away and not root.is_file and root.device not in (None, identity_of(root)):
            self._part_with(root, "its disk went away while its photos were being read")
        return root.id in self._away

    def _part_with(self, root: Root, why: str) -> None:
        """Nothing more of this root is read in this run."""
        self._away.add(root.id)
        self._store.mark_offline(root.id)
        self.summary = replace(self.summary, offline=(*self.summary.offline, root.path))
        self._told.append(Unlisted(root.path, why))

    def _leave(self, files: Sequence[Fresh]) -> None:
        """Nothing is done about them in this run."""
        self._done += len(files)
        self.summary = replace(self.summary, unsettled=self.summary.unsettled + len(files))

    def _commit_batch(self) -> None:
        """Encodes what has no vector yet and commits what is decoded: file, content and vector together (I1)."""
        if not self._batch:
            return
        # What is only described anew keeps its vector.
        new = [one for one in self._batch if not self._store.has_vector(one[0], self._space.id)]
        encoded = self._encoded([decoded.pixels for _, decoded in new]) if new else ()
        vectors = {digest: vector for (digest, _), vector in zip(new, encoded, strict=True)}
        with self._storing():
            for digest, decoded in self._batch:
                photo_id = self._store.put_photo(digest, decoded.metadata)
                if digest in vectors:
                    self._store.put_vector(self._space, photo_id, vectors[digest], self._encoder.variant)
                for file in self._in_flight[digest]:
                    self._store.put_file(file.root.id, file.stamp, photo_id)
        for digest, _ in self._batch:
            copies = len(self._in_flight.pop(digest)) - 1
            self._count(indexed=1, duplicates=copies)
        self._batch.clear()

    def _encoded(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        side = self._encoder.prepare.size
        pixels = np.frombuffer(b"".join(pictures), np.uint8).reshape(len(pictures), side, side, 3)
        core, hashed = time.process_time(), self._digests.hashed_s
        vectors = self._encoder.encode_pixels(pixels)
        # Threads of this process hash meanwhile; a runtime does not say what its own ones take.
        self._encode_s += max(0.0, time.process_time() - core - (self._digests.hashed_s - hashed))
        return vectors

    def _commit_links(self) -> None:
        """Files whose content is known: a copy, or one that was moved to another disk or rewritten elsewhere."""
        if not self._links:
            return
        with self._storing():
            for file, photo_id in self._links:
                self._store.put_file(file.root.id, file.stamp, photo_id)
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

    def _advanced(self, waiting_for: bytes | None) -> Advanced:
        return Advanced(self._done, self._total, self.summary.failed, waiting_for)

    @contextmanager
    def _storing(self) -> Iterator[None]:
        started = time.monotonic()
        with self._store.transaction():
            yield
        self._store_s += time.monotonic() - started


def _is_unchanged(file: Fresh) -> bool:
    try:
        status = os.stat(file.path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.stamp.size, file.stamp.mtime_ns)
