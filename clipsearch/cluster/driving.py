"""What `clipsearch cluster encode` does: sources -> parcels -> outcomes -> rows of a bundle, every input counted.

Runs on the machine of the person who asked. A round hands out what has no row yet. What dead actors and machines held
is missing at its end, and goes into the next round in smaller pieces (K2).
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from clipsearch import __version__, errors
from clipsearch.bundles.folder import create_folder
from clipsearch.bundles.resuming import taken
from clipsearch.bundles.rows import Header, Photo, Place, Row, Unread
from clipsearch.cluster import rays
from clipsearch.cluster.actor import Orders
from clipsearch.cluster.layout import Layout, layout
from clipsearch.cluster.ledger import Ledger
from clipsearch.cluster.parcels import NETWORK, End, Fault, Files, Input, Outcome, Parcel, Rows, Tar, mark_of
from clipsearch.cluster.reading import items
from clipsearch.cluster.sources import Source, sources_in
from clipsearch.config import Paths
from clipsearch.decoding.decode import decoder_identity
from clipsearch.engine.backends import AUTO, usable_cores
from clipsearch.engine.store import find_model, model_handle
from clipsearch.engine.towers import image_space
from clipsearch.errors import ClipsearchError, SystemFault, UsageError
from clipsearch.events import Advanced, Planned, Scanning, Summary, Troubled, WatchEvent
from clipsearch.files import exclusive_lock
from clipsearch.index.catalog import DESCRIPTION
from clipsearch.types import SpaceIdentity

_SIZES = (128, 16, 1)  # items in a chunk, round by round: in the last one, who takes an actor down is alone
_LEAST = 16  # items in a chunk of the first round, however few there are: a batch of the model
_CHUNKS_AN_ACTOR = 8  # where there are enough files, so that none waits long for the last one
_MEASURED_FROM = 500  # as `clipsearch index` has it
_LOST = "what read it died, each time: too little memory, or a machine that fails"
_LOOK_S = 10.0  # without an outcome, until the machines are looked at


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for."""

    words: tuple[str, ...]
    out: Path
    model: str
    backend: str = AUTO
    threads: int = 0  # cores of this machine, where no cluster is named; 0 for all
    address: str | None = None
    actors: int | None = None
    gpus: float = 0.0


@dataclass(slots=True)
class _Open:
    """A parcel of which not all has come back."""

    parcel: Parcel
    before: frozenset[bytes] = frozenset()  # what came of it in earlier rounds
    was_counted: bool = False  # in an earlier round
    seen: set[bytes] = field(default_factory=set)
    items: int | None = None  # None until its last chunk has come

    @property
    def is_done(self) -> bool:
        return self.items is not None and len(self.seen) >= self.items


def encoded(job: Job, paths: Paths, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
    """Yields events as it works, a Summary last. Raises UsageError, ModelError, LibraryBusy and SystemFault."""
    started = time.monotonic()
    if job.address is not None:
        rays.check_answers(job.address)
    card = find_model(job.model, paths.models)
    space = replace(image_space(card), model=model_handle(card, paths.models))
    sources = sources_in(job.words)
    create_folder(job.out)
    with exclusive_lock(job.out / ".lock", "clipsearch cluster encode", taken(job.out)):
        run = _Run(job, paths, space, stop)
        yield from run.plan(sources)
        with contextlib.ExitStack() as joined:
            try:
                if run.left and not run.is_stopped():
                    joined.enter_context(rays.cluster(job.address, job.threads or usable_cores()))
                    yield from run.rounds()
            finally:
                run.ledger.flush()  # before Ray is left, whatever that does
            if not run.was_stopped:
                run.ledger.seal()
        seconds = round(time.monotonic() - started, 3)
        yield replace(run.summary, seconds=seconds, interrupted=run.was_stopped)


class _Run:
    """One call: what is left to do, and what was done."""

    def __init__(self, job: Job, paths: Paths, space: SpaceIdentity, stop: Callable[[], bool]) -> None:
        self._job = job
        self._paths = paths
        self._space = space
        self._stop = stop
        self.ledger = Ledger(job.out, Header(space, DESCRIPTION, __version__), decoder_identity())
        self.summary = Summary(bundle=os.fsencode(job.out))
        self.left: list[Input] = []
        self.was_stopped = False
        self._expected = 0  # files, as far as they are known

    def is_stopped(self) -> bool:
        self.was_stopped = self.was_stopped or self._stop()
        return self.was_stopped

    def plan(self, sources: Iterable[Scanning | Source]) -> Iterator[WatchEvent]:
        """Looks at the sources, and leaves out what the bundle has."""
        for source in sources:
            if self.is_stopped():
                return
            if isinstance(source, Scanning):
                yield source
                continue
            yield from source.unlisted
            unchanged = 0
            for given in source.inputs:
                if isinstance(given, Files):
                    places = tuple(place for place in given.places if not self.ledger.is_done(place))
                    unchanged += len(given.places) - len(places)
                    given = replace(given, places=places)
                if not isinstance(given, Files) or given.places:
                    self.left.append(given)
            self.summary = replace(self.summary, unchanged=self.summary.unchanged + unchanged)
            if source.count is not None:
                self._expected += source.count - unchanged
                yield Planned(source.name, source.count, unchanged, source.count - unchanged, moved=0, gone=0)

    def rounds(self) -> Iterator[WatchEvent]:
        orders, left = self._orders(), [_Open(Parcel(0, given)) for given in self.left]
        for number, size in enumerate(_SIZES):
            open_ones = self._opened(left, self._layout(number), size)
            yield self._advanced()
            yield from self._round(open_ones, orders, self._layout(number))
            left = list(open_ones.values())
            if self.was_stopped or not left:
                return
            self.ledger.flush()
            if number + 1 < len(_SIZES):
                yield Troubled("An actor or a machine died; what it held is read again.", "Nothing need be done.")
        self._give_up(left)
        yield self._advanced()

    def _orders(self) -> Orders:
        is_here = self._job.address is None
        unknown = any(not isinstance(given, Files) for given in self.left)
        return Orders(
            model=self._space.model,
            space=self._space,
            backend=self._job.backend,
            measure=unknown or self._expected >= _MEASURED_FROM,
            models_folder=str(self._paths.models) if is_here else None,
            cache_folder=str(self._paths.cache) if is_here else None,
        )

    def _layout(self, number: int) -> Layout:
        """As it was asked for; after a machine was lost, what is left of it."""
        machines = rays.machines()
        if number == 0:
            return layout(machines, self._job.actors, self._job.gpus)
        for actors in (self._job.actors, None):
            with contextlib.suppress(UsageError):
                return layout(machines, actors, self._job.gpus)
        raise SystemFault(
            "No machine of the cluster is left.", "Start them again; the same command goes on from what was written."
        )

    def _opened(self, left: Sequence[_Open], places: Layout, size: int) -> dict[int, _Open]:
        """Parcels of a round, by their numbers."""
        opened: list[_Open] = []
        for one in left:
            given = one.parcel.input
            if isinstance(given, Files):
                files = [place for place in given.places if mark_of(place) not in one.seen]
                even = math.ceil(len(files) / (_CHUNKS_AN_ACTOR * places.actors))
                most = min(size, max(_LEAST, even))
                opened += [_Open(Parcel(0, replace(given, places=some), most=size)) for some in _pieces(files, most)]
            else:
                before = one.before | one.seen
                parcel = Parcel(0, given, self.ledger.done(given.root) | before, size)
                opened.append(_Open(parcel, before, one.was_counted or one.items is not None))
        for number, one in enumerate(opened):
            one.parcel = replace(one.parcel, number=number)
        return dict(enumerate(opened))

    def _round(self, open_ones: dict[int, _Open], orders: Orders, places: Layout) -> Iterator[WatchEvent]:
        """What is left of them at the end was lost."""
        elsewhere = frozenset[bytes]()
        if any(isinstance(one.parcel.input, Rows) for one in open_ones.values()):
            elsewhere = self.ledger.done_anywhere()
        parcels = [one.parcel for one in open_ones.values()]
        look_at = time.monotonic() + _LOOK_S
        outcomes = rays.encoded(parcels, elsewhere, replace(orders, cores=places.cores), places)
        with contextlib.closing(outcomes):
            for outcome in outcomes:
                if isinstance(outcome, Fault):
                    raise _error_of(outcome)
                if isinstance(outcome, Outcome):
                    if one := open_ones.get(outcome.parcel):  # else it is whole, and this comes a second time
                        self._take(one, outcome)
                        if one.is_done:
                            del open_ones[outcome.parcel]
                    look_at = time.monotonic() + _LOOK_S
                    yield self._advanced()
                if self.is_stopped():
                    return
                if time.monotonic() > look_at:
                    look_at = time.monotonic() + _LOOK_S
                    if not rays.has_room(places):
                        return  # the next round makes do with what is left

    def _take(self, one: _Open, outcome: Outcome) -> None:
        marked = {mark_of(row.place): row for row in outcome.rows}
        rows = [row for mark, row in marked.items() if mark not in one.seen]
        one.seen.update(marked)
        if outcome.end is not None:
            one.items = outcome.end.items
            if not one.was_counted:
                self._count_left_out(one, outcome.end)
        if isinstance(one.parcel.input, Tar):
            self._expected += len(rows)
        self._add(rows)

    def _count_left_out(self, one: _Open, end: End) -> None:
        """What a reader of this round passes over has its row of an earlier run, or of an earlier round of this one."""
        unchanged = end.done - len(one.before)
        if isinstance(one.parcel.input, Rows):
            self._expected -= unchanged + end.repeated
        self.summary = replace(
            self.summary,
            unchanged=self.summary.unchanged + unchanged,
            duplicates=self.summary.duplicates + end.repeated,
        )

    def _add(self, rows: Sequence[Row]) -> None:
        self.ledger.add(rows)
        photos = sum(isinstance(row, Photo) for row in rows)
        unsettled = sum(isinstance(row, Unread) and row.decoder == NETWORK for row in rows)
        self.summary = replace(
            self.summary,
            indexed=self.summary.indexed + photos,
            failed=self.summary.failed + len(rows) - photos,
            unsettled=self.summary.unsettled + unsettled,
        )

    def _give_up(self, left: Iterable[_Open]) -> None:
        """What was lost in every round has its row too (K1)."""
        for one in left:
            done = {*one.parcel.done, *one.seen}

            def is_wanted(place: Place, done: set[bytes] = done) -> bool:
                """Never: its bytes may be what took the actors down."""
                if mark_of(place) not in done and not self.ledger.is_done(place):
                    done.add(mark_of(place))
                    self._add([Unread(place, _LOST, NETWORK)])
                return False

            for _ in items(one.parcel.input, is_wanted):
                raise AssertionError("nothing is wanted")

    def _advanced(self) -> Advanced:
        done = self.summary.indexed + self.summary.failed
        return Advanced(done, max(done, self._expected), self.summary.failed, None)


def _pieces(places: Sequence[Place], size: int) -> Iterator[tuple[Place, ...]]:
    return (tuple(places[start : start + size]) for start in range(0, len(places), size))


def _error_of(fault: Fault) -> Exception:
    """What an actor has met, as if it were met here."""
    kind = getattr(errors, fault.kind, None)
    if isinstance(kind, type) and issubclass(kind, ClipsearchError):
        return kind(fault.message, fault.hint)
    return RuntimeError(fault.message)
