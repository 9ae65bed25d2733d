"""Which way to run a model on this machine: each candidate is tried once, and what was found is kept and chosen from.

A candidate is a runtime, a device, an arithmetic and a variant; its best batch is found as it is tried. Threads are
all usable cores (or `--threads`), and no dimension of it: on 2 cores one thread ran 0.7 to 1.25 times as many images as
two, and a batch that a backend shares out among requests of one thread more than either (`benchmarks/sharing.py`).

Verdicts are kept in the cache folder, each with what it depends on: the machine, its drivers, the model, the version
of its runtime, the files of its variant. Where one of these changes, the verdict is none; what has none is measured
when `clipsearch backends` or a large index run asks, the likeliest first, 20 s at most each time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from clipsearch.engine.backends import TABLE, Way, is_installed, usable_cores
from clipsearch.engine.cards import ModelCard
from clipsearch.engine.choosing.candidates import Candidate, fits, refusal
from clipsearch.engine.choosing.machine import machine, runtime_version
from clipsearch.engine.choosing.trials import CANDIDATE_S, UNMEASURED, Golden, golden_of, listed, tried
from clipsearch.files import replace_unsynced
from clipsearch.types import MeasuredWay

Purpose = Literal["ingest", "query"]

BUDGET_S = 20.0  # for all candidates of a model; those left over are said to be unmeasured
_CLOSE = 0.85  # of the best rate: what comes so near may be the better one, and both are tried again
_FORMAT = 3  # of the file; raise it when what is measured changes


@dataclass
class _Known:
    """What the file holds and still stands."""

    ways: dict[str, list[list[str]]] = field(default_factory=dict)  # runtime -> device, arithmetic that it lists
    rows: list[MeasuredWay] = field(default_factory=list)
    golden: Golden = field(default_factory=dict)  # of variants whose maker gave none


def measured_ways(card: ModelCard, cache: Path) -> tuple[MeasuredWay, ...]:
    """The verdicts for this model on this machine, measured now where they miss. Fastest for photos first."""
    known = _known(card, cache)
    if not _is_complete(card, known):
        _measure(card, cache, known)
        _keep(card, cache, known)
    return _with_choices(known.rows)


def known_ways(card: ModelCard, cache: Path) -> tuple[MeasuredWay, ...]:
    """What was measured before; nothing where that was on another machine, with other runtimes or another model."""
    return _with_choices(_known(card, cache).rows)


def is_measured(card: ModelCard, cache: Path) -> bool:
    """Whether every candidate has its verdict."""
    return _is_complete(card, _known(card, cache))


def chosen(ways: tuple[MeasuredWay, ...], purpose: Purpose) -> Candidate | None:
    """The candidate that was best at it; None where nothing good was found."""
    for one in ways:
        if purpose in one.chosen_for:
            batch = one.batch if purpose == "ingest" else 1
            return Candidate(Way(one.runtime, one.device, one.arithmetic, one.threads), one.precision, batch)
    return None


def forget(card: ModelCard, cache: Path) -> None:
    """The next question measures again."""
    _file(card, cache).unlink(missing_ok=True)


# -- measuring ------------------------------------------------------------------------------------


def _measure(card: ModelCard, cache: Path, known: _Known) -> None:
    """Adds to what is known until all is, or the time is over."""
    deadline = time.monotonic() + BUDGET_S
    for runtime in _runtimes(card):
        if runtime not in known.ways:
            found = listed(runtime, min(CANDIDATE_S, deadline - time.monotonic()))
            if found is not None:
                known.ways[runtime] = [[way.device, way.arithmetic] for way in found]
    settled = {_key(row): row for row in known.rows if not row.unfinished}
    begun = {_key(row): row for row in known.rows if row.unfinished}
    golden = known.golden | golden_of(card)
    took: dict[tuple[str, ...], float] = {}
    for candidate in _candidates(card, known):
        key = _key(candidate)
        if key in settled:
            continue
        began = time.monotonic()
        best = max((row.images_per_s or 0 for row in settled.values() if "ingest" in row.fit_for), default=0.0)
        row, golden = tried(card, candidate, golden, min(CANDIDATE_S, deadline - began), best, cache)
        settled[key] = begun.get(key, row) if row.verdict == UNMEASURED else row
        took[key] = time.monotonic() - began
    for key in _too_close(settled, took, deadline - time.monotonic()):
        candidate = next(one for one in _candidates(card, known) if _key(one) == key)
        again, _ = tried(card, candidate, golden, min(CANDIDATE_S, deadline - time.monotonic()), 0.0, cache)
        settled[key] = _better(settled[key], again)
    known.rows = list(settled.values())
    made = golden_of(card).keys()
    known.golden = {name: vectors for name, vectors in golden.items() if name not in made}


def _too_close(
    rows: dict[tuple[str, ...], MeasuredWay], took: dict[tuple[str, ...], float], seconds: float
) -> list[tuple[str, ...]]:
    """The two that are best for photos, the second one first, where noise may have put them in this order.

    They are run in turns, so that what else the machine does meets both; the better run of each counts.
    """
    fit = sorted((row for row in rows.values() if "ingest" in row.fit_for), key=lambda row: -(row.images_per_s or 0))
    if len(fit) < 2 or (fit[1].images_per_s or 0) < _CLOSE * (fit[0].images_per_s or 0):
        return []
    turns = [_key(fit[1]), _key(fit[0])]
    return turns if sum(took.get(key, 0.0) for key in turns) < seconds else []


def _better(one: MeasuredWay, again: MeasuredWay) -> MeasuredWay:
    """The faster of two runs: all else that slows one down is somebody else's work."""
    if again.fit_for != one.fit_for:
        return one if len(one.fit_for) < len(again.fit_for) else again
    faster = max(one, again, key=lambda row: row.images_per_s or 0)
    times = {name: min(getattr(one, name), getattr(again, name)) for name in ("query_ms", "cold_ms")}
    return replace(faster, **times)


def _runtimes(card: ModelCard) -> list[str]:
    """Those that open some variant of the model; to ask PyTorch what it offers would take seconds for nothing."""
    return [name for name in TABLE if is_installed(name) and any(fits(one, Way(name)) for one in card.variants)]


def _candidates(card: ModelCard, known: _Known) -> Iterator[Candidate]:
    """Every variant every way that fits it, in the order in which they are tried.

    Plain ones of the reference first: they work nearly everywhere and tell what the others must reproduce. Then what
    is likely to be faster, by much before by little: other devices, smaller weights, shorter floats. A variant's own
    vectors are the CPU's too, so it is tried there before it is elsewhere. PyTorch on the CPU is the reference of
    others, and starts slowest.
    """
    found = [
        Candidate(Way(runtime, device, arithmetic, usable_cores()), variant.name)
        for variant in card.variants
        for runtime in _runtimes(card)
        for device, arithmetic in known.ways.get(runtime, [["cpu", "f32"]])  # it was not asked yet
        if fits(variant, Way(runtime, device, arithmetic))
    ]

    def turn(candidate: Candidate) -> tuple[bool, ...]:
        way, is_reference = candidate.way, candidate.variant == card.reference.name
        on_cpu, plain = way.device == "cpu", way.arithmetic == "f32"
        first, last = is_reference and on_cpu and plain, way.runtime == "pytorch" and on_cpu
        return last, not first, on_cpu and not plain, not is_reference, not on_cpu, not plain

    yield from sorted(found, key=turn)


def _is_complete(card: ModelCard, known: _Known) -> bool:
    settled = {_key(row) for row in known.rows if not row.unfinished}
    asked = all(runtime in known.ways for runtime in _runtimes(card))
    return asked and all(_key(candidate) in settled for candidate in _candidates(card, known))


def _key(one: Candidate | MeasuredWay) -> tuple[str, ...]:
    """What a candidate is, whatever batch turns out best."""
    if isinstance(one, Candidate):
        return one.way.runtime, one.way.device, one.way.arithmetic, one.variant
    return one.runtime, one.device, one.arithmetic, one.precision


def _with_choices(rows: list[MeasuredWay]) -> tuple[MeasuredWay, ...]:
    """The rows, the fastest first, each with what it was chosen for."""
    for_photos = [row for row in rows if "ingest" in row.fit_for]
    for_texts = [row for row in rows if "query" in row.fit_for]
    best = {
        "ingest": max(for_photos, key=lambda row: row.images_per_s or 0, default=None),
        # A query is a process of its own, which opens its model first.
        "query": min(for_texts, key=lambda row: (row.cold_ms or 0) + (row.query_ms or 0), default=None),
    }
    with_choices = [
        replace(row, chosen_for=tuple(purpose for purpose, one in best.items() if one is row)) for row in rows
    ]
    return tuple(sorted(with_choices, key=lambda row: -(row.images_per_s or 0)))


# -- what was measured before ---------------------------------------------------------------------


def _known(card: ModelCard, cache: Path) -> _Known:
    try:
        kept = json.loads(_file(card, cache).read_bytes())
        if not isinstance(kept, dict) or kept.get("of") != _of(card):
            return _Known()
        versions = {runtime: runtime_version(runtime) for runtime in kept["ways"]}
        ways = {runtime: ways for runtime, (said, ways) in kept["ways"].items() if said == versions[runtime]}
        files = _files(card)
        rows = [
            _read(row) for said, row in kept["rows"] if row["runtime"] in ways and said == files.get(row["precision"])
        ]
        standing = {row.precision for row in rows}
        golden = {name: vectors for name, vectors in kept["golden"].items() if name.partition(" ")[2] in standing}
        return _Known(ways, rows, golden)
    except (OSError, ValueError, TypeError, KeyError):  # none yet, or a torn file of a cache
        return _Known()


def _keep(card: ModelCard, cache: Path, known: _Known) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    files = _files(card)
    content = {
        "of": _of(card),
        "ways": {runtime: [runtime_version(runtime), ways] for runtime, ways in known.ways.items()},
        "rows": [[files[row.precision], asdict(row)] for row in known.rows],
        "golden": known.golden,
    }
    replace_unsynced(_file(card, cache), json.dumps(content).encode())


def _read(row: dict[str, Any]) -> MeasuredWay:
    return MeasuredWay(**{**row, "fit_for": tuple(row["fit_for"]), "chosen_for": ()})


def _file(card: ModelCard, cache: Path) -> Path:
    return cache / f"ways-{card.image_fingerprint[:16]}.json"


def _of(card: ModelCard) -> dict[str, Any]:
    """What all verdicts depend on."""
    return {"format": _FORMAT, "machine": machine(), "model": [card.image_fingerprint, card.text_fingerprint]}


def _files(card: ModelCard) -> dict[str, list[Any]]:
    """What the verdicts on a variant depend on."""
    return {
        one.name: [_identity(one.image.identity), _identity(one.text.identity), list(one.runtimes), refusal(card, one)]
        for one in card.variants
    }


def _identity(of: str | tuple[str, ...]) -> list[str]:
    return [of] if isinstance(of, str) else list(of)
