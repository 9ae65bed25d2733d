"""What the text cache saves: the same texts asked past it, of it, and of the process's own memory.

A cache has no one speed-up. The CLIP experiments that this descends from quote 35, 99 and 100 times for one cache: the
first is a time divided by a time, the others count questions. Here every quotient says what is divided by what, and
those that follow from counting stand in a column of their own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipsearch.encoding import Engine
from clipsearch.engine.textcache import CachedVectors, TextCache
from clipsearch.lab.findings import Cell, Column, Finding, Lines, Series, Table
from clipsearch.labels.sets import imagenet_names

COUNTS = (1, 10, 100, 1000)
ASKED = 100  # times that one text is asked in a session
_ROUNDS = 9  # in each, every way is run once
_SECONDS = 20.0  # for the rounds of one number of texts; there are two at least
_SENTENCES = ("a photo of a {}", "a drawing of a {}", "my {} at home", "a {} on a beach")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CacheTimes:
    """Milliseconds for all the texts together: of each way the median of the rounds."""

    texts: int
    rounds: int
    opened_ms: float  # past the cache, the text tower opened first
    encoded_ms: float  # past the cache, the tower open
    disk_ms: float  # from the cache, opened and closed around it as for a question on the command line
    memory_ms: float  # vectors that the process has kept

    @property
    def encoded_to_disk(self) -> float:
        return self.encoded_ms / self.disk_ms

    @property
    def opened_to_disk(self) -> float:
        return self.opened_ms / self.disk_ms


@dataclass(frozen=True, slots=True)
class Session:
    """One text asked again and again, the model not open before."""

    asked: int
    without_ms: float  # past the cache each time
    with_ms: float  # the first time past it


@dataclass(frozen=True, slots=True)
class TextCacheGain:
    model: str
    way: str  # runtime and precision
    times: tuple[CacheTimes, ...]
    session: Session


def text_cache_gain(
    engine: Engine, counts: Sequence[int] = COUNTS, progress: Progress = lambda done, total: None
) -> TextCacheGain:
    """In a cache of its own: the user's is neither read nor written. Raises ModelError where the model fails."""
    texts, steps = _texts(max(counts)), len(counts) + 1
    times = []
    engine.freshly_encoded(texts[:1])  # the runtime is imported, the files are verified, what is compiled is kept
    with tempfile.TemporaryDirectory() as folder:
        for done, count in enumerate(counts):
            times.append(_times(engine, texts[:count], Path(folder, str(count))))
            progress(done + 1, steps)
        session = _session(engine, texts[0], Path(folder, "session"))
        progress(steps, steps)
    return TextCacheGain(engine.card.name, engine.candidate("query").name, tuple(times), session)


def _texts(count: int) -> list[str]:
    """No two alike: ImageNet's classes in one sentence after the other. They are 4,000 at most."""
    names = list(dict.fromkeys(imagenet_names()))
    return [sentence.format(name) for sentence in _SENTENCES for name in names][:count]


def _times(engine: Engine, texts: list[str], folder: Path) -> CacheTimes:
    kept = dict(zip(texts, _remembered(engine, texts, folder), strict=True))  # and the cache is full now

    def opened() -> None:
        engine.close()
        engine.freshly_encoded(texts)

    ways: dict[str, Callable[[], object]] = {
        "opened": opened,
        "encoded": lambda: engine.freshly_encoded(texts),
        "disk": lambda: _remembered(engine, texts, folder),
        "memory": lambda: np.stack([kept[text] for text in texts]),
    }
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    began = time.perf_counter()
    for number in range(_ROUNDS):
        if number >= 2 and time.perf_counter() - began > _SECONDS:
            break
        for name, run in ways.items():  # in turns, so that what else the machine does meets all
            rounds[name].append(_ms(run))
    medians = {f"{name}_ms": float(np.median(values)) for name, values in rounds.items()}
    return CacheTimes(texts=len(texts), rounds=len(rounds["memory"]), **medians)


def _session(engine: Engine, text: str, folder: Path) -> Session:
    def without() -> None:
        engine.close()
        for _ in range(ASKED):
            engine.freshly_encoded([text])

    def with_cache() -> None:
        engine.close()
        for _ in range(ASKED):
            _remembered(engine, [text], folder)

    without_ms = _ms(without)
    return Session(ASKED, without_ms, _ms(with_cache))


def _remembered(engine: Engine, texts: list[str], folder: Path) -> NDArray[np.float32]:
    def encode(missing: list[str]) -> CachedVectors:
        return CachedVectors(engine.freshly_encoded(missing), (False,) * len(missing))

    with TextCache(folder) as cache:
        return cache.vectors(engine.card.text_fingerprint, texts, encode).vectors


def _ms(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1000


# -- what it tells --------------------------------------------------------------------------------


def finding(gain: TextCacheGain) -> Finding:
    most = max(gain.times, key=lambda one: one.encoded_to_disk)
    says = (
        f"{_texts_of(most)} from the cache in {most.disk_ms:,.1f} ms: {most.encoded_to_disk:,.0f} times as fast as "
        f"from the open model, {most.opened_to_disk:,.0f} times as fast as from one that has to be opened."
    )
    counts = tuple(float(one.texts) for one in gain.times)
    curves = (
        Series("open model : cache", counts, tuple(one.encoded_to_disk for one in gain.times)),
        Series("model to be opened : cache", counts, tuple(one.opened_to_disk for one in gain.times)),
    )
    return Finding(
        title="The text cache",
        says=says,
        tables=(_times_table(gain), _quotients(gain)),
        plots=(Lines("How many times as fast as the model", curves, "texts asked at once", "times", logarithmic=True),),
        notes=(
            "Every way in turns, the median of up to nine rounds; the first opening, which imports the runtime and "
            "verifies the files, is not counted, and neither is the start of a process.",
            "A hundred questions are one miss and 99 hits, and were a hit free, all would cost what one does. 99 and "
            "100 follow from the number of questions and say nothing of the cache; a time divided by a time does.",
        ),
    )


def _times_table(gain: TextCacheGain) -> Table:
    columns = (
        Column("texts"),
        *(Column(title, "measured", "ms", ",.2f") for title in ("model to be opened", "open model", "cache", "memory")),
    )
    rows = tuple((one.texts, one.opened_ms, one.encoded_ms, one.disk_ms, one.memory_ms) for one in gain.times)
    return Table(f"{gain.model}, {gain.way}: all texts at once", columns, rows)


def _quotients(gain: TextCacheGain) -> Table:
    session = gain.session
    rows: list[tuple[Cell, ...]] = []
    for one in gain.times:
        texts = _texts_of(one)
        rows += [
            (f"{texts}, open model", "cache", one.encoded_to_disk, None),
            (f"{texts}, open model", "memory", one.encoded_ms / one.memory_ms, None),
            (f"{texts}, model to be opened", "cache", one.opened_to_disk, None),
        ]
    asked = f"1 text asked {session.asked} times"
    rows += [
        (f"{asked}, past the cache", "with it, first time included", session.without_ms / session.with_ms, None),
        (f"{asked}", "once: if a hit took no time", None, float(session.asked)),
        (f"hits among {session.asked} questions", "misses", None, float(session.asked - 1)),
    ]
    columns = (
        Column("divided"),
        Column("by"),
        Column("of times", "measured", form=",.1f"),
        Column("of counts", "computed", form=",.0f"),
    )
    return Table("What is divided by what", columns, tuple(rows))


def _texts_of(one: CacheTimes) -> str:
    return f"{one.texts:,} text{'' if one.texts == 1 else 's'}"
