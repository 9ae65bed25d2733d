"""A chunk -> rows: one model and its decode workers, on whatever machine Ray has put it. Knows no Ray.

Pictures are decoded in processes that may die, as `clipsearch index` does it. Those read files, so bytes that have
travelled are laid down for them in a temporary file, which a crash, a hang or a bomb may then cost, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clipsearch.bundles.rows import Photo, Place, Row, Unread
from clipsearch.cluster.parcels import NETWORK, Chunk, Fault, Item, Outcome
from clipsearch.config import resolved_paths
from clipsearch.decoding.workers import DecodeWorkers
from clipsearch.encoding import Engine
from clipsearch.engine.backends import AUTO
from clipsearch.engine.choosing.choice import is_measured
from clipsearch.engine.towers import ImageTower
from clipsearch.errors import ClipsearchError, LibraryBusy, ModelError
from clipsearch.files import exclusive_lock
from clipsearch.index.digests import Digests
from clipsearch.types import Decoded, Failure, SpaceIdentity

CHUNKS = 2  # that an actor works on at once: pictures of one are decoded while those of the other are encoded
_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What an actor is to do, the same for all. The folders are the machine's own unless they are named."""

    model: str
    space: SpaceIdentity
    backend: str
    measure: bool  # whether there is enough to encode for measuring to pay
    cores: int = 1
    models_folder: str | None = None
    cache_folder: str | None = None


class Actor:
    """Call it with chunks, from CHUNKS threads at most. What it needs opens with the first."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._opening = threading.Lock()
        self._encoding = threading.Lock()
        self._bench: _Bench | None = None

    def __call__(self, chunk: Chunk) -> Outcome | Fault:
        """Never raises: what ends the run is a Fault."""
        try:
            with self._opening:
                if self._bench is None:
                    self._bench = _Bench(self._orders)
            return Outcome(chunk.parcel, tuple(self._rows(self._bench, chunk.items)), chunk.end)
        except ClipsearchError as error:
            return Fault(type(error).__name__, error.message, error.hint)
        except Exception as error:  # a mistake of ours; it would be the same in every chunk
            return Fault("", f"{type(error).__name__}: {error}", "")

    def close(self) -> None:
        if self._bench is not None:
            self._bench.close()
            self._bench = None

    def _rows(self, bench: _Bench, items: tuple[Item, ...]) -> Iterator[Row]:
        """In the order in which pictures are decoded."""
        outcomes = bench.readers.map(bench.decoded, items)
        pairs = zip(items, outcomes, strict=True)
        while batch := list(itertools.islice(pairs, bench.tower.batch_size)):
            ready = [(item.place, outcome) for item, outcome in batch if not isinstance(outcome, Failure)]
            with self._encoding:
                yield from bench.photos(ready)
            for item, outcome in batch:
                if isinstance(outcome, Failure):
                    decoder = bench.decoder.identity if outcome.lasting else NETWORK
                    yield Unread(item.place, outcome.reason, decoder)


@dataclass(frozen=True, slots=True)
class _Read:
    digest: bytes
    decoded: Decoded


class _Bench:
    """What an actor has open."""

    def __init__(self, orders: Orders) -> None:
        closing = contextlib.ExitStack()
        engine = closing.enter_context(
            Engine(
                orders.model,
                backend=orders.backend,
                threads=orders.cores,
                models_folder=orders.models_folder,
                cache_folder=orders.cache_folder,
            )
        )
        if engine.card.image_fingerprint != orders.space.fingerprint:
            raise ModelError(
                f"The model {orders.model} of {os.uname().nodename} is not the one of the machine that asks.",
                "Install the same model everywhere: clipsearch model pull, or copy its folder.",
            )
        if orders.measure and orders.backend == AUTO:
            _measured(engine, Path(orders.cache_folder) if orders.cache_folder else resolved_paths(None).cache)
        self.tower: ImageTower = engine.image_tower()
        self.decoder = closing.enter_context(DecodeWorkers(self.tower.prepare, orders.cores))
        self._digests = closing.enter_context(Digests())
        # They wait for disks and for workers, so there are more of them than of those.
        self.readers = closing.enter_context(ThreadPoolExecutor(CHUNKS * (orders.cores + 2), "read"))
        self.close = closing.close

    def photos(self, ready: list[tuple[Place, _Read]]) -> Iterator[Photo]:
        if not ready:
            return
        side = self.tower.prepare.size
        pixels = np.frombuffer(b"".join(read.decoded.pixels for _, read in ready), np.uint8)
        vectors = self.tower.encode_pixels(pixels.reshape(len(ready), side, side, 3)).astype("<f2")
        for (place, read), vector in zip(ready, vectors, strict=True):
            yield Photo(place, read.digest, read.decoded.metadata, vector.tobytes(), self.tower.variant)

    def decoded(self, item: Item) -> _Read | Failure:
        """On a thread of the readers."""
        if item.failure is not None:
            return item.failure
        if item.path is not None:
            digest = self._digest(item.path)
            outcome = digest if isinstance(digest, Failure) else self._outcome(item.path)
            if not isinstance(outcome, Failure) and not _is_unchanged(item.path, item.place):
                outcome = Failure("it changed while it was being read", lasting=False)
        else:
            assert item.data is not None
            digest = hashlib.sha256(item.data).digest()
            with _laid_down(item.place, item.data) as path:
                outcome = self._outcome(path)
        if isinstance(outcome, Failure):
            return outcome
        assert isinstance(digest, bytes)
        return _Read(digest, outcome)

    def _digest(self, path: bytes) -> bytes | Failure:
        hashing = self._digests.submit(path)
        while not hashing.outcome.done() and not hashing.is_silent:
            wait([hashing.outcome], timeout=_TICK_S)
        return self._digests.take(hashing)

    def _outcome(self, path: bytes) -> Decoded | Failure:
        """What killed its worker is read once more, in a fresh one."""
        outcome = self.decoder.submit(path).result()
        if isinstance(outcome, Failure) and outcome.fatal:
            outcome = self.decoder.decode_alone(path)
            if isinstance(outcome, Failure) and outcome.fatal and outcome.lasting:
                return replace(outcome, reason=f"{outcome.reason}, twice; it is quarantined")
        return outcome


@contextlib.contextmanager
def _laid_down(place: Place, data: bytes) -> Iterator[bytes]:
    """Under the end of its own name, which says whether it is RAW."""
    ending = os.path.splitext(place.path)[1][:16].replace(b"/", b"")
    handle, path = tempfile.mkstemp(ending, b"clipsearch-")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        yield path
    finally:
        os.unlink(path)


def _is_unchanged(path: bytes, place: Place) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (place.size, place.mtime_ns)


def _measured(engine: Engine, cache: Path) -> None:
    """One actor of a machine tries the ways to run the model; the others wait for its verdict."""

    def taken(holder: str) -> LibraryBusy:
        return LibraryBusy(f"The ways to run the model are being measured by {holder}.", "Wait for it.", holder)

    cache.mkdir(parents=True, exist_ok=True)
    while not is_measured(engine.card, cache):
        with contextlib.suppress(LibraryBusy), exclusive_lock(cache / "measuring.lock", "measuring", taken):
            engine.ways()
            return
        time.sleep(_TICK_S)
